"""petrel check service-discovery: what files, servers and relabelling make of a job."""

import contextlib
import http.server
import json
import threading

from conftest import free_port, run_petrel


@contextlib.contextmanager
def target_server(answers: dict[str, tuple[int, str, str]]):
    """Answers paths with (status, content type, body); its `seen` are the requests' headers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.seen.append(dict(self.headers))
            status, content_type, body = answers[self.path]
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def check(folder, config: dict, job: str = "job"):
    (folder / "prometheus.yml").write_text(json.dumps(config))
    return run_petrel(folder, "check", "service-discovery", "--timeout=5s", "prometheus.yml", job)


def targets(outcome) -> dict[str, dict]:
    assert outcome.returncode == 0, outcome.stderr
    return {target["discoveredLabels"]["__address__"]: target for target in json.loads(outcome.stdout)}


def test_files_are_read_and_relabelled(tmp_path):
    (tmp_path / "a.json").write_text('[{"targets": ["a:1", "drop:1"], "labels": {"env": "prod"}}]')
    (tmp_path / "b.yml").write_text("- targets: [b:1]\n")
    (tmp_path / "c.yml").write_text("- target: [c:1]\n")
    outcome = check(tmp_path, {"scrape_configs": [{
        "job_name": "job",
        "file_sd_configs": [{"files": ["*.json", "b.yml", "c.yml"]}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "regex": "drop:.*", "action": "drop"},
            {"source_labels": ["__meta_filepath"], "regex": "(?:.*/)?([^/]+)", "target_label": "file"}],
    }]})
    found = targets(outcome)
    assert set(found) == {"a:1", "drop:1", "b:1"}
    assert found["a:1"]["labels"]["file"] == "a.json"
    assert found["a:1"]["labels"]["env"] == "prod" and found["a:1"]["labels"]["instance"] == "a:1"
    # Relative to the configuration file, as it was given.
    assert found["a:1"]["discoveredLabels"]["__meta_filepath"] == "a.json"
    assert "__meta_filepath" not in found["a:1"]["labels"]
    assert found["drop:1"]["labels"] == {} and "error" not in found["drop:1"]
    assert 'c.yml:1:3: unknown key "target"' in outcome.stderr


def test_a_server_is_asked(tmp_path):
    body = json.dumps([{"targets": ["a:1"], "labels": {"env": "prod"}}, {"targets": ["b:1"]}])
    with target_server({"/targets": (200, "application/json", body)}) as server:
        outcome = check(tmp_path, {"scrape_configs": [{
            "job_name": "job", "http_sd_configs": [{"url": server.url + "/targets", "refresh_interval": "30s"}]}]})
    found = targets(outcome)
    assert set(found) == {"a:1", "b:1"}
    assert found["a:1"]["discoveredLabels"]["__meta_url"] == server.url + "/targets"
    assert server.seen[0]["X-Prometheus-Refresh-Interval-Seconds"] == "30"
    assert server.seen[0]["Accept"] == "application/json"


def test_a_server_that_fails_is_told_and_its_job_goes_on(tmp_path):
    with target_server({"/targets": (503, "text/plain", "no")}) as server:
        (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [{
            "job_name": "job", "http_sd_configs": [{"url": server.url + "/targets"}],
            "static_configs": [{"targets": ["s:1"]}]}]}))
        outcome = run_petrel(tmp_path, "check", "service-discovery", "--timeout=1s", "prometheus.yml", "job")
    assert set(targets(outcome)) == {"s:1"}
    assert "server returned HTTP status 503 Service Unavailable" in outcome.stderr


def test_what_cannot_be_scraped_says_why(tmp_path):
    outcome = check(tmp_path, {"scrape_configs": [{"job_name": "job", "static_configs": [
        {"targets": ["a:1"], "labels": {"__scrape_timeout__": "2m"}}],
        "relabel_configs": [{"target_label": "x", "replacement": "y"}]}]})
    assert targets(outcome)["a:1"]["error"] == \
        'scrape timeout cannot be greater than scrape interval ("2m" > "1m")'


def test_an_unknown_job_is_answered_with_those_there_are(tmp_path):
    outcome = check(tmp_path, {"scrape_configs": [{"job_name": "one"}, {"job_name": "two"}]}, "three")
    assert outcome.returncode == 1
    assert outcome.stderr == "Job three not found. Select one of:\n\tone\n\ttwo\n"


def test_wrong_usage_is_exit_code_2(tmp_path):
    outcome = run_petrel(tmp_path, "check", "service-discovery", "prometheus.yml")
    assert outcome.returncode == 2 and "usage: petrel check service-discovery" in outcome.stderr
