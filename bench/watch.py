"""A server watched while it runs: memory, CPU and its own counters every ten seconds, as charts."""

import dataclasses
import math
import os
import re
import statistics
import threading
import time
import urllib.request

import peers
from peers import MIB

EVERY_S = 10
CHART_WIDTH = 60
BARS = "▁▂▃▄▅▆▇█"


@dataclasses.dataclass
class Moment:
    unix_s: float
    group: int | None     # bytes of the control group with the page cache of its files, the most since the moment before
    anonymous: int        # bytes of the process itself
    cpu_s: float
    metrics: dict[str, float]


def parse_metrics(text: str, names: list[str]) -> dict[str, float]:
    """The sum of each named metric over its series; one that is not there is 0."""
    sums = dict.fromkeys(names, 0.0)
    for line in text.splitlines():
        found = re.match(r"([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)(?: -?\d+)?$", line)
        if found and found.group(1) in sums:
            sums[found.group(1)] += float(found.group(2))
    return sums


def read_metrics(url: str, names: list[str]) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        return parse_metrics(answer.read().decode(), names)


def anonymous_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        found = re.search(r"^RssAnon:\s+(\d+) kB$", status.read(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch(threading.Thread):
    """Looks at a server until it is stopped; `moments` may be read after that."""

    def __init__(self, server: peers.Running, metrics: list[str], every_s: float = EVERY_S):
        super().__init__(daemon=True)
        self.server, self.metrics, self.every_s = server, metrics, every_s
        self.moments: list[Moment] = []
        self.ended = threading.Event()

    def look(self) -> Moment:
        pid = self.server.process.pid
        return Moment(time.time(), self.server.group.take_peak(), anonymous_bytes(pid), cpu_seconds(pid),
                      read_metrics(self.server.url, self.metrics) if self.metrics else {})

    def run(self) -> None:
        due = time.monotonic()
        while not self.ended.wait(max(0, due - time.monotonic())):
            due += self.every_s
            try:
                self.moments.append(self.look())
            except OSError as trouble:  # a server that is too busy to answer is seen in the latencies
                print(f"-- not seen at {time.strftime('%H:%M:%S')}: {trouble}", flush=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def binned(values: list[float], width: int = CHART_WIDTH) -> list[float]:
    """The largest of each of `width` parts: a peak of one moment stays to be seen."""
    count = min(width, len(values))
    return [max(values[len(values) * i // count:len(values) * (i + 1) // count]) for i in range(count)]


def bars(values: list[float], top: float) -> str:
    highest = len(BARS) - 1
    return "".join(BARS[min(highest, max(0, math.ceil(value / top * len(BARS)) - 1))] if top > 0 else BARS[0] for value in values)


def chart(name: str, values: list[float], unit: str) -> str:
    """One line: bars from 0 to the largest value, which stands behind them."""
    if not values:
        return f"{name:34} nothing seen"
    return f"{name:34} {bars(binned(values), max(values)):{CHART_WIDTH}} min {min(values):.4g} max {max(values):.4g} {unit}"


def thirds(values: list[float]) -> tuple[float, float]:
    """Medians of the first and the last third; not a number without three values."""
    third = len(values) // 3
    if third == 0:
        return float("nan"), float("nan")
    return statistics.median(values[:third]), statistics.median(values[-third:])


def mib(values: list[int | None]) -> list[float]:
    return [value / MIB for value in values if value is not None]
