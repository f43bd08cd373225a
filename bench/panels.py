"""Panels over the last 26 hours: what they read from the disk, and how long they take.

Ten thousand series at ten seconds, written and merged to blocks. A hundred panels of about a
hundred series each, first with the files as writing left them in the page cache, then after the kernel
was asked to forget them.
"""

import ctypes
import mmap
import os
import pathlib
import re
import shutil
import statistics
import tempfile
import time
import urllib.parse
import urllib.request

import peers
from curve import post
from peers import MIB

HOSTS, HOURS = 20, 26
PANELS, POINTS = 100, 1000
# Of bench/peerbench/src/gen.cc: 100 series of one core number, and 96 of one host.
MODES = ["idle|user|system|iowait|softirq", "user|system|softirq|nice|steal"]
CORES = 8
HANDLERS = "/api/v1/.+|/login|/healthz|/metrics|/static"
FORMS = ["{}", "rate({}[5m])", "max_over_time({}[5m])", "sum by(__name__)({})", "deriv({}[10m])"]


def read_from_disk(pid: int) -> int:
    """Bytes that the process made the disk read; what the page cache had does not count."""
    return int(re.search(r"^read_bytes: (\d+)$", pathlib.Path(f"/proc/{pid}/io").read_text(), re.MULTILINE).group(1))


def forget_files(folder: pathlib.Path) -> None:
    os.sync()
    for path in folder.glob("**/*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cached_share(paths: list[pathlib.Path]) -> float:
    """Of the pages of files, those that the page cache has (mincore)."""
    cached = pages = 0
    for path in paths:
        size = path.stat().st_size
        with path.open("rb") as file, mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
            first = ctypes.c_char.from_buffer(mapped)
            states = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
            if ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), states) != 0:
                raise OSError(f"mincore of {path}")
            del first  # it keeps the mapping open
            cached += sum(state & 1 for state in states)
            pages += len(states)
    return cached / max(pages, 1)


def panel(number: int) -> str:
    half = number // 2
    if number % 2:
        host = half % HOSTS
        selector = f'http_request_duration_seconds_bucket{{instance="host-{host:04}.pool-{host // 20:03}.example:8080",handler=~"{HANDLERS}"}}'
    else:
        selector = f'node_cpu_seconds_total{{cpu="{half % CORES}",mode=~"{MODES[half // CORES % len(MODES)]}"}}'
    return FORMS[half // HOSTS % len(FORMS) if number % 2 else half % len(FORMS)].format(selector)


def ask(url: str, query: str, end_s: int) -> float:
    """Milliseconds to the last byte of the answer."""
    parameters = {"query": query, "start": end_s - HOURS * 3600, "end": end_s, "step": HOURS * 3600 // POINTS, "nocache": 1}
    started = time.perf_counter()
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}", timeout=60) as answer:
        body = answer.read()
    if b'"metric"' not in body:
        raise RuntimeError(f"{query}: no series")
    return (time.perf_counter() - started) * 1000


def round_of(server: peers.Running, end_s: int) -> tuple[list[float], int]:
    before = read_from_disk(server.process.pid)
    times = [ask(server.url, panel(number), end_s) for number in range(PANELS)]
    return times, read_from_disk(server.process.pid) - before


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def run(root: pathlib.Path) -> list[tuple]:
    """Rows of (name, asked, reached, command, passed)."""
    command = "./gates panels"
    peerbench = peers.build_peerbench(root)
    petrel = peers.make_peers(root)[0]
    work = pathlib.Path(tempfile.mkdtemp(prefix="petrel-panels-"))
    try:
        file = work / "requests.pb"
        data = peers.generate(peerbench, file, HOSTS, f"{HOURS}h", int(time.time()))
        end_s = data["last_ms"] // 1000
        print(f"-- writing {data['samples']:,} samples of {data['series']:,} series", flush=True)
        with peers.Running(petrel, work / "server", peerbench) as server:
            wrote = server.write(file, "--preload", "0", "--max-seconds", "3600")
            file.unlink()
            post(server, "compact")
            files = list((server.folder / "data/blocks").glob("*.block"))
            blocks, cached = [one.stat().st_size for one in files], cached_share(files)
            # The program's own code is read from the disk when it is first used, too.
            for number in range(2 * len(FORMS)):
                ask(server.url, panel(number), end_s)
            warm, warm_read = round_of(server, end_s)
            forget_files(server.folder / "data")
            cold, cold_read = round_of(server, end_s)
            again, again_read = round_of(server, end_s)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    shown = "(shown only)"
    size = f"{len(blocks)} blocks, {sum(blocks) / MIB:.0f} MiB"
    return [
        ("blocks in the page cache when they were written", "(shown only)", f"{cached:.1%} of {size}", command, True),
        (f"{PANELS} panels over {HOURS} h, as written: read from the disk", "0 MiB", f"{warm_read / MIB:.1f} MiB", command, warm_read == 0),
        ("the same: whole answer p95", shown, f"{p95(warm):.1f} ms", command, True),
        ("files forgotten: read from the disk", shown, f"{cold_read / MIB:.1f} MiB, p95 {p95(cold):.1f} ms, max {max(cold):.0f} ms", command, True),
        ("the same panels once more: read from the disk", "0 MiB", f"{again_read / MIB:.1f} MiB, p95 {p95(again):.1f} ms", command,
         again_read == 0),
        ("requests refused or not sent", "0", str(int(wrote["requests_failed"] + wrote["requests_not_sent"])), command,
         wrote["requests_failed"] + wrote["requests_not_sent"] == 0),
    ]
