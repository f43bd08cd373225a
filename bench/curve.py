"""What a sample and a series cost with a hundred thousand, a million and ten million series.

For each size one server on an empty folder: five samples of every series, as data set B of the
other measurements, which shows what a new series costs; then ten minutes of a fleet, as fast
as they are accepted; then all of it written to blocks and merged.
"""

import dataclasses
import pathlib
import shutil
import tempfile
import time
import urllib.request

import pages
import peers
import watch
from peers import MIB

HOSTS = [200, 2000]
HOSTS_FULL = [*HOSTS, 20_000]
MINUTES = 10
NEW_STEPS, SCRAPE_SECONDS = 5, 10
# Between the two, so that each can be counted for itself.
GAP_SECONDS = 60
CHAPTER = "Cost by number of series"

NEW_SERIES_US_MAX = 2
REST_BYTES_MAX, PEAK_BYTES_MAX = 450, 600
# Below this the process itself is much of what a series seems to cost.
JUDGED_SERIES_MIN = 1_000_000
LOG_BYTES = "petrel_log_written_bytes_total"


@dataclasses.dataclass
class Cost:
    """Of one size; bytes and microseconds, per series or sample as the names say."""
    series: int
    sample_us: float        # CPU, with what settles after the last answer
    new_series_us: float
    rest_per_series: float  # resident, after the samples of NEW_STEPS
    peak_per_series: float  # control group, while they were written
    peak_after: float       # the same after the ten minutes
    peak_blocks: float      # the same after flush and merge
    log_per_sample: float
    disk_per_sample: float  # blocks with their indexes
    block_us: float         # CPU for them, per sample
    p99_ms: float
    others_cores: float     # what other processes took meanwhile
    missing: int


COLUMNS = [("series", lambda c: f"{c.series:,}"),
           ("CPU, us/sample", lambda c: f"{c.sample_us:.3f}"),
           ("CPU, us/new series", lambda c: f"{c.new_series_us:.2f}"),
           ("at rest, bytes/series", lambda c: f"{c.rest_per_series:.0f}"),
           ("peak, bytes/series", lambda c: f"{c.peak_per_series:.0f}"),
           ("peak with {minutes} min, bytes/series", lambda c: f"{c.peak_after:.0f}"),
           ("peak with flush and merge, bytes/series", lambda c: f"{c.peak_blocks:.0f}"),
           ("log, bytes/sample", lambda c: f"{c.log_per_sample:.2f}"),
           ("blocks, bytes/sample", lambda c: f"{c.disk_per_sample:.2f}"),
           ("CPU for blocks, us/sample", lambda c: f"{c.block_us:.3f}"),
           ("answer p99, ms", lambda c: f"{c.p99_ms:.1f}"),
           ("other load, cores", lambda c: f"{c.others_cores:.2f}")]


def post(server: peers.Running, what: str) -> None:
    request = urllib.request.Request(f"{server.url}/api/v1/admin/tsdb/{what}", method="POST")
    urllib.request.urlopen(request, timeout=3600).read()


def measure(petrel: peers.Peer, peerbench: str, work: pathlib.Path, hosts: int, minutes: int) -> Cost:
    end = int(time.time())
    new, more = work / "new.pb", work / "more.pb"
    series = peers.generate(peerbench, new, hosts, f"{NEW_STEPS * SCRAPE_SECONDS}s",
                            end - minutes * 60 - GAP_SECONDS)["series"]
    data = peers.generate(peerbench, more, hosts, f"{minutes}m", end)
    print(f"-- {series:,} series, {data['samples']:,} samples", flush=True)
    with peers.Running(petrel, work / "server", peerbench) as server:
        first = server.write(new, "--preload", "0", "--max-seconds", "3600")
        peak = server.group.peak_bytes() or float("nan")
        log_before = watch.read_metrics(server.url, [LOG_BYTES])[LOG_BYTES]
        wrote = server.write(more, "--preload", "0", "--max-seconds", "7200")
        peak_after = server.group.peak_bytes() or float("nan")
        log_bytes = watch.read_metrics(server.url, [LOG_BYTES])[LOG_BYTES] - log_before
        print(f"-- {wrote}", flush=True)
        cpu = watch.cpu_seconds(server.process.pid)
        post(server, "flush")
        post(server, "compact")
        block_s = watch.cpu_seconds(server.process.pid) - cpu
        peak_blocks = server.group.peak_bytes() or float("nan")
        disk = sum(one.stat().st_size for one in (server.folder / "data/blocks").glob("*.block"))
        missing = server.missing(new) + server.missing(more)
    new.unlink()
    more.unlink()
    sample_us = wrote["server_cpu_settled_s"] / data["samples"] * 1e6
    return Cost(series=series, sample_us=sample_us,
                new_series_us=first["server_cpu_settled_s"] / series * 1e6 - NEW_STEPS * sample_us,
                rest_per_series=first["server_rss_MiB"] * MIB / series, peak_per_series=peak / series,
                peak_after=peak_after / series, peak_blocks=peak_blocks / series, log_per_sample=log_bytes / data["samples"],
                disk_per_sample=disk / (data["samples"] + NEW_STEPS * series),
                block_us=block_s / (data["samples"] + NEW_STEPS * series) * 1e6, p99_ms=wrote["latency_p99_ms"],
                others_cores=wrote["others_cpu_s"] / wrote["wall_s"], missing=missing)


def table(costs: list[Cost], minutes: int) -> list[str]:
    lines = ["| " + " | ".join(name.format(minutes=minutes) for name, _ in COLUMNS) + " |", "|" + "---:|" * len(COLUMNS)]
    return lines + ["| " + " | ".join(text(cost) for _, text in COLUMNS) + " |" for cost in costs]


def chapter(costs: list[Cost], minutes: int) -> str:
    return "\n".join([
        f"Written by `./gates curve --full`, {time.strftime('%Y-%m-%d')}, {pages.machine()}. "
        f"Each size is a server of its own: {NEW_STEPS} samples of every series, of which memory at rest, its peak and the CPU of a "
        f"new series are; then {minutes} minutes of samples every {SCRAPE_SECONDS} s, as fast as they are accepted, each answer after "
        "the fsync; then all of it flushed to blocks and merged. *At rest* is resident memory ten seconds after the last answer; a "
        "*peak* is the control group's, with the page cache of what was written. *Other load* is what other processes but the sender "
        "took meanwhile: above a few hundredths, the CPU columns and the answers are too high.", "",
        *table(costs, minutes)])


def judged(costs: list[Cost], command: str) -> list[tuple]:
    """Rows of (name, asked, reached, command, passed)."""
    rows = []
    for cost in costs:
        size = f"{cost.series / 1e6:g} M series"
        is_judged = cost.series >= JUDGED_SERIES_MIN
        shown = "(shown only)"
        rows += [
            (f"{size}: CPU per sample", shown, f"{cost.sample_us:.3f} us", command, True),
            (f"{size}: CPU per new series", f"<= {NEW_SERIES_US_MAX} us", f"{cost.new_series_us:.2f} us", command,
             cost.new_series_us <= NEW_SERIES_US_MAX),
            (f"{size}: memory at rest", f"<= {REST_BYTES_MAX} B/series" if is_judged else shown, f"{cost.rest_per_series:.0f} B/series",
             command, not is_judged or cost.rest_per_series <= REST_BYTES_MAX),
            (f"{size}: memory, peak", f"<= {PEAK_BYTES_MAX} B/series" if is_judged else shown, f"{cost.peak_per_series:.0f} B/series",
             command, not is_judged or cost.peak_per_series <= PEAK_BYTES_MAX),
            (f"{size}: samples missing", "0", str(cost.missing), command, cost.missing == 0),
        ]
    return rows


def run(root: pathlib.Path, minutes: int = MINUTES, is_full: bool = False) -> list[tuple]:
    peerbench = peers.build_peerbench(root)
    petrel = peers.make_peers(root)[0]
    work = pathlib.Path(tempfile.mkdtemp(prefix="petrel-curve-"))
    try:
        costs = [measure(petrel, peerbench, work, hosts, minutes) for hosts in (HOSTS_FULL if is_full else HOSTS)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("\n".join(["", *table(costs, minutes)]), flush=True)
    if is_full:
        page = root / "docs/benchmarks.md"
        page.write_text(pages.with_chapter(page.read_text(), CHAPTER, chapter(costs, minutes)))
    return judged(costs, f"./gates curve{' --full' if is_full else ''} --minutes {minutes}")
