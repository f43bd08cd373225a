#!/usr/bin/env bash
# Records this host's metrics at 1 s while it works, for bench/codec. See usage below.
#
# `petrel agent` collects and pushes to a `petrel` of its own, from which the samples are read
# back as stored. The recording is text, a line per series, fields separated by tabs:
#
#   name{label="value",...}    timestamps in ms, by commas    values, by commas
#
# Values are the shortest decimals that give back the same float64.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tools/record_host.sh [--seconds N] [--interval D] [--scrape] [--no-load] [--petrel FILE] OUTPUT [-- AGENT FLAGS]

  --seconds N     how long (default 780)
  --interval D    of the rounds (default 1s)
  --scrape        the server scrapes the agent; timestamps are then those of scrapes, with their
                  jitter. Otherwise the agent pushes, and they are whole multiples of the interval
  --no-load       record the host as it is. Otherwise four loops run beside it, each pausing 0 to
                  3 s between rounds: compile a C++ file, compress a folder, write and sync 64 MiB
                  to disk, send 32 MiB over loopback
  --petrel FILE   the program (default build/release/petrel)
  AGENT FLAGS     such as --collector.interrupts
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=780 interval=1s mode=push load=1 petrel=$root/build/release/petrel output=
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift ;;
    --interval) interval=$2; shift ;;
    --scrape) mode=scrape ;;
    --no-load) load=0 ;;
    --petrel) petrel=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    -*) echo "record_host: unknown option $1" >&2; usage >&2; exit 2 ;;
    *) output=$1 ;;
  esac
  shift
done
[ -n "$output" ] || { echo "record_host: OUTPUT is missing" >&2; usage >&2; exit 2; }
[ -x "$petrel" ] || { echo "record_host: $petrel is not there; build it by ./run --build-only" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/record_host.XXXXXX")
started=()
stop() {
  trap - EXIT INT TERM
  # The loops are process groups of their own: what they have started goes with them.
  for process in "${started[@]}"; do kill -- -"$process" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM
start() {
  setsid "$@" >>"$work/log" 2>&1 </dev/null &
  started+=($!)
}

free_port() {
  python3 -c '
import random, socket
while True:
    with socket.socket() as probe:
        port = random.randrange(20000, 32768)
        try: probe.bind(("127.0.0.1", port))
        except OSError: continue
        print(port)
        break'
}

compile_loop() {
  printf '#include <map>\n#include <regex>\nint main() { return int(std::regex("a+").mark_count()); }\n' >"$work/one.cc"
  while true; do c++ -O1 -o "$work/one" "$work/one.cc"; sleep $((RANDOM % 4)); done
}
compress_loop() {
  while true; do tar -C /usr -c include bin/perl 2>/dev/null | head -c 100000000 | gzip -6 | wc -c; sleep $((RANDOM % 4)); done
}
disk_loop() {
  while true; do
    dd if=/dev/urandom of="$work/blob" bs=1M count=64 conv=fdatasync
    cat "$work/blob" | wc -c
    rm "$work/blob"
    sleep $((RANDOM % 4))
  done
}
network_loop() {
  mkdir -p "$work/www"
  head -c 33554432 /dev/urandom >"$work/www/blob"
  python3 -m http.server --bind 127.0.0.1 --directory "$work/www" "$1" &
  while true; do curl -s "http://127.0.0.1:$1/blob" | wc -c; sleep $((RANDOM % 4)); done
}
export -f compile_loop compress_loop disk_loop network_loop
export work

server=$(free_port) agent=$(free_port) www=$(free_port)
config=$work/prometheus.yml
push=()
if [ $mode = scrape ]; then
  printf 'global: {scrape_interval: %s, scrape_timeout: %s}\nscrape_configs:\n- job_name: node\n  static_configs: [{targets: ["127.0.0.1:%s"]}]\n' \
    "$interval" "$interval" "$agent" >"$config"
else
  echo 'global: {}' >"$config"
  push=(--push.url="http://127.0.0.1:$server/api/v1/write" --push.interval="$interval" --push.buffer-path="$work/buffer")
fi
start "$petrel" --config.file="$config" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$server"
for _ in $(seq 100); do
  curl -sf "http://127.0.0.1:$server/-/ready" >/dev/null && break
  sleep 0.2
done
curl -sf "http://127.0.0.1:$server/-/ready" >/dev/null || { echo "record_host: the server does not start:" >&2; cat "$work/log" >&2; exit 1; }
start "$petrel" agent --web.listen-address="127.0.0.1:$agent" "${push[@]}" "$@"
if [ $load = 1 ]; then
  start bash -c compile_loop
  start bash -c compress_loop
  start bash -c disk_loop
  start bash -c "network_loop $www"
fi

sleep "$seconds"
curl -sf "http://127.0.0.1:$server/api/v1/query" --data-urlencode "query={__name__!=\"\"}[${seconds}s]" >"$work/answer.json"
python3 - "$work/answer.json" "$output" <<'CONVERT'
import json
import sys

answer = json.load(open(sys.argv[1]))
series = answer["data"]["result"]
samples = 0
with open(sys.argv[2], "w") as out:
    for one in series:
        labels = dict(one["metric"])
        name = labels.pop("__name__")
        text = ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(labels.items()))
        times = ",".join(str(round(time * 1000)) for time, _ in one["values"])
        values = ",".join(value for _, value in one["values"])
        samples += len(one["values"])
        out.write(f"{name}{{{text}}}\t{times}\t{values}\n")
print(f"{len(series)} series, {samples} samples: {sys.argv[2]}")
CONVERT
