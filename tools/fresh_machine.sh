#!/usr/bin/env bash
# Proves that a stranger's first minutes work: makes a minimal Debian 12, clones the
# committed state of this repository into it and runs ./run and ./test there.
#
#   tools/fresh_machine.sh [--keep] [--no-test]
#
# Needs root and debootstrap. The machine lives in a temporary folder (below TMPDIR) with
# its own processes and mounts, which end with this script; it shares the network. Of this
# machine it takes over what package clients need: the Debian mirror, proxies,
# certificates and the npm registry.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
keep=0
with_test=1
for option in "$@"; do
  case $option in
    --keep) keep=1 ;;
    --no-test) with_test=0 ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
[ "$(id -u)" = 0 ] || { echo "fresh_machine: needs root" >&2; exit 1; }

# Own mounts and processes: whatever happens, nothing of the fresh machine stays behind.
if [ -z "${FRESH_MACHINE_INSIDE:-}" ]; then
  source "$repository/tools/packages.sh"
  install_packages "$repository/tools/packages-gates.txt"
  export FRESH_MACHINE_INSIDE=1
  exec unshare --mount --pid --fork --kill-child --propagation private "${BASH_SOURCE[0]}" "$@"
fi

machine=$(mktemp -d "${TMPDIR:-/tmp}/petrel-fresh.XXXXXX")
chmod 755 "$machine"  # it is the root folder of the machine's users
clean_up() {
  # The mounts go with the namespace, but the folder can only be removed without them.
  local mounted
  for mounted in dev/shm dev/pts dev sys proc; do
    umount "$machine/$mounted" 2>/dev/null || umount -l "$machine/$mounted" 2>/dev/null || true
  done
  if [ $keep = 1 ]; then
    echo "fresh_machine: kept $machine"
  else
    rm -rf --one-file-system "$machine"
  fi
}
trap clean_up EXIT

seconds_since() { echo $(($(date +%s) - $1)); }

make_machine() {
  local mirror name
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    grep -oE 'https?://[^ ]+/debian/?( |$)' | head -1 | tr -d ' ' || true)
  [ -n "$mirror" ] || { echo "fresh_machine: no Debian mirror in the apt sources" >&2; exit 1; }
  debootstrap --variant=minbase bookworm "$machine" "$mirror" >"$machine.log" 2>&1 ||
    { tail -20 "$machine.log" >&2; exit 1; }
  rm -f "$machine.log"
  mount -t proc proc "$machine/proc"
  mount -t sysfs -o ro sysfs "$machine/sys"
  mount --bind /dev "$machine/dev"
  mkdir -p "$machine/dev/shm" "$machine/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$machine/dev/shm"
  cp -L /etc/resolv.conf "$machine/etc/resolv.conf"
  cp -L /etc/hosts "$machine/etc/hosts"
}

# Proxies, certificates and registry: what apt and npm of this machine use.
take_over_network_settings() {
  local key value bundle=/etc/ssl/certs/ca-certificates.crt
  apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries)' \
    >"$machine/etc/apt/apt.conf.d/90machine" || true
  if [ -r $bundle ]; then
    mkdir -p "$machine/usr/local/share/machine"
    cp -L $bundle "$machine/usr/local/share/machine/ca.crt"
    echo "cafile=/usr/local/share/machine/ca.crt" >"$machine/root/.npmrc"
  fi
  if command -v npm >/dev/null; then
    for key in registry proxy https-proxy noproxy; do
      value=$(npm config get $key 2>/dev/null)
      case $value in '' | null | undefined) ;; *) echo "$key=$value" >>"$machine/root/.npmrc" ;; esac
    done
  fi
}

inside() {
  local proxies=() name
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -n "${!name:-}" ] && proxies+=("$name=${!name}")
  done
  chroot "$machine" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_EXTRA_CA_CERTS=/usr/local/share/machine/ca.crt "${proxies[@]}" \
    bash -c "cd /root/petrel && $1"
}

# Starts ./run once more on a port below the ephemeral range and waits for its word.
start_check='
port=28190
: >/tmp/start.log
started=$(date +%s%N)
./run -- --web.listen-address=127.0.0.1:$port --storage.tsdb.path=/tmp/data >/tmp/start.log 2>&1 &
pid=$!
for _ in $(seq 200); do
  grep -q "Petrel is ready" /tmp/start.log && break
  kill -0 $pid 2>/dev/null || break
  sleep 0.05
done
took=$((($(date +%s%N) - started) / 1000000))
kill $pid 2>/dev/null
wait $pid || true
grep "Petrel is ready" /tmp/start.log || { cat /tmp/start.log; exit 1; }
echo "second ./run: ready after $took ms"
'

begin=$(date +%s)
make_machine
take_over_network_settings
echo "fresh_machine: Debian $(cat "$machine/etc/debian_version") minbase, $(nproc) cores, made in $(seconds_since "$begin") s"
git clone -q --no-hardlinks "$repository" "$machine/root/petrel"
echo "fresh_machine: commit $(git -C "$machine/root/petrel" rev-parse --short HEAD)"

begin=$(date +%s)
inside './run --build-only'
echo "fresh_machine: ./run --build-only took $(seconds_since "$begin") s"
inside "$start_check"
if [ $with_test = 1 ]; then
  begin=$(date +%s)
  inside './test'
  echo "fresh_machine: ./test took $(seconds_since "$begin") s"
fi
echo "fresh_machine: passed"
