"""What background work does to those who write: memory and answers beside flushes, merges, retention, snapshots.

A million series at a steady pace, on a server whose ranges of time are so short that all of it
happens several times within the run. The charts have a column per ten seconds or more.
"""

import dataclasses
import json
import pathlib
import shutil
import statistics
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import live
import peers
import watch

HOSTS = 2000          # 1 M series, 100,000 samples/s
MINUTES = 30
MINUTES_MIN = 6       # shorter, and not everything happens
# Ranges of the head per run: a block is written from each, two are merged, and they are
# deleted when two more are there.
RANGES = 6
# Snapshots and counts of all series, per run.
TASKS = 5

# A metric of bench/peerbench/src/gen.cc.
COUNTED, COUNTED_PER_HOST = "node_cpu_seconds_total", 64

MEMORY_RATIO_MAX = 1.2
P99_MS_MAX = 50
HAPPENED = {
    "flushes": "petrel_tsdb_flush_duration_seconds_count",
    "merges": "petrel_tsdb_merges_total",
    "retention": "petrel_tsdb_time_retentions_total",
}


def range_minutes(minutes: int) -> int:
    return max(1, minutes // RANGES)


def server_of(petrel: peers.Peer, minutes: int) -> peers.Peer:
    one = range_minutes(minutes)
    flags = [f"--storage.tsdb.min-block-duration={one}m", f"--storage.tsdb.max-block-duration={2 * one}m",
             f"--storage.tsdb.retention.time={2 * one}m", "--storage.tsdb.out-of-order-time-window=1m", "--web.enable-admin-api"]
    return peers.Peer(petrel.name, petrel.version_command, lambda folder, port: [*petrel.command(folder, port), *flags])


@dataclasses.dataclass
class Done:
    what: str
    unix_s: float
    seconds: float


class Tasks(threading.Thread):
    """Asks for a snapshot and for counts of all series now and then, and removes the snapshot again."""

    PATHS = [("GET", "/api/v1/cardinality/report?limit=100"), ("GET", "/api/v1/status/tsdb"), ("POST", "/api/v1/admin/tsdb/snapshot")]

    def __init__(self, server: peers.Running, pause_s: float):
        super().__init__(daemon=True)
        self.server, self.pause_s = server, pause_s
        self.done: list[Done] = []
        self.failed: list[str] = []
        self.ended = threading.Event()

    def ask(self, method: str, path: str) -> None:
        started = time.time()
        try:
            request = urllib.request.Request(self.server.url + path, method=method)
            with urllib.request.urlopen(request, timeout=300) as answer:
                name = json.load(answer)["data"].get("name")
        except OSError as trouble:
            self.failed.append(f"{path}: {trouble}")
            return
        self.done.append(Done(path.split("?")[0], started, time.time() - started))
        if name:
            shutil.rmtree(self.server.folder / "data/snapshots" / name)

    def run(self) -> None:
        while not self.ended.wait(self.pause_s):
            for method, path in self.PATHS:
                self.ask(method, path)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def seconds(self, what: str) -> list[float]:
        return [one.seconds for one in self.done if one.what.endswith(what)]


def print_charts(moments: list[watch.Moment], trace: list[dict], tasks: Tasks) -> None:
    print(f"\n   one column per {watch.EVERY_S} s or more, the largest value of each part")
    print(watch.chart("control group", watch.mib([moment.group for moment in moments]), "MiB"))
    print(watch.chart("anonymous memory", watch.mib([moment.anonymous for moment in moments]), "MiB"))
    print(watch.chart("answer p99", [window["p99_ms"] for window in trace], "ms"))
    print(watch.chart("answer max", [window["max_ms"] for window in trace], "ms"))
    print(watch.chart("sender behind its pace", [window["late_ms"] for window in trace], "ms"))
    cores = [(b.cpu_s - a.cpu_s) / (b.unix_s - a.unix_s) for a, b in zip(moments, moments[1:])]
    print(watch.chart("CPU", cores, "cores"))
    for method, path in Tasks.PATHS:
        seconds = tasks.seconds(path.split("?")[0])
        if seconds:
            print(f"{method} {path}: {len(seconds)} times, {max(seconds):.2f} s at most")
    for one in tasks.failed:
        print(f"failed: {one}")


def split_at_first_flush(moments: list[watch.Moment]) -> tuple[list[watch.Moment], list[watch.Moment]]:
    """Until then memory fills, and nothing happens in the background."""
    flushed = [bool(moment.metrics[HAPPENED["flushes"]]) for moment in moments]
    first = flushed.index(True) if True in flushed else len(moments)
    return moments[:first], moments[first:]


def memory_rows(name: str, before: list[float], after: list[float], command: str) -> list[tuple]:
    most = max(after, default=float("nan"))
    against = {f"most : median, {name}": statistics.median(after) if after else float("nan"),
               f"most : most before the first flush, {name}": max(before, default=float("nan"))}
    return [(f"memory, {what}", f"<= {MEMORY_RATIO_MAX}x", f"{most / size:.2f}x ({most:.0f} : {size:.0f} MiB)", command,
             most / size <= MEMORY_RATIO_MAX) for what, size in against.items()]


def judged(moments: list[watch.Moment], trace: list[dict], wrote: dict, tasks: Tasks, missing: int, minutes: int) -> list[tuple]:
    """Rows of (name, asked, reached, command, passed)."""
    command = f"./gates background --minutes {minutes}"
    before, after = split_at_first_flush(moments)
    worst = max(window["p99_ms"] for window in trace)
    above = sum(window["p99_ms"] > P99_MS_MAX for window in trace)
    happened = {name: int(moments[-1].metrics[metric]) for name, metric in HAPPENED.items()}
    happened["snapshots"] = len(tasks.seconds("/snapshot"))
    return [
        *memory_rows("control group", *(watch.mib([moment.group for moment in part]) for part in (before, after)), command),
        *memory_rows("anonymous", *(watch.mib([moment.anonymous for moment in part]) for part in (before, after)), command),
        ("answer p99 in every 10 s", f"<= {P99_MS_MAX} ms",
         f"{worst:.1f} ms at most, {above} of {len(trace)} above; {wrote['latency_p99_ms']:.1f} ms over all", command, worst <= P99_MS_MAX),
        ("background work meanwhile", "each at least once", ", ".join(f"{count} {name}" for name, count in happened.items()), command,
         all(happened.values()) and not tasks.failed),
        ("pace kept", f"{minutes * 60} s", f"{wrote['wall_s']:.0f} s", command, wrote["wall_s"] <= 1.02 * minutes * 60),
        ("requests refused or not sent", "0", str(live.refused(wrote)), command, live.refused(wrote) == 0),
        (f"{COUNTED}: samples missing of the newest minute", "0", str(missing), command, missing == 0),
    ]


def missing_of_newest(server: peers.Running, hosts: int, last_ms: int) -> int:
    """Samples of one metric, of the newest minute that every series has behind it; older ones are with retention."""
    parameters = {"query": f"sum(count_over_time({COUNTED}[60s]))", "time": last_ms // 1000 - live.SCRAPE_SECONDS}
    with urllib.request.urlopen(f"{server.url}/api/v1/query?{urllib.parse.urlencode(parameters)}", timeout=300) as answer:
        result = json.load(answer)["data"]["result"]
    return hosts * COUNTED_PER_HOST * 60 // live.SCRAPE_SECONDS - (int(float(result[0]["value"][1])) if result else 0)


def run(root: pathlib.Path, minutes: int = MINUTES, hosts: int = HOSTS) -> list[tuple]:
    minutes = max(minutes, MINUTES_MIN)
    peerbench = peers.build_peerbench(root)
    petrel = server_of(peers.make_peers(root)[0], minutes)
    work = pathlib.Path(tempfile.mkdtemp(prefix="petrel-background-"))
    try:
        file = work / "requests.pb"
        data = live.make(peerbench, file, hosts, minutes, live.end_of(hosts, minutes, 1))
        with peers.Running(petrel, work / "server", peerbench) as server:
            live.wait_for(data)
            with watch.Watch(server, list(HAPPENED.values())) as seen, Tasks(server, minutes * 60 / (TASKS + 1)) as tasks:
                wrote, trace = live.write(server, file, data, minutes)
            print(f"-- {wrote}", flush=True)
            missing = missing_of_newest(server, hosts, data["last_ms"])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print_charts(seen.moments, trace, tasks)
    return judged(seen.moments, trace, wrote, tasks, missing, minutes)
