"""Petrel answers as Prometheus does: a real Prometheus scrapes a real node_exporter and
itself, remote-writes every sample to Petrel, and both are asked the same questions."""

import math
import pathlib
import time

import pytest

from conftest import NodeExporter, Prometheus, wait_for

QUERIES = [line for line in (pathlib.Path(__file__).parent / "data/queries.txt").read_text().splitlines()
           if line and not line.startswith("#")]
RELATIVE_ERROR_MAX = 1e-9

# Long enough for the longest window below, at one sample a second.
SCRAPE_SECONDS = 34
RANGE_SECONDS = 12
STEP_SECONDS = 2

CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{node}"]}}]
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{own}"]}}]
remote_write:
  - url: {petrel}/api/v1/write
    # One sender keeps the order: once Petrel has a late sample, it has the earlier ones.
    queue_config: {{min_shards: 1, max_shards: 1, batch_send_deadline: 200ms}}
"""


class Peers:
    def __init__(self, petrel, prometheus, at: float):
        self.petrel = petrel
        self.prometheus = prometheus
        self.at = at


def off_the_scrape_grid(server, at: float) -> float:
    """A time near `at`, milliseconds apart from every sample and every whole second.

    Prometheus 2 takes the sample on the left edge of a window into it and Prometheus 3
    does not. With windows and steps of whole seconds no sample lies on an edge here.
    """
    taken = sorted({round(float(one["value"][1]) % 1, 3)
                    for one in server.query("timestamp(up)", at)} | {0.0})
    gaps = [(b - a, a) for a, b in zip(taken, [*taken[1:], 1.0])]
    width, left = max(gaps)
    return math.floor(at) + round(left + width / 2, 3)


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    from conftest import Petrel

    folder = tmp_path_factory.mktemp("peers")
    servers = []
    try:
        node = NodeExporter(folder / "node")
        servers.append(node)
        node.start()
        petrel = Petrel(folder / "petrel", "--no-collector.host", "--no-rules.default")
        servers.append(petrel)
        petrel.start()
        prometheus = Prometheus(folder / "prometheus", "global: {}")
        config = CONFIG.format(node=node.port, own=prometheus.port, petrel=petrel.url)
        (folder / "prometheus" / "prometheus.yml").write_text(config)
        servers.append(prometheus)
        prometheus.start()

        end = time.time() + SCRAPE_SECONDS
        while time.time() < end:
            # The peer's own request histogram gets something to count.
            prometheus.query("up")
            time.sleep(0.5)
        at = off_the_scrape_grid(prometheus, time.time() - 2)
        wait_for(lambda: petrel.value("min(timestamp(up))") > at + 1, 30, "remote write caught up")
        yield Peers(petrel, prometheus, at)
    finally:
        for server in reversed(servers):
            server.stop()


def by_labels(result: list[dict]) -> dict:
    return {tuple(sorted(one["metric"].items())): one for one in result}


def points(one: dict) -> list[tuple[float, float]]:
    return [(float(t), float(v)) for t, v in (one["values"] if "values" in one else [one["value"]])]


def same(expected: float, actual: float) -> bool:
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    return expected == actual or math.isclose(expected, actual, rel_tol=RELATIVE_ERROR_MAX, abs_tol=1e-12)


def differences(expected: list[dict], actual: list[dict]):
    wanted, got = by_labels(expected), by_labels(actual)
    for labels in sorted(wanted.keys() - got.keys()):
        yield f"missing: {dict(labels)} {points(wanted[labels])}"
    for labels in sorted(got.keys() - wanted.keys()):
        yield f"unexpected: {dict(labels)} {points(got[labels])}"
    for labels in sorted(wanted.keys() & got.keys()):
        ours, theirs = points(got[labels]), points(wanted[labels])
        if [t for t, _ in ours] != [t for t, _ in theirs] or not all(same(a, b) for (_, a), (_, b) in zip(theirs, ours)):
            yield f"{dict(labels)}: Prometheus {theirs}, Petrel {ours}"


def test_there_are_forty_queries():
    assert len(QUERIES) == 40 and len(set(QUERIES)) == 40


def test_every_series_and_sample_arrived(peers):
    both = [{series["metric"]["__name__"]: float(series["value"][1])
             for series in server.query('count by (__name__) ({__name__=~".+"})', peers.at)}
            for server in (peers.prometheus, peers.petrel)]
    assert both[0] == both[1]
    assert sum(both[0].values()) > 300
    window = f"[{SCRAPE_SECONDS - 10}s]"
    for name in ("node_cpu_seconds_total", "node_load1", "node_network_receive_bytes_total", "up"):
        counts = [server.query(f"count_over_time({name}{window})", peers.at)
                  for server in (peers.prometheus, peers.petrel)]
        assert list(differences(*counts)) == [], name
        assert float(counts[0][0]["value"][1]) >= SCRAPE_SECONDS - 14


@pytest.mark.parametrize("expression", QUERIES, ids=[f"query{number}" for number in range(1, len(QUERIES) + 1)])
def test_the_same_answer_as_prometheus(peers, expression):
    expected = peers.prometheus.query(expression, peers.at)
    found = list(differences(expected, peers.petrel.query(expression, peers.at)))
    assert not found, f"instant {expression} at {peers.at}:\n" + "\n".join(found[:10])

    start = peers.at - RANGE_SECONDS
    expected_range = peers.prometheus.query_range(expression, start, peers.at, STEP_SECONDS)
    found = list(differences(expected_range, peers.petrel.query_range(expression, start, peers.at, STEP_SECONDS)))
    assert not found, f"range {expression} from {start} to {peers.at}:\n" + "\n".join(found[:10])
    assert expected or expected_range, f"{expression} selects nothing: it proves nothing"
