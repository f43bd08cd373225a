"""What takes the room: Prometheus's and Mimir's endpoints, the report, and yesterday."""

import struct
import time
import urllib.parse

import pytest

from conftest import wait_for

HOUR = 3600
QUIET = ("--no-collector.host", "--no-rules.default")


def now_ms() -> int:
    return int(time.time() * 1000)


def series(metric, count, job="api", instance="h:1", label="id"):
    return [({"__name__": metric, "job": job, "instance": instance, label: str(i)}, [(now_ms(), float(i))])
            for i in range(count)]


def write(server, *groups):
    assert server.write([one for group in groups for one in group]).status in (200, 204)


@pytest.fixture
def filled(petrel):
    server = petrel(*QUIET)
    write(server, series("requests_total", 5), series("errors_total", 2, instance="h:2"),
          [({"__name__": "bare"}, [(now_ms(), 1.0)])])
    return server


def mimir(server, path, **parameters):
    answer = server.call(f"/api/v1/cardinality/{path}?" + urllib.parse.urlencode(parameters, doseq=True))
    return answer.status, answer.json()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def text(value: bytes) -> bytes:
    return varint(len(value)) + value


def record_file(tenants: dict) -> bytes:
    """The file of docs/formats/cardinality.md, written from the page: tenant -> (age in seconds, series, lists)."""
    body = b"PTLCARD\x01" + varint(len(tenants))
    for tenant, (age, total, lists) in sorted(tenants.items()):
        body += text(tenant.encode()) + varint(1) + varint((now_ms() - age * 1000) << 1) + varint(total)
        for floor, counts in lists:
            body += varint(floor) + varint(len(counts))
            for name, count in counts:
                body += text(name) + varint(count)
    return body + struct.pack("<I", crc32c(body))


def line(lines, **wanted):
    found = [one for one in lines if wanted.items() <= one.items()]
    assert len(found) == 1, (wanted, lines)
    return found[0]


def test_the_status_of_the_storage_is_prometheuss(filled):
    status = filled.get("/api/v1/status/tsdb")
    assert set(status) == {"headStats", "seriesCountByMetricName", "labelValueCountByLabelName",
                           "memoryInBytesByLabelName", "seriesCountByLabelValuePair"}
    head = status["headStats"]
    assert (head["numSeries"], head["numLabelPairs"]) == (8, 3 + 1 + 2 + 5)
    assert abs(head["maxTime"] - now_ms()) < 60_000
    assert status["seriesCountByMetricName"] == [
        {"name": "requests_total", "value": 5}, {"name": "errors_total", "value": 2}, {"name": "bare", "value": 1}]
    assert status["labelValueCountByLabelName"][0] == {"name": "id", "value": 5}
    assert {"name": "instance", "value": len("h:1h:2")} in status["memoryInBytesByLabelName"]
    assert status["seriesCountByLabelValuePair"][0] == {"name": "job=api", "value": 7}
    assert len(filled.get("/api/v1/status/tsdb", limit=1)["seriesCountByMetricName"]) == 1
    for limit, words in ((0, "limit must be a positive number"), ("x", "limit must be a positive number"),
                         (10001, "limit must not exceed 10000")):
        answer = filled.call(f"/api/v1/status/tsdb?limit={limit}")
        assert (answer.status, answer.json()["errorType"], answer.json()["error"]) == (400, "bad_data", words)


def test_an_empty_storage_has_no_times(petrel):
    head = petrel(*QUIET).get("/api/v1/status/tsdb")["headStats"]
    assert head == {"numSeries": 0, "numLabelPairs": 0, "chunkCount": 0, "minTime": 2**63 - 1, "maxTime": -2**63}


def test_mimirs_endpoints(filled):
    assert mimir(filled, "label_names", limit=1) == (200, {
        "label_values_count_total": 11, "label_names_count": 4,
        "cardinality": [{"label_name": "id", "label_values_count": 5}]})
    assert mimir(filled, "label_names", selector='{instance="h:2"}')[1]["label_values_count_total"] == 1 + 1 + 1 + 2
    status, answer = mimir(filled, "label_values", **{"label_names[]": ["instance", "job"], "selector": "requests_total"})
    assert status == 200 and answer == {"series_count_total": 8, "labels": [
        {"label_name": name, "label_values_count": 1, "series_count": 5,
         "cardinality": [{"label_value": value, "series_count": 5}]} for name, value in (("instance", "h:1"), ("job", "api"))]}
    status, answer = mimir(filled, "active_series", selector="errors_total")
    assert status == 200 and sorted(one["id"] for one in answer["data"]) == ["0", "1"]
    assert answer["data"][0]["__name__"] == "errors_total"
    posted = filled.call("/api/v1/cardinality/label_names", data=b"selector=bare",
                         headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert posted.json()["label_names_count"] == 1
    status, answer = mimir(filled, "active_series")
    assert (status, answer["error"]) == (400, "missing 'selector' parameter")


def test_who_makes_series_come_is_in_the_report(filled):
    report = filled.get("/api/v1/cardinality/report")
    assert report["since"] is None and report["seriesBefore"] is None
    assert line(report["metrics"], name="requests_total") == {
        "name": "requests_total", "count": 5, "before": None, "change": None, "atLeast": False}
    assert line(report["targets"], job="api", instance="h:2")["count"] == 2
    assert line(report["targets"], job="", instance="")["count"] == 1
    before = report["churn"]["created"]
    assert before == 8 and report["churn"]["gone"] == 0
    for round_ in range(3):
        write(filled, series("churned", 20, job="batch", instance="b:1", label=f"run_{round_}"))
    churn = filled.get("/api/v1/cardinality/report")["churn"]
    assert churn["created"] == before + 60 and not churn["estimated"]
    assert churn["metrics"][0] == {"name": "churned", "created": 60, "gone": 0, "missed": 0}
    assert churn["targets"][0] == {"job": "batch", "instance": "b:1", "created": 60, "gone": 0, "missed": 0}
    assert "petrel_tsdb_series_created_total 68" in filled.call("/metrics").text
    # Known series are nobody's churn.
    write(filled, series("requests_total", 5))
    assert filled.get("/api/v1/cardinality/report")["churn"]["created"] == before + 60


def test_series_that_leave_the_memory_are_gone(petrel):
    server = petrel(*QUIET, "--web.enable-admin-api")
    past = now_ms() - 5 * HOUR * 1000
    old = [({"__name__": "old", "id": str(i)}, [(past, 1.0)]) for i in range(7)]
    assert server.write(old).status in (200, 204)
    write(server, series("young", 3))
    assert server.call("/api/v1/admin/tsdb/flush", method="POST").status == 200

    def gone():
        write(server, series("young", 3))
        churn = server.get("/api/v1/cardinality/report")["churn"]
        return churn if churn["gone"] >= 7 else None

    churn = wait_for(gone, 30, "the old series leave the memory")
    assert line(churn["metrics"], name="old")["gone"] == 7


def test_a_restart_keeps_yesterday(petrel, tmp_path):
    folder = tmp_path / "kept"
    server = petrel(*QUIET, folder=folder)
    write(server, series("requests_total", 5), series("new_total", 4))
    server.stop()
    target = b"api\xffh:1"
    (folder / "data/cardinality").write_bytes(record_file({
        "default": (26 * HOUR, 40, [(0, [(b"requests_total", 2), (b"left_total", 3)]), (0, [(b"id", 9)]),
                                    (1, [(b"job=api", 3)]), (0, [(target, 3)])]),
        "other": (26 * HOUR, 1000, [(0, [(b"requests_total", 999), (b"theirs", 1)]), (0, []), (0, []), (0, [])])}))
    server.start()
    report = server.get("/api/v1/cardinality/report", limit=50)
    assert report["seriesBefore"] == 40 and report["series"] == 9
    age = time.time() - time.mktime(time.strptime(report["since"].split(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")) + time.timezone
    assert 25.9 * HOUR < age < 26.2 * HOUR
    assert line(report["metrics"], name="requests_total")["change"] == 3
    assert line(report["metrics"], name="new_total") == {
        "name": "new_total", "count": 4, "before": 0, "change": 4, "atLeast": False}
    assert line(report["metrics"], name="left_total")["change"] == -3
    assert line(report["labels"], name="id")["change"] == 5 - 9
    assert line(report["pairs"], name="instance=h:1") == {
        "name": "instance=h:1", "count": 9, "before": None, "change": 8, "atLeast": True}
    assert line(report["targets"], job="api", instance="h:1")["change"] == 6
    assert "theirs" not in str(report)
    # The record of today joins it, and both outlive a kill.
    wait_for(lambda: b"new_total" in (folder / "data/cardinality").read_bytes(), 20, "the first record of this life")
    server.kill()
    server.start()
    assert server.get("/api/v1/cardinality/report")["seriesBefore"] == 40
    assert b"theirs" in (folder / "data/cardinality").read_bytes()


def test_a_damaged_record_is_begun_anew(petrel, tmp_path):
    folder = tmp_path / "damaged"
    server = petrel(*QUIET, folder=folder)
    write(server, series("requests_total", 5))
    server.stop()
    good = record_file({"default": (26 * HOUR, 40, [(0, [])] * 4)})
    path = folder / "data/cardinality"
    path.write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:])
    server.start()
    assert server.get("/api/v1/cardinality/report")["since"] is None
    assert "counts of yesterday are lost" in server.log() and "bad checksum" in server.log()
    wait_for(lambda: b"requests_total" in path.read_bytes(), 20, "a new record")


def test_the_page_of_the_counts(filled):
    for path in ("/cardinality", "/tsdb-status"):
        page = filled.call(path)
        assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
