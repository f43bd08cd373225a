#!/bin/sh
# Builds web/dist for the binary to embed; does nothing when it is up to date. Needs Node.js
# 18 or newer and npm. --force builds anyway.
set -eu
cd "$(dirname "$0")"

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "web: the UI needs Node.js 18 or newer and npm (Debian: apt-get install nodejs npm)" >&2
  exit 1
fi
major=$(node -p 'process.versions.node.split(".")[0]')
if [ "$major" -lt 18 ]; then
  echo "web: Node.js $major is too old: 18 or newer is needed" >&2
  exit 1
fi

inputs=$(find src fonts -type f | LC_ALL=C sort | xargs sha256sum package.json package-lock.json build.mjs tsconfig.json)
stamp=$(printf '%s\n' "$inputs" | sha256sum | cut -d ' ' -f 1)
if [ "${1:-}" != --force ] && [ -f dist/index.html ] && [ "$(cat node_modules/.petrel-dist 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

lock=$(sha256sum package-lock.json | cut -d ' ' -f 1)
if [ "$(cat node_modules/.petrel-lock 2>/dev/null)" != "$lock" ]; then
  npm ci --no-audit --no-fund --loglevel=error
  echo "$lock" >node_modules/.petrel-lock
fi
node build.mjs
echo "$stamp" >node_modules/.petrel-dist
