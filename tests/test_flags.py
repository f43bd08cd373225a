"""The command line: Prometheus's flags, helpful about those it does not know."""

import re

from conftest import free_port, run_petrel, wait_for


def test_help_lists_the_flags_and_ends_with_success(tmp_path):
    outcome = run_petrel(tmp_path, "--help")
    assert outcome.returncode == 0
    for flag in ("--config.file", "--web.listen-address", "--storage.tsdb.path", "--storage.tsdb.retention.time",
                 "--query.timeout", "--rules.file", "--alerting.webhook-url", "--alertmanager.config.file",
                 "--collector.host", "--rules.default", "--roles", "--log.level", "--log.format"):
        assert flag in outcome.stdout.replace("[no-]", ""), flag
    assert list(tmp_path.iterdir()) == [], "asking for help leaves nothing behind"


def test_help_is_grouped_and_leaves_the_collectors_to_the_agent(tmp_path):
    own = run_petrel(tmp_path, "--help").stdout
    agent = run_petrel(tmp_path, "agent", "--help").stdout
    for flag in ("collector.cpu", "collector.filesystem.mount-points-exclude", "collector.disable-defaults"):
        assert re.search(rf"^  --(\[no-\])?{flag}", agent, re.M), flag
        assert not re.search(rf"^  --(\[no-\])?{flag}", own, re.M), flag
    assert "petrel agent --help" in own
    assert re.findall(r"^(\w[\w ]+):$", own, re.M)[:4] == ["Options", "Configuration", "Rules and alerts", "Storage"]
    assert re.search(r"^  --query.strict +Prom", own, re.M) and "--[no-]collector.host " in own
    # They are still taken.
    assert run_petrel(tmp_path, "--no-collector.cpu", "--collector.cpuu").stderr.count("--collector.cpu?") == 1
    assert run_petrel(tmp_path, "help").stdout == own


def test_version_is_printed(tmp_path):
    outcome = run_petrel(tmp_path, "--version")
    assert outcome.returncode == 0
    assert re.search(r"petrel, version \d+\.\d+\.\d+", outcome.stdout), outcome.stdout


def test_a_prometheus_flag_that_does_nothing_here_warns_and_petrel_starts(petrel):
    server = petrel("--storage.tsdb.max-block-chunk-segment-size=64MB", "--web.console.libraries=/etc/prometheus/consoles")
    wait_for(lambda: "storage.tsdb.max-block-chunk-segment-size" in server.log(), 5, "a warning")
    assert "level=warn" in server.log()
    assert "web.console.libraries" in server.log()


def test_a_flag_that_cannot_be_passed_over_is_refused(tmp_path):
    for flag, expected in (("--web.config.file=web.yml", "TLS and authentication are not built"),
                           ("--agent", "petrel agent --push.url")):
        outcome = run_petrel(tmp_path, flag)
        assert (outcome.returncode, expected in outcome.stderr) == (2, True), outcome.stderr


def test_features_of_prometheus_say_what_becomes_of_them(petrel):
    server = petrel("--enable-feature=exemplar-storage,native-histograms,memory-snapshot-on-shutdown")
    for words in ("exemplar-storage: not needed, it is always on", "native-histograms: not needed; scrape_native",
                  "memory-snapshot-on-shutdown: not built yet"):
        assert words in server.log()


def test_an_unknown_flag_is_refused_with_the_nearest_match(tmp_path):
    outcome = run_petrel(tmp_path, "--storage.tsdb.pth=x")
    assert outcome.returncode > 0
    assert "--storage.tsdb.pth" in outcome.stderr and "--storage.tsdb.path" in outcome.stderr


def test_a_bad_value_is_refused_with_flag_and_value(tmp_path):
    for flag, value in (("--storage.tsdb.retention.time", "long"), ("--query.timeout", "5 parsecs"),
                        ("--log.level", "loud"), ("--log.format", "xml"), ("--roles", "king"),
                        ("--web.listen-address", "nowhere:port"), ("--query.max-samples", "few")):
        outcome = run_petrel(tmp_path, f"{flag}={value}")
        assert outcome.returncode > 0, flag
        assert flag.lstrip("-") in outcome.stderr and value in outcome.stderr, outcome.stderr


def test_buildinfo_names_the_api_version_and_petrels_own(petrel):
    data = petrel("--no-collector.host").get("/api/v1/status/buildinfo")
    assert data["version"] == "3.5.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", data["petrel_version"])


def test_json_logs_are_json(petrel):
    import json

    server = petrel("--log.format=json", "--no-collector.host")
    lines = [json.loads(line) for line in server.log().splitlines() if line.strip()]
    assert lines and all({"ts", "level", "msg"} <= set(line) for line in lines)


def test_a_configuration_file_turns_the_host_collector_off_unless_asked(petrel, tmp_path):
    for name, flags, collects in (("off", [], False), ("on", ["--collector.host"], True)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "prometheus.yml").write_text("global: {evaluation_interval: 1s}\n")
        server = petrel("--config.file=prometheus.yml", *flags, folder=folder)
        if collects:
            wait_for(lambda: server.query("node_load1"), 10, "host metrics")
        else:
            assert server.query('{__name__=~"node_.+"}') == []
            assert server.get("/api/v1/rules")["groups"] == []


def test_keys_that_are_not_built_yet_are_loaded_with_a_warning_that_names_them(petrel, tmp_path):
    folder = tmp_path / "petrel"
    folder.mkdir()
    (folder / "prometheus.yml").write_text(
        "global: {evaluation_interval: 1s}\nremote_read:\n  - url: http://127.0.0.1:1/read\n")
    server = petrel("--config.file=prometheus.yml", folder=folder)
    wait_for(lambda: "remote_read" in server.log(), 5, "the warning")
    assert "petrel_config_unsupported_keys" in server.call("/metrics").text


def test_sigterm_ends_with_success_and_soon(petrel):
    import time

    server = petrel()
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 5


def test_a_busy_port_given_as_flag_is_free_again_after_the_end(petrel, tmp_path):
    port = free_port()
    folder = tmp_path / "petrel"
    for _ in range(2):
        server = petrel("--no-collector.host", folder=folder, port=port)
        assert server.stop() == 0
