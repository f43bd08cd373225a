"""What is pushed can be read back, exactly, whichever form it came in."""

import gzip
import json
import math
import time

import pytest

import wire
from conftest import wait_for

NOW = int(time.time())


@pytest.fixture
def quiet(petrel):
    return petrel("--no-collector.host", "--no-rules.default")


def pushed(answer):
    assert answer.status in (200, 204), f"{answer.status}: {answer.text}"


def test_a_json_point_with_labels_as_text_is_stored(quiet):
    point = {"metric_name": "cpu.load", "labels": "host:i631,env:prod", "timestamp": NOW, "value": 0.29}
    pushed(quiet.call("/api/v1/import/json", data=json.dumps(point).encode()))
    [series] = quiet.query("cpu.load", NOW)
    assert series["metric"] == {"__name__": "cpu.load", "host": "i631", "env": "prod"}
    assert float(series["value"][1]) == 0.29


def test_json_comes_as_object_array_or_lines(quiet):
    points = [{"metric_name": "m", "labels": {"n": str(n)}, "timestamp": NOW, "value": n} for n in range(6)]
    pushed(quiet.call("/api/v1/import/json", data=json.dumps(points[0]).encode()))
    pushed(quiet.call("/api/v1/import/json", data=json.dumps(points[1:3]).encode()))
    pushed(quiet.call("/api/v1/import/json", data="\n".join(map(json.dumps, points[3:])).encode()))
    assert {series["metric"]["n"]: float(series["value"][1]) for series in quiet.query("m", NOW)} == {
        str(n): n for n in range(6)}


def test_lines_are_stored_and_comments_skipped(quiet):
    body = f"""\
# from the requirement, moved to today
CPU.load host=webserver01,region=us-west {NOW} 50
CPU.load host=webserver01,region=us-west {NOW + 1} 62

up - {NOW} 1
"""
    pushed(quiet.call("/api/v1/import/lines", data=body.encode()))
    assert quiet.value('CPU.load{host="webserver01",region="us-west"}', NOW) == 50
    assert quiet.value("CPU.load", NOW + 1) == 62
    assert quiet.query("up", NOW)[0]["metric"] == {"__name__": "up"}


@pytest.mark.parametrize("path", ["/api/v1/write", "/api/v1/push"])
def test_remote_write_keeps_every_bit_of_every_value(quiet, path):
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 123456789.123456789, 2**53 + 1.0]
    series = [({"__name__": "bits", "n": str(n)}, [(NOW * 1000, value)]) for n, value in enumerate(values)]
    pushed(quiet.call(path, data=wire.write_request(series), headers=wire.HEADERS))
    stored = {int(one["metric"]["n"]): float(one["value"][1]) for one in quiet.query("bits", NOW)}
    assert {n: math.copysign(1, value) * abs(value) for n, value in enumerate(values)} == stored
    assert math.copysign(1, stored[1]) == -1, "minus zero keeps its sign"


def test_all_samples_of_a_series_come_back_in_order(quiet):
    start = NOW * 1000 - 3_600_000
    samples = [(start + n * 1000 + n * n % 7, math.sin(n)) for n in range(3000)]
    pushed(quiet.write([({"__name__": "wave"}, samples)]))
    [series] = quiet.query("wave[2h]", NOW)
    assert [(round(t * 1000), float(v)) for t, v in series["values"]] == samples


def test_samples_that_come_out_of_order_are_put_in_order(quiet):
    base = NOW * 1000 - 60_000
    for offset in (30_000, 10_000, 50_000, 0, 20_000):
        pushed(quiet.write([({"__name__": "late"}, [(base + offset, float(offset))])]))
    [series] = quiet.query("late[5m]", NOW)
    assert [float(v) for _, v in series["values"]] == [0, 10_000, 20_000, 30_000, 50_000]


def test_utf8_names_and_values_survive(quiet):
    labels = {"__name__": "température", "ort": "Zürich 🐦", "quote": 'a"b\\c\nd'}
    pushed(quiet.write([(labels, [(NOW * 1000, 21.5)])]))
    assert quiet.query('{"température"}', NOW)[0]["metric"] == labels
    assert quiet.get("/api/v1/label/ort/values") == ["Zürich 🐦"]


def test_a_stale_marker_ends_a_series_at_once(quiet):
    import struct

    marker = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    pushed(quiet.write([({"__name__": "gone"}, [(NOW * 1000 - 10_000, 1.0), (NOW * 1000 - 5_000, marker)])]))
    assert len(quiet.query("gone", NOW - 6)) == 1
    assert quiet.query("gone", NOW - 4) == []


def test_a_gzipped_json_body_is_read(quiet):
    body = gzip.compress(json.dumps({"metric_name": "zipped", "timestamp": NOW, "value": 7}).encode())
    pushed(quiet.call("/api/v1/import/json", data=body, headers={"Content-Encoding": "gzip"}))
    assert quiet.value("zipped", NOW) == 7


def test_metadata_that_prometheus_sends_is_served(quiet):
    metadata = b"\x08\x01" + wire.field(2, b"requests_total") + wire.field(4, b"Requests.") + wire.field(5, b"")
    pushed(quiet.call("/api/v1/write", data=wire.snappy(wire.field(3, metadata)), headers=wire.HEADERS))
    wait_for(lambda: quiet.get("/api/v1/metadata").get("requests_total"), 5, "metadata")
    [entry] = quiet.get("/api/v1/metadata", metric="requests_total")["requests_total"]
    assert entry["type"] == "counter" and entry["help"] == "Requests."


def test_a_refusal_says_when_the_sample_is_from_and_what_would_be_taken(quiet):
    pushed(quiet.call("/api/v1/import/lines", data=f"cpu.load host=a {NOW} 1".encode()))

    def refused(time_s, value):
        answer = quiet.call("/api/v1/import/lines", data=f"cpu.load host=a {time_s} {value}".encode())
        assert answer.status == 400
        return json.loads(answer.text)["error"].splitlines()[1]

    def utc(time_s):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_s))

    old = refused(1613707265, 50)
    assert '{"cpu.load", host="a"} at 1613707265000 (2021-02-19T04:01:05Z): too old' in old
    assert f"from {utc(NOW - 3600)}" in old, "the out-of-order window"
    assert f"({utc(NOW + 7200)}Z): too far ahead of the clock" in refused(NOW + 7200, 1)
    assert "another value is stored for this time" in refused(NOW, 2)


def test_everything_is_there_after_a_kill(quiet):
    series = [({"__name__": "kept", "n": str(n)}, [(NOW * 1000 + k, float(n * k)) for k in range(10)]) for n in range(500)]
    pushed(quiet.write(series))
    quiet.kill()
    quiet.start()
    assert quiet.value("count(kept)", NOW + 1) == 500
    assert quiet.value("sum(count_over_time(kept[10s]))", NOW + 1) == 5000
    assert quiet.value("sum(kept)", NOW + 1) == sum(9 * n for n in range(500))


def test_new_series_above_the_limit_are_refused_and_known_ones_go_on(petrel):
    server = petrel("--no-collector.host", "--storage.tsdb.series-limit=2")
    lines = "\n".join(f"limited host=h{number} {NOW} 1" for number in range(3))
    answer = server.call("/api/v1/import/lines", data=lines.encode())
    assert answer.status == 400 and "2 stored" in answer.text and "series limit of 2 reached" in answer.text, answer.text
    pushed(server.call("/api/v1/import/lines", data=f"limited host=h0 {NOW + 1} 2".encode()))
    assert server.value("count(limited)", NOW + 1) == 2
