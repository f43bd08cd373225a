"""Whatever comes in: a clear error that names place and value, nothing lost, no crash."""

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.parse

import pytest

import wire
from conftest import free_port, run_petrel, wait_for

NOW_MS = int(time.time() * 1000)


@pytest.fixture
def quiet(petrel):
    """Petrel without samples of its own."""
    return petrel("--no-collector.host", "--no-rules.default")


def error_of(answer, status: int = 400) -> str:
    assert answer.status == status, f"{answer.status}: {answer.text}"
    try:
        document = answer.json()
    except json.JSONDecodeError:
        return answer.text
    assert document["status"] == "error" and document["errorType"], document
    return document["error"]


def assert_alive_and_empty(server):
    assert server.is_running()
    assert server.call("/-/ready").status == 200
    assert server.query('count({__name__=~".+"})') == []


def good_message() -> bytes:
    series = wire.time_series({"__name__": "m", "job": "j"}, [(NOW_MS, 1.0)])
    return wire.field(1, series)


def push(server, message: bytes, compressed: bool = False):
    body = message if compressed else wire.snappy(message)
    return server.call("/api/v1/write", data=body, headers=wire.HEADERS)


# ---- remote write


@pytest.mark.parametrize("body", [
    b"",
    b"not snappy at all",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    wire.snappy(good_message())[:-1],
    # Announces 4 GiB in five bytes.
    wire.varint(0xFFFFFFFF) + b"\x00",
    # A copy from before the beginning.
    wire.varint(8) + bytes([0x01 | 4 << 2, 200]),
], ids=["empty", "text", "endless length", "cut", "bomb", "copy from nowhere"])
def test_malformed_snappy_is_refused(quiet, body):
    answer = push(quiet, body, compressed=True)
    if body == b"":
        # No bytes decompress to no series: either answer is fair, a crash is not.
        assert answer.status in (200, 204, 400)
    else:
        # A bomb is too large; the others are no snappy.
        assert answer.status in (400, 413)
        assert re.search("snappy|decompress", error_of(answer, answer.status).lower()), answer.text
    assert_alive_and_empty(quiet)


def test_a_message_cut_at_any_byte_is_refused_or_empty(quiet):
    message = good_message()
    for size in range(1, len(message)):
        assert error_of(push(quiet, message[:size])), size
    assert_alive_and_empty(quiet)


@pytest.mark.parametrize("series,expected", [
    (wire.time_series({"job": "j"}, [(NOW_MS, 1.0)]), "name"),
    (wire.time_series({"__name__": "m", "job": "\xff"}, [(NOW_MS, 1.0)]).replace("\xff".encode(), b"\xff\xfe"), "utf-8"),
    (wire.field(1, wire.field(1, b"__name__") + wire.field(2, b"m")) +
     wire.field(1, wire.field(1, b"a") + wire.field(2, b"1")) * 2 + wire.field(2, wire.sample(1.0, NOW_MS)), "a"),
], ids=["no metric name", "no utf-8", "label twice"])
def test_a_series_that_breaks_the_data_model_is_refused_with_the_reason(quiet, series, expected):
    assert expected in error_of(push(quiet, wire.field(1, series))).lower()
    assert_alive_and_empty(quiet)


def test_the_good_series_of_a_request_with_a_bad_one_are_kept(quiet):
    bad = wire.field(1, wire.time_series({"job": "j"}, [(NOW_MS, 1.0)]))
    assert error_of(push(quiet, good_message() + bad))
    assert quiet.value("m") == 1


def test_samples_far_in_the_future_are_refused(quiet):
    ahead = NOW_MS + 24 * 3600 * 1000
    assert error_of(quiet.write([({"__name__": "m"}, [(ahead, 1.0)])]))
    assert_alive_and_empty(quiet)


def test_a_second_value_at_the_same_time_is_refused_and_the_first_one_stays(quiet):
    labels = {"__name__": "m"}
    assert quiet.write([(labels, [(NOW_MS, 1.0)])]).status in (200, 204)
    assert quiet.write([(labels, [(NOW_MS, 1.0)])]).status in (200, 204), "the same again is no conflict"
    assert error_of(quiet.write([(labels, [(NOW_MS, 2.0)])]))
    assert quiet.value("m", NOW_MS / 1000) == 1


def test_a_wrong_encoding_or_version_is_refused(quiet):
    headers = dict(wire.HEADERS, **{"Content-Encoding": "lzma"})
    answer = quiet.call("/api/v1/write", data=wire.snappy(good_message()), headers=headers)
    assert answer.status in (400, 415) and answer.text
    assert_alive_and_empty(quiet)


# ---- JSON and lines


@pytest.mark.parametrize("body,expected", [
    (b"{", None),
    (b"nonsense", None),
    (b"[1, 2", None),
    (b'{"metric_name": 5, "value": 1}', "metric_name"),
    (b'{"value": 1}', "metric_name"),
    (b'{"metric_name": "m"}', "value"),
    (b'{"metric_name": "m", "value": "many"}', "many"),
    (b'{"metric_name": "m", "value": 1, "timestamp": "yesterday"}', "timestamp"),
    (b'{"metric_name": "m", "value": 1, "labels": "nocolon"}', "nocolon"),
    (b'{"metric_name": "m", "value": 1, "valeu": 2}', "valeu"),
    (b'{"metric_name": "m", "value": 1, "labels": {"a": [1]}}', "a"),
    (b"[" * 100000, None),
    (b"\xff\xfe\x00", None),
], ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "")
def test_malformed_json_is_refused_and_the_field_is_named(quiet, body, expected):
    message = error_of(quiet.call("/api/v1/import/json", data=body))
    assert message and (expected is None or expected in message), message
    assert_alive_and_empty(quiet)


def test_a_bad_json_line_is_named_and_the_good_ones_are_kept(quiet):
    lines = [{"metric_name": "good", "labels": {"line": "1"}, "value": 1},
             {"metric_name": "bad", "value": "x"},
             {"metric_name": "good", "labels": {"line": "3"}, "value": 3}]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    assert "2" in error_of(quiet.call("/api/v1/import/json", data=body))
    wait_for(lambda: quiet.value("sum(good)") == 4, 5, "the good lines")


@pytest.mark.parametrize("line,expected", [
    ("CPU.load host=a", "1:16"),
    ("CPU.load hosta 1613707265 50", "hosta"),
    ("CPU.load host=a yesterday 50", "yesterday"),
    ("CPU.load host=a 1613707265 fifty", "fifty"),
    ("CPU.load host=a 1613707265 50 60", "60"),
])
def test_a_malformed_line_is_refused_with_its_line_and_column(quiet, line, expected):
    message = error_of(quiet.call("/api/v1/import/lines", data=line.encode()))
    assert expected in message and re.search(r"line 1:\d+: ", message), message
    assert_alive_and_empty(quiet)


# ---- queries


@pytest.mark.parametrize("expression,expected", [
    ("sum(", "1:"),
    ("up ==", "1:"),
    ("rate(up)", "range"),
    ("up[5m]", ""),
    ('{job="x"', "1:"),
    ("no_such_function(up)", "no_such_function"),
    ('{__name__=~"("}', ""),
    ("sum by (", "1:"),
    ("up[5x]", "1:"),
    ("{}", ""),
    ("1 + on (a) 2", ""),
    ("(" * 20000 + "1" + ")" * 20000, ""),
    ("-" * 50000 + "1", ""),
], ids=lambda value: value[:20])
def test_malformed_promql_is_refused_with_its_place(quiet, expression, expected):
    # A range vector is a fair answer to an instant query, so ask for a range.
    body = f"query={expression.replace('+', '%2B')}&start=0&end=10&step=5".encode()
    answer = quiet.call("/api/v1/query_range", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    if answer.status == 200:
        assert expression[:1] in "-(", f"{expression[:30]} was answered: {answer.text[:200]}"
    else:
        message = error_of(answer, answer.status)
        assert 400 <= answer.status < 500 and message and expected in message, message
    assert_alive_and_empty(quiet)


@pytest.mark.parametrize("path,parameters,named", [
    ("/api/v1/query", {}, "query"),
    ("/api/v1/query", {"query": "up", "time": "noon"}, "time"),
    ("/api/v1/query", {"query": "up", "timeout": "soon"}, "timeout"),
    ("/api/v1/query_range", {"query": "up", "start": "0", "end": "10", "step": "0"}, "step"),
    ("/api/v1/query_range", {"query": "up", "start": "10", "end": "0", "step": "1"}, "end"),
    ("/api/v1/query_range", {"query": "up", "start": "x", "end": "10", "step": "1"}, "start"),
    ("/api/v1/query_range", {"query": "up", "start": "0", "end": "1000000", "step": "1"}, "11,000"),
    ("/api/v1/series", {}, "match[]"),
    ("/api/v1/series", {"match[]": "up{"}, "match[]"),
    ("/api/v1/labels", {"match[]": "{"}, "match[]"),
])
def test_a_bad_parameter_is_named(quiet, path, parameters, named):
    query = urllib.parse.urlencode(parameters)
    assert named in error_of(quiet.call(f"{path}?{query}"))


def test_unknown_paths_and_methods_are_answered(quiet):
    assert quiet.call("/api/v1/no_such_thing").status == 404
    assert quiet.call("/api/v1/write").status in (404, 405)
    assert quiet.call("/api/v1/labels", method="DELETE").status in (404, 405)


@pytest.mark.parametrize("request_bytes", [
    b"\x00" * 100,
    b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200000 + b"\r\n\r\n",
    b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
], ids=["zeros", "no version", "negative length", "bad chunk", "huge header", "huge length"])
def test_broken_http_ends_the_connection_and_nothing_else(quiet, request_bytes):
    with socket.create_connection(("127.0.0.1", quiet.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        connection.settimeout(10)
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert_alive_and_empty(quiet)


def test_connections_that_vanish_in_the_middle_of_a_request_do_no_harm(quiet):
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", quiet.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        connection.close()
    assert_alive_and_empty(quiet)


# ---- files and starts


@pytest.mark.parametrize("text,place,named", [
    ("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up ==\n", "rules.yml:5:", "parse error"),
    ("groups:\n  - name: g\n    rules:\n      - alert: A\n        exp: up\n", "rules.yml:5:9", "exp"),
    ("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up\n        for: soon\n", "rules.yml:6:", "soon"),
    ("groups:\n  - name: g\n  rules: [\n", "rules.yml:", ""),
    ("groups:\n  - name: g\n    interval: 1s\n    interval: 2s\n", "rules.yml:4:5", "interval"),
    ("groups:\n  - name: g\n    rules:\n      - expr: up\n", "rules.yml:4:", ""),
    ("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up\n        annotations: {a: '{{ $labels.x'}\n",
     "rules.yml:6:", ""),
], ids=["promql", "unknown key", "duration", "yaml", "key twice", "no name", "template"])
def test_a_bad_rule_file_stops_the_start_with_file_line_and_column(tmp_path, text, place, named):
    (tmp_path / "rules.yml").write_text(text)
    outcome = run_petrel(tmp_path, "--rules.file=rules.yml", f"--web.listen-address=127.0.0.1:{free_port()}")
    assert outcome.returncode not in (0, -6, -11), outcome.stderr
    assert place in outcome.stderr and named in outcome.stderr, outcome.stderr


def test_a_bad_configuration_stops_the_start_with_file_line_and_column(tmp_path):
    (tmp_path / "prometheus.yml").write_text("global:\n  evaluation_intervall: 5s\n")
    outcome = run_petrel(tmp_path, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{free_port()}")
    assert outcome.returncode > 0
    assert "prometheus.yml:2:3" in outcome.stderr and "evaluation_intervall" in outcome.stderr, outcome.stderr


def test_a_missing_configuration_file_is_named(tmp_path):
    outcome = run_petrel(tmp_path, "--config.file=nowhere.yml", f"--web.listen-address=127.0.0.1:{free_port()}")
    assert outcome.returncode > 0 and "nowhere.yml" in outcome.stderr


def test_a_data_directory_in_use_is_refused_and_the_first_process_goes_on(petrel, tmp_path):
    folder = tmp_path / "petrel"
    first = petrel("--no-collector.host", "--no-rules.default", folder=folder)
    outcome = run_petrel(folder, f"--web.listen-address=127.0.0.1:{free_port()}")
    assert outcome.returncode > 0
    assert "data" in outcome.stderr and "in use" in outcome.stderr, outcome.stderr
    assert_alive_and_empty(first)
    assert first.write([({"__name__": "m"}, [(NOW_MS, 1.0)])]).status in (200, 204)


def test_a_port_in_use_is_refused_with_the_port(petrel, tmp_path):
    first = petrel("--no-collector.host", "--no-rules.default")
    outcome = run_petrel(tmp_path / "second", f"--web.listen-address=127.0.0.1:{first.port}")
    assert outcome.returncode > 0
    assert str(first.port) in outcome.stderr and "in use" in outcome.stderr, outcome.stderr
    assert_alive_and_empty(first)


def test_a_data_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    outcome = run_petrel(tmp_path, f"--web.listen-address=127.0.0.1:{free_port()}")
    assert outcome.returncode > 0 and "data" in outcome.stderr, outcome.stderr


def as_nobody(command: list[str]) -> list[str]:
    """Root may write anywhere, so that the tests of permissions need another user."""
    if os.geteuid() == 0:
        return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", *command]
    return command


def test_an_unwritable_data_path_is_refused_with_the_path(tmp_path):
    from conftest import BINARY

    for folder in (tmp_path, *tmp_path.parents[:2]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o755)
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    # A copy, because the repository may lie where only its owner may look.
    program = shutil.copy(BINARY, tmp_path / "petrel")
    outcome = subprocess.run(
        as_nobody([str(program), f"--web.listen-address=127.0.0.1:{free_port()}", f"--storage.tsdb.path={locked}/data"]),
        cwd="/", capture_output=True, text=True, timeout=20, check=False)
    assert outcome.returncode > 0
    assert str(locked) in outcome.stderr and "ermission denied" in outcome.stderr, outcome.stderr


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder on a file system of a few megabytes. Needs root, as containers and ./test's
    machines have it; elsewhere the limit on file sizes does the same job."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True,
                             check=False).returncode == 0
    yield folder if mounted else None
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_writes_and_loses_nothing_that_was_acknowledged(petrel, tiny_disk, tmp_path):
    folder = tiny_disk or tmp_path / "limited"
    server = petrel("--no-collector.host", "--no-rules.default", f"--storage.tsdb.path={folder}/data",
                    folder=tmp_path / "petrel")
    if tiny_disk is None:
        subprocess.run(["prlimit", f"--pid={server.pid}", "--fsize=4000000"], check=True)
    acknowledged = []
    refusal = None
    for batch in range(2000):
        series = [({"__name__": "filler", "batch": str(batch), "n": f"{n:0100d}"}, [(NOW_MS + n, float(n))])
                  for n in range(200)]
        answer = server.write(series)
        if answer.status not in (200, 204):
            refusal = answer
            break
        acknowledged.append(batch)
    assert refusal is not None, "six megabytes never fill up?"
    assert refusal.status in (500, 503, 507) and refusal.text, refusal
    assert acknowledged and server.is_running()
    at = NOW_MS / 1000 + 1
    assert server.value("count(filler)", at) >= 200 * len(acknowledged), "reads go on"
    assert server.stop() is not None

    # With room again it starts and has every sample that was acknowledged.
    if tiny_disk is not None:
        subprocess.run(["mount", "-o", "remount,size=200m", str(folder)], check=True)
    server.start()
    counts = {series["metric"]["batch"]: float(series["value"][1])
              for series in server.query("count by (batch) (filler)", at)}
    assert [batch for batch in acknowledged if counts.get(str(batch)) != 200] == []
    assert server.write([({"__name__": "after"}, [(NOW_MS, 1.0)])]).status in (200, 204)
