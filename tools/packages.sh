# Sourced by run, test and gates: installs the Debian packages a table names.
#
#   install_packages tools/packages.txt ...
#
# A table has one package per line, `name  # why`; `a|b` takes the first that is
# installed or on offer. Prints what is missing and why, asks nothing. Daemons that come
# with a package are kept from starting.

# Whether every listed name is installed; one dpkg-query, so that it costs milliseconds.
declare -A package_installed=()
load_installed_packages() {
  local state name
  package_installed=()
  while read -r state name; do
    [ "$state" = installed ] && package_installed[$name]=1
  done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n')
}

package_on_offer() {
  apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "Petrel: cannot install packages: not root, and sudo is not installed." >&2
    echo "Run this once as root: apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
}

# A daemon that a package brings must not start: the tests start their own, and a
# prometheus.service would take port 9090. dpkg asks policy-rc.d; 101 means no.
apt_get() {
  local guard=/usr/sbin/policy-rc.d made=0 status=0 log
  log=$(mktemp)
  if [ ! -e $guard ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $guard >/dev/null && as_root chmod 755 $guard
    made=1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o APT::Color=0 -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 || status=$?
  [ $made = 1 ] && as_root rm -f $guard
  [ $status = 0 ] || tail -20 "$log" >&2
  rm -f "$log"
  return $status
}

# Sets `missing` to the names to install and prints each with its reason.
find_missing() {
  local names why name chosen
  missing=()
  load_installed_packages
  while IFS='#' read -r names why; do
    names=${names//[[:space:]]/}
    [ -n "$names" ] || continue
    chosen=
    for name in ${names//|/ }; do
      [ -n "${package_installed[$name]:-}" ] && chosen=installed && break
    done
    [ -n "$chosen" ] && continue
    for name in ${names//|/ }; do
      chosen=$name
      package_on_offer "$name" && break
      chosen=${names%%|*}
    done
    missing+=("$chosen")
    printf '  %-28s %s\n' "$chosen" "${why# }"
  done < <(cat "$@")
}

install_packages() {
  local missing=() listing
  listing=$(mktemp)
  find_missing "$@" >"$listing"
  if [ ${#missing[@]} = 0 ]; then
    rm -f "$listing"
    return 0
  fi
  echo "Petrel: installing ${#missing[@]} Debian packages:"
  cat "$listing"
  rm -f "$listing"
  # The package lists may be absent or too old; only then are they fetched.
  if ! apt-get -qq -s --no-install-recommends install "${missing[@]}" >/dev/null 2>&1; then
    apt_get update
    find_missing "$@" >/dev/null
  fi
  apt_get install "${missing[@]}" || { apt_get update && apt_get install "${missing[@]}"; } || {
    echo "Petrel: apt-get could not install: ${missing[*]}" >&2
    exit 1
  }
  # Nor may a daemon start at the next boot.
  local name
  for name in "${missing[@]}"; do
    [ ! -e "/etc/init.d/$name" ] || as_root update-rc.d "$name" disable >/dev/null 2>&1 || true
  done
}

# Node is needed to build the web UI only; any node >= 18 with npm on the PATH will do.
node_is_usable() {
  local version
  command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge 18 ]
}
