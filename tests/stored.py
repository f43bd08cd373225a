"""A day of samples for the tests of the storage's administration, and what a server answers of it."""

import time

QUIET = ("--no-collector.host", "--no-rules.default")
HOUR_MS = 3_600_000
STEP_MS = 300_000
SERIES = 6


def labels(i: int) -> dict[str, str]:
    return {"__name__": "cpu_load" if i % 2 else "mem_used", "host": f"host{i // 2}", "job": "node"}


def value(i: int, t: int) -> float:
    return (t // STEP_MS % 97 + i) / 10


def fill(server, hours: int = 8) -> tuple[int, int]:
    """Writes `hours` of samples in time order, up to the last full two hours; the first and last time in ms."""
    end = int(time.time() * 1000) // (2 * HOUR_MS) * 2 * HOUR_MS - STEP_MS
    begin = end - hours * HOUR_MS
    for chunk in range(begin, end + 1, 12 * STEP_MS):
        times = range(chunk, min(chunk + 12 * STEP_MS, end + 1), STEP_MS)
        answer = server.write([(labels(i), [(t, value(i, t)) for t in times]) for i in range(SERIES)])
        assert answer.status in (200, 204), answer.text
    return begin, end


def later(end: int) -> int:
    """A time that belongs to the two hours after what fill() wrote."""
    return end + STEP_MS + 1000


def everything(server, begin: int, end: int) -> dict:
    """Every stored sample by series."""
    result = server.query_range('{__name__=~"cpu_load|mem_used|.+_total"}', begin / 1000, end / 1000, STEP_MS / 1000)
    return {tuple(sorted(one["metric"].items())): one["values"] for one in result}


def admin(server, what: str, method: str = "POST", **parameters):
    return server.call("/api/v1/admin/tsdb/" + what, method=method, **parameters)
