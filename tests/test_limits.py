"""What tenants may write: limits before the log, what senders are told, and how a reload changes it."""

import re
import threading
import time

import pytest

from conftest import wait_for
import wire


def now_ms() -> int:
    return int(time.time() * 1000)


def series(name: str, count: int, at: int, value: float = 1.0, first: int = 0) -> list:
    return [({"__name__": name, "i": str(i)}, [(at, value)]) for i in range(first, first + count)]


def configure(server, tmp_path, text: str) -> None:
    (tmp_path / "petrel.yml").write_text(text)
    answer = server.call("/-/reload", data=b"", method="POST")
    assert answer.status == 200, answer.text


@pytest.fixture
def limited(petrel, tmp_path):
    """limited(text): a server with this configuration, that reload() can change."""
    def start(text: str, *flags: str):
        (tmp_path / "petrel.yml").write_text(text)
        return petrel(f"--config.file={tmp_path}/petrel.yml", *flags)
    return start


def metric(server, name: str) -> dict[str, float]:
    """The samples of an own metric by what stands in braces."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", server.call("/metrics").text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def count(server, selector: str) -> int:
    result = server.query(f"count({selector})")
    return int(result[0]["value"][1]) if result else 0


def test_a_full_series_limit_keeps_known_series_and_names_what_it_refuses(limited, tmp_path):
    server = limited("limits: {max_series: 10}\n", "--no-collector.host")
    at = now_ms() - 5000
    assert server.write(series("m", 10, at)).status == 204
    answer = server.write(series("m", 12, at + 1))
    assert answer.status == 400
    assert "Retry-After" not in answer.headers
    lines = answer.text.splitlines()
    assert lines[0] == "series limit reached (2); 10 stored"
    assert lines[1] == ('per-tenant series limit of 10 reached (limits.max_series, tenant "default"), '
                        'new series refused: m{i="10"}')
    assert len(server.query("m[1m]")[0]["values"]) == 2
    assert count(server, "m") == 10
    assert metric(server, "petrel_ingest_refused_samples_total") == {
        'reason="series_limit",tenant="default"': 2}

    configure(server, tmp_path, "limits: {max_series: 11}\n")
    assert server.write(series("m", 12, at + 2)).status == 400
    assert count(server, "m") == 11
    configure(server, tmp_path, "")
    assert server.write(series("m", 12, at + 3)).status == 204
    server.kill()
    server.start()
    assert count(server, "m") == 12


def test_the_flag_is_the_default_and_an_override_stands_above_all(limited, tmp_path):
    server = limited("", "--storage.tsdb.series-limit=5", "--no-collector.host")
    at = now_ms() - 5000
    assert server.write(series("m", 6, at)).status == 400
    assert count(server, "m") == 5
    configure(server, tmp_path, "limits: {max_series: 6}\noverrides: {default: {max_series: 7}}\n")
    assert server.write(series("m", 8, at)).status == 400
    assert count(server, "m") == 7


def test_new_series_above_their_rate_come_back_and_are_stored_then(limited):
    server = limited("limits: {max_new_series_rate: 20, new_series_burst_size: 20}\n", "--no-collector.host")
    at = now_ms() - 5000
    answer = server.write(series("m", 30, at))
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "1"
    assert "limits.max_new_series_rate" in answer.text
    assert count(server, "m") == 20
    wait_for(lambda: server.write(series("m", 30, at)).status == 204, 10, "the repetition", interval=1)
    assert count(server, "m") == 30


def test_rates_of_samples_and_of_requests(limited, tmp_path):
    server = limited("limits: {ingestion_rate: 100, ingestion_burst_size: 100}\n", "--no-collector.host")
    at = now_ms() - 5000
    assert server.write(series("m", 100, at)).status == 204
    answer = server.write(series("n", 100, at))
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert 'limit of 100 samples per second reached (limits.ingestion_rate, tenant "default")' in answer.text
    assert count(server, "n") == 0
    assert metric(server, "petrel_ingest_refused_samples_total") == {
        'reason="ingestion_rate",tenant="default"': 100}
    configure(server, tmp_path, "limits: {request_rate: 1, request_burst_size: 1}\n")
    statuses = [server.write(series("m", 1, at)).status for _ in range(3)]
    assert statuses == [204, 429, 429]
    configure(server, tmp_path, "instance_limits: {max_ingestion_rate: 10}\n")
    assert server.write(series("n", 100, at)).status == 204
    answer = server.write(series("n", 100, at + 1))
    assert answer.status == 503
    assert "instance_limits.max_ingestion_rate" in answer.text


@pytest.mark.parametrize("labels, key", [
    ({"a": "1", "b": "2", "c": "3"}, "max_label_names_per_series"),
    ({"a_name_of_17_char": "1"}, "max_label_name_length"),
    ({"a": "v" * 33}, "max_label_value_length"),
    ({"__name__": "m" * 21}, "max_metric_name_length"),
])
def test_labels_beyond_a_limit_are_refused_by_its_name_and_the_rest_is_stored(limited, labels, key):
    server = limited("limits: {max_label_names_per_series: 3, max_label_name_length: 16,\n"
                     "  max_label_value_length: 32, max_metric_name_length: 20}\n", "--no-collector.host")
    at = now_ms() - 5000
    answer = server.write([({"__name__": "m"} | labels, [(at, 1)]), ({"__name__": "good", "a": "v" * 32}, [(at, 1)])])
    assert answer.status == 400
    assert f'(limits.{key}, tenant "default")' in answer.text
    assert "1 stored" in answer.text.splitlines()[0]
    assert count(server, "good") == 1


def test_bodies_beyond_a_limit_are_413(limited):
    server = limited("limits: {max_request_body_size: 4KB, max_decompressed_body_size: 8KB}\n", "--no-collector.host")
    answer = server.write(series("m", 300, now_ms()))
    assert answer.status == 413
    assert "limits.max_request_body_size" in answer.text
    bomb = wire.varint(100_000) + b"\x00a" + (b"\xfe\x01\x00" * 2000)
    answer = server.call("/api/v1/write", data=bomb[:3900], headers=wire.HEADERS)
    assert answer.status in (400, 413), answer.text
    assert count(server, "m") == 0


def test_rules_of_a_tenant_drop_and_rewrite_what_is_pushed(limited, tmp_path):
    rules = ("overrides:\n"
             "  default:\n"
             "    write_relabel_configs:\n"
             "    - {source_labels: [__name__], regex: 'debug_.*', action: drop}\n"
             "    - {regex: pod, action: labeldrop}\n"
             "    - {target_label: cell, replacement: c1}\n")
    server = limited(rules, "--no-collector.host")
    at = now_ms() - 10000
    for i in range(3):
        answer = server.write([({"__name__": "debug_x"}, [(at + i, 1)]),
                               ({"__name__": "m", "pod": f"p{i}"}, [(at + i, i)])])
        assert answer.status == 204
    assert count(server, '{__name__=~"debug.*"}') == 0
    found = server.query("m[1m]")
    assert [one["metric"] for one in found] == [{"__name__": "m", "cell": "c1"}]
    assert len(found[0]["values"]) == 3
    assert metric(server, "petrel_ingest_dropped_samples_total") == {'tenant="default"': 3}
    configure(server, tmp_path, "")
    assert server.write([({"__name__": "debug_x"}, [(at + 9, 1)])]).status == 204
    assert count(server, "debug_x") == 1


def test_a_scrape_is_held_to_the_series_limit_and_its_known_series_go_on(limited):
    server = limited("limits: {max_series: 40}\n"
                     "global: {scrape_interval: 1s}\n"
                     "scrape_configs:\n"
                     "- {job_name: self, static_configs: [{targets: ['127.0.0.1:1']}]}\n",
                     "--no-collector.host")
    wait_for(lambda: server.query("up"), 20, "the target, which is down")
    at = now_ms()
    assert server.write(series("m", 100, at)).status == 400
    assert count(server, '{__name__!=""}') == 40
    before = int(server.value("count_over_time(up[1m])"))
    wait_for(lambda: server.value("count_over_time(up[1m])") >= before + 2, 20, "further scrapes of known series")


def test_a_bad_limit_leaves_the_old_ones(limited, tmp_path):
    server = limited("limits: {max_series: 1}\n", "--no-collector.host")
    (tmp_path / "petrel.yml").write_text("limits: {max_serie: 2}\n")
    answer = server.call("/-/reload", data=b"", method="POST")
    assert answer.status == 500
    assert 'unknown key "max_serie" in limits, did you mean "max_series"?' in answer.text
    assert server.write(series("m", 2, now_ms())).status == 400


def test_pushes_beyond_the_memory_for_them_come_back_and_nothing_acknowledged_is_lost(limited):
    server = limited("instance_limits: {max_inflight_push_requests_bytes: 16MB}\n", "--no-collector.host")
    at = now_ms() - 60_000
    bodies = [wire.write_request(series(f"m{n}", 40_000, at)) for n in range(12)]
    assert len(bodies[0]) > 1 << 20
    answers = [None] * len(bodies)

    def push(n: int):
        for _ in range(200):
            try:
                answers[n] = server.call("/api/v1/write", data=bodies[n], headers=wire.HEADERS, timeout=120)
            except OSError:  # the answer came before the whole body was sent
                time.sleep(0.1)
                continue
            if answers[n].status == 204:
                return
            assert answers[n].status == 503, answers[n].text
            assert answers[n].headers["Retry-After"] == "1"
            time.sleep(0.1)

    threads = [threading.Thread(target=push, args=(n,)) for n in range(len(bodies))]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, metric(server, "petrel_ingest_inflight_bytes").get("", 0))
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [204] * len(bodies)
    # Each of the sixteen workers may decode one beyond the bound.
    assert most < 120 << 20
    refused = metric(server, "petrel_ingest_refused_requests_total")
    assert sum(value for labels, value in refused.items() if "inflight_bytes" in labels) > 0
    assert metric(server, "petrel_ingest_inflight_bytes") == {"": 0}
    server.kill()
    server.start()
    for n in range(len(bodies)):
        assert server.value(f"count(m{n})", at / 1000) == 40_000
