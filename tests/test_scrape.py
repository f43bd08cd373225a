"""Petrel scrapes: scripted targets, and what is stored, shown and said of them."""

import base64
import json
import ssl
import subprocess
import time

import pytest

from conftest import wait_for
from targets import OPENMETRICS, Answer, Targets


@pytest.fixture
def targets():
    one = Targets()
    yield one
    one.stop()


def job(name: str, address: str, extra: str = "") -> str:
    lines = [f"  - job_name: {name}", f"    metrics_path: /{name}", f"    static_configs: [{{targets: ['{address}']}}]"]
    return "\n".join(lines + [f"    {line}" for line in extra.splitlines() if line]) + "\n"


def config(*jobs: str, interval: str = "1s") -> str:
    return f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\nscrape_configs:\n" + "".join(jobs)


@pytest.fixture
def scraping(petrel, tmp_path):
    """scraping(text) starts Petrel with that configuration."""

    def start(text: str, *flags: str, **options):
        path = tmp_path / "prometheus.yml"
        path.write_text(text)
        server = petrel(f"--config.file={path}", *flags, **options)
        server.config_path = path
        return server

    return start


def active(server, pool: str = "") -> list[dict]:
    return server.get("/api/v1/targets", state="active", scrapePool=pool)["activeTargets"]


def target(server, pool: str) -> dict:
    (one,) = active(server, pool)
    return one


def scraped(server, pool: str) -> dict:
    """The pool's one target, once it has been scraped."""
    return wait_for(lambda: (one := active(server, pool)) and one[0]["health"] != "unknown" and one[0], 10,
                    f"{pool} scraped")


def samples(server, selector: str, seconds: int = 60) -> list[float]:
    """All stored values of the one series, in order; none when it is not there."""
    result = server.query(f"{selector}[{seconds}s]")
    assert len(result) <= 1, f"{selector}: {result}"
    return [float(value) for _, value in result[0]["values"]] if result else []


def read(server, expression: str) -> float | None:
    """The value of one series, or None while it is not there."""
    result = server.query(expression)
    assert len(result) <= 1, f"{expression}: {result}"
    return float(result[0]["value"][1]) if result else None


def test_samples_arrive_with_labels_and_reports(scraping, targets):
    targets.paths["/a"] = lambda n, h: f'# TYPE m counter\n# HELP m Help.\nm{{x="1",instance="own"}} {n}\n'
    server = scraping(config(job("a", targets.address, "params: {module: ['http 2xx']}")))
    wait_for(lambda: targets.count("/a") >= 4, 10, "four scrapes")
    wait_for(lambda: len(samples(server, "m")) >= 3, 5, "stored")
    (series,) = server.query("m")
    assert series["metric"] == {"__name__": "m", "exported_instance": "own", "instance": targets.address, "job": "a",
                                "x": "1"}
    assert samples(server, "m")[:3] == [0, 1, 2]
    assert samples(server, 'up{job="a"}')[:3] == [1, 1, 1]
    assert samples(server, "scrape_samples_scraped")[0] == 1
    assert samples(server, "scrape_series_added")[:3] == [1, 0, 0]
    assert 0 < server.value("scrape_duration_seconds") < 1
    # Slots: the samples of all series of a scrape have one time, an interval apart.
    times = [stamp for stamp, _ in server.query("m[60s]")[0]["values"]]
    assert {round(b - a, 3) for a, b in zip(times, times[1:])} == {1.0}
    assert times == [stamp for stamp, _ in server.query('up{job="a"}[60s]')[0]["values"]][:len(times)]

    request = targets.requests["/a"][0]
    assert request["path"] == "/a?module=http+2xx"
    assert request["User-Agent"].startswith("Petrel/")
    assert request["Accept-Encoding"] == "gzip"
    assert request["X-Prometheus-Scrape-Timeout-Seconds"] == "1"
    assert request["Accept"] == ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                                 "application/openmetrics-text;version=0.0.1;q=0.5,"
                                 "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                                 "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")

    shown = target(server, "a")
    assert shown["health"] == "up" and shown["lastError"] == "" and shown["scrapeInterval"] == "1s"
    assert shown["scrapeUrl"] == f"http://{targets.address}/a?module=http+2xx"
    assert shown["discoveredLabels"]["__address__"] == targets.address
    metadata = server.get("/api/v1/targets/metadata", metric="m")
    assert metadata == [{"target": shown["labels"], "type": "counter", "help": "Help.", "unit": ""}]
    assert server.get("/api/v1/metadata", metric="m") == {"m": [{"type": "counter", "help": "Help.", "unit": ""}]}
    assert server.get("/api/v1/scrape_pools")["scrapePools"] == ["a"]


def test_failures_are_told_as_prometheus_tells_them(scraping, targets):
    targets.paths |= {
        "/status": lambda n, h: Answer("no", 503),
        "/slow": lambda n, h: Answer("m 1\n", delay=5),
        "/huge": lambda n, h: "".join(f'm{{i="{i}"}} 1\n' for i in range(20_000)),
        "/many": lambda n, h: "".join(f'm{{i="{i}"}} 1\n' for i in range(20)),
        "/garbage": lambda n, h: "m 1\n{}{}{\n",
        "/html": lambda n, h: Answer("<html></html>", content_type="text/html"),
        "/cut": lambda n, h: Answer("m 1\n", cut=True),
        "/gone": lambda n, h: Answer(reset=True),
    }
    names = [*targets.paths]
    text = config(*(job(name[1:], targets.address, {"/huge": "body_size_limit: 10KB", "/many": "sample_limit: 10"}
                        .get(name, "")) for name in names),
                  "  - job_name: refused\n    static_configs: [{targets: ['127.0.0.1:1']}]\n")
    server = scraping(text)
    errors = {name[1:]: scraped(server, name[1:])["lastError"] for name in [*names, "/refused"]}
    assert errors["status"] == "server returned HTTP status 503 Service Unavailable"
    assert errors["slow"] == f'Get "http://{targets.address}/slow": context deadline exceeded'
    assert errors["huge"] == "body size limit exceeded"
    assert errors["many"] == "sample limit exceeded"
    assert "connect: connection refused" in errors["refused"]
    for name in ("garbage", "html", "cut", "gone"):
        assert errors[name] != "", name
    for name in errors:
        wait_for(lambda: read(server, f'up{{job="{name}"}}') == 0, 5, f"up of {name}")
    assert server.query("m") == []
    assert server.value('scrape_samples_scraped{job="many"}') == 20
    metrics = server.call("/metrics").text
    assert "petrel_target_scrapes_exceeded_sample_limit_total" in metrics


def test_bodies_come_in_every_form(scraping, targets):
    text = "# TYPE m gauge\n" + "".join(f'm{{i="{i}"}} {i}\n' for i in range(100))
    targets.paths |= {
        "/gzip": lambda n, h: Answer(text, gzip_it=True),
        "/chunked": lambda n, h: Answer(text, chunked=True),
        "/both": lambda n, h: Answer(text, gzip_it=True, chunked=True),
        "/openmetrics": lambda n, h: Answer(text + "# EOF\n", content_type=OPENMETRICS),
        "/untyped": lambda n, h: Answer(text, content_type=None),
        "/redirect": lambda n, h: Answer(status=302, headers={"Location": "/gzip"}),
    }
    server = scraping(config(*(job(name[1:], targets.address,
                                   "fallback_scrape_protocol: PrometheusText0.0.4" if name == "/untyped" else "")
                               for name in targets.paths)))
    for name in targets.paths:
        wait_for(lambda: read(server, f'count(m{{job="{name[1:]}"}})') == 100, 10, name)


def test_values_and_duplicates(scraping, targets):
    targets.paths["/a"] = lambda n, h: ('no_number NaN\ninfinite +Inf\nsmall -1e-300\ntwice 1\ntwice 2\n'
                                        f'timed 7 {int((time.time() - 2) * 1000)}\n'
                                        f'ahead 1 {int((time.time() + 3600) * 1000)}\n')
    server = scraping(config(job("a", targets.address)))
    wait_for(lambda: len(samples(server, "twice")) >= 2, 10, "two scrapes")
    assert server.query("no_number")[0]["value"][1] == "NaN"
    assert server.query("infinite")[0]["value"][1] == "+Inf"
    assert server.value("small") == -1e-300
    assert set(samples(server, "twice")) == {1}
    assert server.value("scrape_samples_scraped") == 7
    assert server.query("ahead", at=time.time() + 3600) == []
    assert time.time() - server.value("timestamp(timed)") > 1.5


def test_what_vanishes_goes_stale(scraping, targets):
    """A series that is gone, a failing target and a removed target, at the next slot."""
    def a(n, h):
        return "stays 1\ngoes 1\n" if n < 3 else "stays 1\n" if n < 6 else Answer("no", 500)

    targets.paths["/a"] = a
    targets.paths["/b"] = lambda n, h: "b 1\n"
    server = scraping(config(job("a", targets.address), job("b", targets.address)))
    wait_for(lambda: server.query("goes"), 10, "the first scrape")
    wait_for(lambda: not server.query("goes"), 10, "goes is stale")
    assert server.query("stays")
    assert len(samples(server, "goes")) == 3
    wait_for(lambda: not server.query("stays"), 10, "stays is stale")
    assert server.value('up{job="a"}') == 0
    assert server.query("b")

    server.config_path.write_text(config(job("a", targets.address)))
    assert server.call("/-/reload", method="POST", data=b"").status == 200
    stopped = time.time()
    wait_for(lambda: not server.query("b") and not server.query('up{job="b"}'), 10, "b is stale")
    assert time.time() - stopped < 6
    assert server.get("/api/v1/scrape_pools")["scrapePools"] == ["a"]


def test_a_reload_keeps_what_stays(scraping, targets):
    targets.paths |= {"/a": lambda n, h: f"a {n}\n", "/b": lambda n, h: f"b {n}\n"}
    server = scraping(config(job("a", targets.address)))
    wait_for(lambda: len(samples(server, "a")) >= 2, 10, "scraped")
    server.config_path.write_text(config(job("a", targets.address), job("b", targets.address)))
    assert server.call("/-/reload", method="POST", data=b"").status == 200
    wait_for(lambda: len(samples(server, "b")) >= 2, 10, "the new job")
    values = samples(server, "a")
    assert values == list(range(len(values)))
    assert sum(samples(server, 'scrape_series_added{job="a"}')) == 1

    server.config_path.write_text(config(job("a", targets.address, "tls_config: {ca_file: /none}"),
                                         job("c", targets.address)))
    answer = server.call("/-/reload", method="POST", data=b"")
    assert answer.status == 500 and "/none" in answer.text
    assert server.get("/api/v1/scrape_pools")["scrapePools"] == ["a", "b"]


def test_targets_from_a_file_come_and_go(scraping, targets, tmp_path):
    targets.paths["/metrics"] = lambda n, h: "m 1\n"
    listed = tmp_path / "targets.json"
    listed.write_text("[]")
    server = scraping(config("  - job_name: f\n"
                             f"    file_sd_configs: [{{files: ['{listed}']}}]\n"
                             "    relabel_configs:\n"
                             "      - {source_labels: [kind], regex: drop, action: drop}\n"))
    assert active(server) == []
    listed.write_text(json.dumps([
        {"targets": [targets.address], "labels": {"kind": "good"}},
        {"targets": ["127.0.0.1:2"], "labels": {"kind": "drop"}}]))
    wait_for(lambda: server.query('m{kind="good"}'), 15, "the target of the file")
    shown = server.get("/api/v1/targets")
    assert shown["droppedTargetCounts"] == {"f": 1}
    assert shown["droppedTargets"][0]["discoveredLabels"]["__address__"] == "127.0.0.1:2"
    steps = server.get("/api/v1/targets/relabel_steps", scrapePool="f", labels='{"kind": "drop"}')["steps"]
    assert steps == [{"rule": {"sourceLabels": ["kind"], "separator": ";", "regex": "drop", "replacement": "$1",
                               "action": "drop"}, "output": {}, "keep": False}]
    listed.write_text("[]")
    wait_for(lambda: active(server) == [], 15, "no targets")
    wait_for(lambda: not server.query("m"), 10, "stale")


def test_authentication_reaches_the_target(scraping, targets, tmp_path):
    basic = "Basic " + base64.b64encode(b"user:pass word").decode()
    token = tmp_path / "token"
    token.write_text("first\n")
    want = {"/basic": lambda: basic, "/bearer": lambda: "Bearer " + token.read_text().strip(),
            "/custom": lambda: "Token abc"}
    for path, value in want.items():
        targets.paths[path] = lambda n, h, value=value: ("ok 1\n" if h.get("Authorization") == value()
                                                         else Answer("who?", 401))
    server = scraping(config(
        job("basic", targets.address, "basic_auth: {username: user, password: 'pass word'}"),
        job("bearer", targets.address, f"authorization: {{credentials_file: '{token}'}}"),
        job("custom", targets.address, "authorization: {type: Token, credentials: abc}")))
    for path in want:
        wait_for(lambda: read(server, f'ok{{job="{path[1:]}"}}') == 1, 10, path)
    token.write_text("rotated-token\n")
    time.sleep(1.5)
    assert target(server, "bearer")["health"] == "up"
    page = server.call("/api/v1/status/config").text
    assert "pass word" not in page and "abc" not in page
    assert "pass word" not in server.log() and "rotated-token" not in server.log()


def test_a_certificate_is_verified(scraping, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
                   cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    secure = Targets(context)
    try:
        for name in ("good", "bad", "skip"):
            secure.paths[f"/{name}"] = lambda n, h: "m 1\n"
        server = scraping(config(
            job("good", secure.address, f"scheme: https\ntls_config: {{ca_file: '{tmp_path}/cert.pem'}}"),
            job("bad", secure.address, "scheme: https"),
            job("skip", secure.address, "scheme: https\ntls_config: {insecure_skip_verify: true}")))
        for name in ("good", "skip"):
            wait_for(lambda: read(server, f'm{{job="{name}"}}') == 1, 10, name)
        bad = scraped(server, "bad")
        assert bad["health"] == "down" and "certificate" in bad["lastError"]
    finally:
        secure.stop()


def test_a_slow_target_does_not_delay_others(scraping, targets):
    targets.paths["/fast"] = lambda n, h: f"fast {n}\n"
    for i in range(20):
        targets.paths[f"/slow{i}"] = lambda n, h: Answer("slow 1\n", delay=3)
    server = scraping(config(job("fast", targets.address),
                             *(job(f"slow{i}", targets.address) for i in range(20))))
    wait_for(lambda: targets.count("/fast") >= 8, 20, "eight scrapes")
    times = [request["time"] for request in targets.requests["/fast"]]
    assert max(b - a for a, b in zip(times, times[1:])) < 1.5
    assert server.value('count(up == 0)') == 20


def test_a_restart_goes_on(scraping, targets):
    targets.paths["/a"] = lambda n, h: f"a {n}\n"
    server = scraping(config(job("a", targets.address)))
    wait_for(lambda: len(samples(server, "a")) >= 3, 10, "scraped")
    server.stop()
    server.start()
    wait_for(lambda: targets.count("/a") >= 6, 10, "scraped again")
    wait_for(lambda: (read(server, "a") or 0) >= 5, 10, "stored again")
    assert samples(server, "a") == sorted(samples(server, "a"))
