"""Remote write 2.0: by hand, and from a current Prometheus that sends it everything it has."""

import time

import pytest

import wire
from conftest import ROOT, Petrel, Prometheus, wait_for
from targets import OPENMETRICS, Answer, Targets

CURRENT_PROMETHEUS = ROOT / "peers/prometheus/usr/bin/prometheus"
WRITTEN = [f"X-Prometheus-Remote-Write-{kind}-Written" for kind in ("Samples", "Histograms", "Exemplars")]


def written(answer) -> list[str]:
    return [answer.headers.get(name) for name in WRITTEN]


@pytest.fixture
def petrel(tmp_path):
    server = Petrel(tmp_path / "petrel", "--no-collector.host", "--no-rules.default",
                    "--enable-feature=created-timestamp-zero-ingestion")
    try:
        yield server.start()
    finally:
        server.stop()


def test_both_versions_write_the_same_series(petrel):
    now = int(time.time()) * 1000
    labels = {"__name__": "hits_total", "job": "x", "instance": "a:1"}
    answer = petrel.write([(labels, [(now - 2000, 1.0)])])
    assert answer.status == 204 and written(answer) == [None] * 3
    answer = petrel.call("/api/v1/write", headers=wire.HEADERS_V2,
                         data=wire.write_request_v2([(labels, [(now - 1000, 2.0), (now, 3.0)])]))
    assert (answer.status, answer.body, written(answer)) == (204, b"", ["2", "0", "0"])
    assert petrel.get("/api/v1/status/tsdb")["headStats"]["numSeries"] == 1
    assert petrel.value("count_over_time(hits_total[10s])", now / 1000) == 3


def test_a_partial_write_tells_what_was_written(petrel):
    now = int(time.time()) * 1000
    bad_and_good = [({"job": "x"}, [(now, 1.0)]), ({"__name__": "m"}, [(now, 1.0)])]
    answer = petrel.call("/api/v1/write", headers=wire.HEADERS_V2, data=wire.write_request_v2(bad_and_good))
    assert answer.status == 400 and answer.text.startswith("invalid labels (1); 1 stored\n"), answer.text
    assert written(answer) == ["1", "0", "0"]
    assert petrel.value("m", now / 1000) == 1


def test_a_counter_begins_with_a_zero(petrel):
    now = int(time.time()) * 1000
    request = wire.write_request_v2([({"__name__": "hits_total"}, [(now, 7.0)])], created_ms=now - 30_000)
    answer = petrel.call("/api/v1/write", headers=wire.HEADERS_V2, data=request)
    assert answer.status == 204 and written(answer) == ["1", "0", "0"]
    [series] = petrel.query("hits_total[1m]", now / 1000)
    assert [(round(t * 1000), v) for t, v in series["values"]] == [(now - 30_000, "0"), (now, "7")]


class CurrentPrometheus(Prometheus):
    def command(self) -> list[str]:
        return [str(CURRENT_PROMETHEUS), *super().command()[1:], "--enable-feature="
                "native-histograms,exemplar-storage,metadata-wal-records"]


CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{own}"]}}]
  - job_name: scripted
    static_configs: [{{targets: ["127.0.0.1:{scripted}"]}}]
remote_write:
  - url: {petrel}/api/v1/write
    protobuf_message: io.prometheus.write.v2.Request
    send_exemplars: true
    send_native_histograms: true
    metadata_config: {{send: false}}  # 2.0 has it in every series
    queue_config: {{batch_send_deadline: 200ms}}
"""


def scripted(n: int, _headers=None) -> Answer:
    return Answer("# TYPE c counter\n# HELP c What was counted.\n"
                  f'c_total{{a="b"}} {n} # {{trace_id="x{n}"}} 1\n'
                  "# TYPE h histogram\n# HELP h Classic.\n"
                  + "".join(f'h_bucket{{le="{le}"}} {n}\n' for le in ("0.1", "1.0", "+Inf"))
                  + f"h_sum {n / 2}\nh_count {n}\n# EOF\n", content_type=OPENMETRICS)


def values(result: list[dict]) -> dict:
    return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in result}


@pytest.mark.conformance
def test_a_current_prometheus_sends_everything_it_has(petrel, tmp_path):
    targets = Targets()
    targets.paths["/metrics"] = scripted
    prometheus = CurrentPrometheus(tmp_path / "prometheus", "global: {}")
    (tmp_path / "prometheus" / "prometheus.yml").write_text(
        CONFIG.format(own=prometheus.port, scripted=targets.port, petrel=petrel.url))
    try:
        prometheus.start()
        end = time.time() + 15
        while time.time() < end:
            prometheus.query("up")
            time.sleep(0.2)
        at = time.time() - 2
        wait_for(lambda: petrel.value("min(timestamp(up))") > at + 1, 30, "remote write caught up")

        for query in ('count by (__name__) ({__name__=~".+"})', "c_total", "sum(h_bucket) by (le)",
                      "histogram_count(prometheus_http_request_duration_seconds)",
                      "histogram_quantile(0.9, prometheus_http_request_duration_seconds)",
                      "sum_over_time(c_total[5s])"):
            expected, found = prometheus.query(query, at), petrel.query(query, at)
            assert expected, query
            assert values(found) == pytest.approx(values(expected), rel=1e-9, nan_ok=True), query

        def exemplars(server):
            [series] = server.get("/api/v1/query_exemplars", query="c_total", start=at - 5, end=at)
            return [(one["labels"], one["value"]) for one in series["exemplars"]]
        assert exemplars(petrel) == exemplars(prometheus) and len(exemplars(petrel)) >= 4
        assert petrel.get("/api/v1/metadata", metric="h") == {"h": [{"type": "histogram", "help": "Classic.", "unit": ""}]}

        for kind in ("samples", "histograms", "exemplars"):
            for outcome in ("failed", "retried", "dropped"):
                metric = f"prometheus_remote_storage_{kind}_{outcome}_total"
                assert all(float(one["value"][1]) == 0 for one in prometheus.query(metric)), metric
        # Told by the headers: nothing was sent that was not written.
        assert petrel.value('sum(rate(prometheus_remote_storage_histograms_total[10s]))', at) > 0
        for line in prometheus.log().splitlines():
            assert "remote" not in line or "level=ERROR" not in line and "level=WARN" not in line, line
    finally:
        prometheus.stop()
        targets.stop()
