"""What it costs that series come and go: one percent of them replaced per minute, for an hour.

Two servers at the same time, so that whatever else the machine does is the same for both: one
gets requests in which hosts are replaced by new ones with other names, the other the same
hosts throughout. Both get as many series and samples at the same pace. In the first one the
replaced series have to leave memory again.
"""

import concurrent.futures
import dataclasses
import pathlib
import shutil
import tempfile

import live
import peers
import watch
from scale import Server

HOSTS = 1000          # 500,000 series at a time
MINUTES = 60
CHURN = 1             # percent of the hosts, per minute
# Series without samples for 15 minutes leave memory; that is looked for every five, and what is
# found leaves at the next look.
STALE_MINUTES = 25
# A third of what is left then is a few minutes at least.
JUDGED_MINUTES = STALE_MINUTES + 15

CPU_RATIO_MIN = 0.8
GROWTH_MAX = 1.05
# Active ones, and those of STALE_MINUTES.
SERIES_MAX = 1 + CHURN / 100 * STALE_MINUTES + 0.05
METRICS = ["petrel_tsdb_head_series", "petrel_tsdb_series_created_total", "petrel_tsdb_series_evicted_total"]


@dataclasses.dataclass
class Run:
    wrote: dict
    moments: list[watch.Moment]
    missing: int
    trace: list[dict] = dataclasses.field(default_factory=list)

    def of(self, metric: str) -> list[float]:
        return [moment.metrics[metric] for moment in self.moments]

    def anonymous(self) -> list[float]:
        return watch.mib([moment.anonymous for moment in self.moments])

    def settled(self) -> list[float]:
        """Anonymous memory after the stale window, in MiB."""
        begin = self.moments[0].unix_s + STALE_MINUTES * 60
        return watch.mib([moment.anonymous for moment in self.moments if moment.unix_s >= begin])

    def per_cpu_s(self) -> float:
        return self.wrote["samples_per_server_cpu_s_settled"]


def server_of(name: str, petrel: peers.Peer, peerbench: str, work: pathlib.Path) -> Server:
    # A control group is named after its peer.
    return Server(peers.Peer(f"petrel-{name}", petrel.version_command, petrel.command), work / name, peerbench)


def run_one(name: str, server: Server, work: pathlib.Path, data: dict, minutes: int) -> Run:
    file = work / f"{name}.pb"
    live.wait_for(data)
    with watch.Watch(server, METRICS) as seen:
        wrote, trace = live.write(server, file, data, minutes)
    print(f"-- {name}: {wrote}", flush=True)
    return Run(wrote, seen.moments, server.missing(file), trace)


def print_charts(runs: dict[str, Run]) -> None:
    print("\n   one column per part of the run, the largest value of each part")
    for name, run in runs.items():
        groups = watch.mib([moment.group for moment in run.moments])
        print(watch.chart(f"{name}: series in memory", run.of("petrel_tsdb_head_series"), ""))
        print(watch.chart(f"{name}: anonymous memory", run.anonymous(), "MiB"))
        print(watch.chart(f"{name}: control group", groups, "MiB"))
        # Series leave memory under the locks of those who write.
        print(watch.chart(f"{name}: answer max", [window["max_ms"] for window in run.trace], "ms"), flush=True)


def judged(runs: dict[str, Run], minutes: int, series: int) -> list[tuple]:
    """Rows of (name, asked, reached, command, passed)."""
    command = f"./gates churn --minutes {minutes}"
    churn, steady = runs["churn"], runs["steady"]
    ratio = churn.per_cpu_s() / steady.per_cpu_s()
    created = churn.of("petrel_tsdb_series_created_total")[-1]
    most = max(churn.of("petrel_tsdb_head_series")) / series
    is_long = minutes >= JUDGED_MINUTES
    grown = {name: watch.thirds(run.settled()) for name, run in runs.items()}
    growth = {name: last / first for name, (first, last) in grown.items()}
    against = growth["churn"] / growth["steady"]
    sizes = "; ".join(f"{name} {first:.0f} to {last:.0f} MiB" for name, (first, last) in grown.items())
    short = f"not judged: shorter than {JUDGED_MINUTES} minutes"
    refused = sum(live.refused(run.wrote) for run in runs.values())
    return [
        ("samples per server-CPU-second, beside no churn", f">= {CPU_RATIO_MIN}x",
         f"{ratio:.2f}x ({churn.per_cpu_s() / 1e6:.2f} : {steady.per_cpu_s() / 1e6:.2f} M/s)", command, ratio >= CPU_RATIO_MIN),
        ("memory, last third : first third, beside no churn", f"<= {GROWTH_MAX}x",
         f"{against:.3f}x ({sizes})" if is_long else short, command, not is_long or against <= GROWTH_MAX),
        ("series in memory : active series, at most", f"<= {SERIES_MAX:.2f}x",
         f"{most:.2f}x, {churn.of('petrel_tsdb_series_evicted_total')[-1]:,.0f} left" if is_long else f"{most:.2f}x; {short}",
         command, not is_long or most <= SERIES_MAX),
        ("series that came", f"{CHURN} % per minute", f"{created - series:,.0f} beside {series:,}", command,
         created - series >= 0.9 * series * CHURN / 100 * (minutes - 1)),
        ("pace kept", f"{minutes * 60} s", f"{churn.wrote['wall_s']:.0f} s", command, churn.wrote["wall_s"] <= 1.02 * minutes * 60),
        ("requests refused or not sent, samples missing", "0, 0", f"{refused}, {sum(run.missing for run in runs.values())}", command,
         refused == 0 and not any(run.missing for run in runs.values())),
    ]


def run(root: pathlib.Path, minutes: int = MINUTES, hosts: int = HOSTS) -> list[tuple]:
    peerbench = peers.build_peerbench(root)
    petrel = peers.make_peers(root)[0]
    work = pathlib.Path(tempfile.mkdtemp(prefix="petrel-churn-"))
    try:
        end = live.end_of(hosts, minutes, 2)
        data = {name: live.make(peerbench, work / f"{name}.pb", hosts, minutes, end, "--churn", str(percent))
                for name, percent in {"churn": CHURN, "steady": 0}.items()}
        # Both before the hour begins: one that does not start ends the gate at once.
        with (server_of("churn", petrel, peerbench, work) as churn, server_of("steady", petrel, peerbench, work) as steady,
              concurrent.futures.ThreadPoolExecutor(2) as both):
            started = {name: both.submit(run_one, name, server, work, data[name], minutes)
                       for name, server in {"churn": churn, "steady": steady}.items()}
            runs = {name: one.result() for name, one in started.items()}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print_charts(runs)
    return judged(runs, minutes, hosts * live.SERIES_PER_HOST)
