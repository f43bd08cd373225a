"""Measures Petrel at the size it is made for: ten million series on this machine.

One server, one sender. The sender replays requests made before, one sample per series and
step, at the pace of a fleet that is scraped every ten seconds; every answer waits for the
disk. Then the server is killed and started again, and every sample is counted.
"""

import pathlib
import shutil
import tempfile
import time

import pages
import peers
from memory_group import MemoryGroup

SERIES_PER_HOST = 500
SCRAPE_SECONDS = 10
# 10 M series: 60 steps of them are 600 M samples, 14 GB of requests.
HOSTS = 20_000
MINUTES = 10
GIB = 1 << 30
CHAPTER = "Ten million series"


class Server(peers.Running):
    """Petrel alone, with a control group per process: a restart has a peak of its own."""

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> float:
        """Gives when the new process was started."""
        self.group.remove()
        self.group = MemoryGroup(f"{self.peer.name}-again")
        started = time.time()
        self.launch()
        return started

    def ready(self, since: float, series_of_up: int, at_s: float) -> dict:
        return peers.run_json([self.peerbench, "ready", "--url", self.url + self.peer.ready_path, "--since", f"{since:.3f}",
                               "--query", "count(up)", "--expect", str(series_of_up), "--time", f"{at_s:.3f}",
                               "--pid", str(self.process.pid), "--timeout", "600s", "--json"])[0]


def size_text(size: float | None) -> str:
    return "not measured" if size is None else f"{size / GIB:.2f} GiB"


def chapter(rows: list[tuple], hosts: int, minutes: int, others_cores: float) -> str:
    lines = [
        f"Written by `./gates ten-million`, {time.strftime('%Y-%m-%d')}, {pages.machine()}. {hosts:,} hosts with {SERIES_PER_HOST} series "
        f"each, one sample of every series per {SCRAPE_SECONDS} s, for {minutes} minutes, from a sender on the same machine that replays "
        "requests made before; a request has 5,000 samples and is answered when they are on disk (fsync). Memory is the peak of a "
        "control group for the server alone, with the page cache of its log. Then the server is killed with SIGKILL and started "
        "again, until a query sees every series; every sample is counted.", "",
        f"Other processes took {others_cores:.2f} cores meanwhile: above a few hundredths, CPU, pace and answers are worse than they are "
        "on a quiet machine.", "",
        "| | asked | measured | |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {asked} | {reached} | {'ok' if passed else 'missed'} |" for name, asked, reached, _, passed in rows])


def run(root: pathlib.Path, hosts: int = HOSTS, minutes: int = MINUTES) -> list[tuple]:
    """Rows of (name, asked, reached, command, passed)."""
    command = "./gates ten-million"
    peerbench = peers.build_peerbench(root)
    petrel = peers.make_peers(root)[0]
    work = pathlib.Path(tempfile.mkdtemp(prefix="petrel-scale-"))
    series = hosts * SERIES_PER_HOST
    try:
        file = work / "requests.pb"
        print(f"-- making {series:,} series x {minutes * 60 // SCRAPE_SECONDS} steps", flush=True)
        data = peers.generate(peerbench, file, hosts, f"{minutes}m", int(time.time()))
        with Server(petrel, work / "server", peerbench) as server:
            print(f"-- sending {data['samples']:,} samples in {minutes} minutes", flush=True)
            wrote = server.write(file, "--preload", "0", "--rate", str(series // SCRAPE_SECONDS), "--max-seconds", "3600")
            peak = server.group.peak_bytes()
            print(f"-- {wrote}", flush=True)
            server.kill()
            log_bytes = sum(one.stat().st_size for one in (work / "server/data/log").glob("*.log"))
            since = server.restart()
            up = server.ready(since, 2 * hosts, data["last_ms"] / 1000)
            again = server.group.peak_bytes()
            print(f"-- {up}", flush=True)
            missing = server.missing(file)
    finally:
        shutil.rmtree(work, ignore_errors=True)

    cores = wrote["server_cpu_s"] / wrote["wall_s"]
    ready = up.get("query_ok_s") or float("nan")
    million = series / 1e6
    failed = wrote["requests_failed"] + wrote["requests_not_sent"]
    rows = [
        (f"{million:g} M series, {series / SCRAPE_SECONDS / 1e6:g} M samples/s: CPU", "<= 1 core",
         f"{cores:.2f} cores, {wrote['server_cpu_settled_s']:.0f} s settled", command, cores <= 1),
        ("pace kept", f"{minutes * 60} s", f"{wrote['wall_s']:.0f} s", command, wrote["wall_s"] <= 1.02 * minutes * 60),
        ("memory, peak of the control group", "<= 6 GiB", f"{size_text(peak)}; {peak / series if peak else float('nan'):.0f} B/series",
         command, peak is not None and peak <= 6 * GIB),
        ("answer p99", "<= 50 ms", f"{wrote['latency_p99_ms']:.1f} ms (max {wrote['latency_max_ms']:.0f})", command,
         wrote["latency_p99_ms"] <= 50),
        ("requests refused or not sent", "0", f"{failed}", command, failed == 0),
        ("kill -9: ready and complete", "<= 20 s", f"{ready:.1f} s, log of {size_text(log_bytes)}", command, ready <= 20),
        ("replay: peak of the control group : steady", "<= 1.2x", f"{again / peak if again and peak else float('nan'):.2f}x ({size_text(again)})",
         command, bool(again and peak and again <= 1.2 * peak)),
        ("samples missing after the kill", "0", f"{missing}", command, missing == 0),
    ]
    if (hosts, minutes) == (HOSTS, MINUTES):
        page = root / "docs/benchmarks.md"
        page.write_text(pages.with_chapter(page.read_text(), CHAPTER, chapter(rows, hosts, minutes, wrote["others_cpu_s"] / wrote["wall_s"])))
    return rows
