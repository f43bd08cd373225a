"""The HTTP API as Prometheus's clients use it."""

import time
import urllib.parse

import pytest

from conftest import wait_for

NOW = int(time.time())
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def filled(petrel):
    server = petrel("--no-collector.host", "--no-rules.default")
    series = [({"__name__": name, "job": job, "instance": f"{job}-{n}"}, [(NOW * 1000 - 60_000 + k * 1000, float(k)) for k in range(60)])
              for name in ("requests_total", "errors_total") for job in ("api", "db") for n in range(2)]
    assert server.write(series).status in (200, 204)
    return server


def test_a_query_by_post_is_the_query_by_get(filled):
    parameters = {"query": "sum by (job) (requests_total)", "time": NOW - 1}
    posted = filled.call("/api/v1/query", data=urllib.parse.urlencode(parameters).encode(), headers=FORM)
    assert posted.status == 200
    assert posted.json()["data"] == filled.get("/api/v1/query", **parameters)
    assert posted.json()["data"]["resultType"] == "vector"
    assert [one["value"][1] for one in posted.json()["data"]["result"]] == ["118", "118"]


def test_result_types_are_told(filled):
    for query, kind in (("1", "scalar"), ('"text"', "string"), ("requests_total", "vector"), ("requests_total[10s]", "matrix")):
        assert filled.get("/api/v1/query", query=query, time=NOW)["resultType"] == kind
    result = filled.query_range("requests_total", NOW - 30, NOW - 10, 10)
    assert len(result) == 4 and all(len(one["values"]) == 3 for one in result)


def test_a_time_may_be_a_number_or_rfc_3339(filled):
    at = NOW - 5
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    assert filled.get("/api/v1/query", query="requests_total", time=text) == filled.get(
        "/api/v1/query", query="requests_total", time=at)


def test_labels_and_their_values(filled):
    assert filled.get("/api/v1/labels") == ["__name__", "instance", "job"]
    assert filled.get("/api/v1/label/job/values") == ["api", "db"]
    assert filled.get("/api/v1/label/instance/values", **{"match[]": '{job="db"}'}) == ["db-0", "db-1"]
    assert filled.get("/api/v1/label/__name__/values") == ["errors_total", "requests_total"]
    assert filled.get("/api/v1/label/job/values", start=NOW + 86400, end=NOW + 90000) == []


def test_series_by_one_or_more_selectors(filled):
    found = filled.get("/api/v1/series", **{"match[]": ['requests_total{job="api"}', 'errors_total{instance="db-1"}']})
    assert sorted((one["__name__"], one["instance"]) for one in found) == [
        ("errors_total", "db-1"), ("requests_total", "api-0"), ("requests_total", "api-1")]


def test_status_pages_answer(filled):
    assert filled.get("/api/v1/status/flags")["storage.tsdb.path"]
    assert "startTime" in filled.get("/api/v1/status/runtimeinfo")
    assert filled.get("/api/v1/status/tsdb")["headStats"]["numSeries"] == 8
    assert "yaml" in filled.get("/api/v1/status/config")
    assert filled.get("/api/v1/rules") == {"groups": []} and filled.get("/api/v1/alerts") == {"alerts": []}


def test_its_own_metrics_are_in_the_text_format(filled):
    answer = filled.call("/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    names = {line.split("{")[0].split(" ")[0] for line in lines}
    assert "petrel_build_info" in names
    assert all(name.startswith(("petrel_", "process_")) for name in names), names
    for line in lines:
        float(line.rsplit(" ", 1)[1])


def test_the_webhook_address_is_shown_nowhere(petrel):
    secret = "token-9f3a7c"
    server = petrel("--no-collector.host", f"--alerting.webhook-url=http://127.0.0.1:1/{secret}")
    for path in ("/api/v1/status/flags", "/api/v1/status/config", "/api/v1/status/runtimeinfo", "/metrics"):
        assert secret not in server.call(path).text, path
    assert secret not in server.log()


def test_answers_are_compressed_when_the_client_asks(filled):
    import gzip

    plain = filled.call("/api/v1/query", query="requests_total[1m]", time=NOW)
    packed = filled.call("/api/v1/query", headers={"Accept-Encoding": "gzip"}, query="requests_total[1m]", time=NOW)
    assert packed.headers.get("Content-Encoding") == "gzip"
    assert gzip.decompress(packed.body) == plain.body


def test_a_foreign_page_cannot_write_and_a_foreign_name_is_refused(filled):
    answer = filled.call("/-/reload", method="POST", headers={"Origin": "http://evil.example"})
    assert answer.status == 403
    answer = filled.call("/api/v1/labels", headers={"Host": "evil.example"})
    assert answer.status == 421
    assert filled.call("/api/v1/labels", headers={"Host": f"localhost:{filled.port}"}).status == 200


def test_listening_beyond_loopback_needs_a_waiver(tmp_path):
    from conftest import free_port, run_petrel

    outcome = run_petrel(tmp_path, f"--web.listen-address=0.0.0.0:{free_port()}")
    assert outcome.returncode > 0 and "--web.allow-anonymous" in outcome.stderr


def test_the_ui_comes_out_of_the_binary(filled):
    page = wait_for(lambda: filled.call("/"), 5, "the page")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "Petrel" in page.text
