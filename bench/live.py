"""Requests made before, sent when their samples' time has come: a fleet that is scraped every ten seconds."""

import json
import math
import pathlib
import shutil
import time

import peers

SERIES_PER_HOST = peers.SERIES_PER_HOST
SCRAPE_SECONDS = 10
# What making requests takes at least, of one core and with room to spare.
MADE_PER_S = 1_500_000
# A request file has about so many bytes per sample; the server stores a few more.
DISK_PER_SAMPLE = 35


def end_of(hosts: int, minutes: int, files: int) -> int:
    """Unix seconds at which `files` runs end that begin when all of them are made."""
    samples = hosts * SERIES_PER_HOST * minutes * 60 // SCRAPE_SECONDS * files
    need, free = samples * DISK_PER_SAMPLE, shutil.disk_usage("/tmp").free
    if need > free:
        raise RuntimeError(f"this run needs {need >> 30} GiB below /tmp, {free >> 30} GiB are free")
    return math.ceil(time.time()) + SCRAPE_SECONDS + samples // MADE_PER_S + minutes * 60


def make(peerbench: str, file: pathlib.Path, hosts: int, minutes: int, end: int, *options: str) -> dict:
    data = peers.generate(peerbench, file, hosts, f"{minutes}m", end, *options)
    print(f"-- made {data['samples']:,} samples of {data['series']:,} series in {data['gen_seconds']:.0f} s", flush=True)
    return data


def wait_for(data: dict) -> None:
    late = time.time() - data["first_ms"] / 1000
    if late > 0:
        print(f"-- the requests were made {late:.0f} s late: they are sent that much behind their time", flush=True)
    else:
        time.sleep(-late)


def write(server: peers.Running, file: pathlib.Path, data: dict, minutes: int) -> tuple[dict, list[dict]]:
    """What the sender says, and its latencies in windows of ten seconds."""
    trace = file.with_suffix(".trace")
    rate = data["samples"] / (minutes * 60)
    wrote = server.write(file, "--preload", "0", "--rate", f"{rate:.3f}", "--max-seconds", str(minutes * 120 + 60),
                         "--trace", str(trace), "--trace-every", f"{SCRAPE_SECONDS}s")
    return wrote, [json.loads(line) for line in trace.read_text().splitlines()]


def refused(wrote: dict) -> int:
    return int(wrote["requests_failed"] + wrote["requests_not_sent"])
