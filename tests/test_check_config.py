"""petrel check config|rules|web-config: promtool's verdicts, words and exit codes.

data/config/bad.txt says for every file of data/config/bad the exact message.
"""

import pathlib
import shutil
import subprocess

import pytest

from conftest import BINARY, ROOT, run_petrel

DATA = ROOT / "tests/data/config"
FIXTURES = ROOT.parent / "shared/data/promtool"


def expected_messages() -> dict[str, str]:
    lines = (DATA / "bad.txt").read_text().splitlines()
    return {line.split(":")[0]: line for line in lines if not line.startswith("#")}


def test_every_bad_configuration_is_refused_with_its_message():
    names = sorted(path.name for path in (DATA / "bad").iterdir())
    expected = expected_messages()
    assert names == sorted(expected) and len(names) >= 60
    outcome = run_petrel(DATA / "bad", "check", "config", "--syntax-only", *names, seconds=60)
    assert outcome.returncode == 1
    found = [line.removeprefix("  FAILED: ") for line in outcome.stderr.splitlines()]
    assert found == [expected[name] for name in names]
    assert "hush" not in outcome.stderr, "no secret is in a message"


@pytest.mark.parametrize("path", sorted((DATA / "good").iterdir()), ids=lambda path: path.stem)
def test_good_configurations_pass(path):
    outcome = run_petrel(DATA / "good", "check", "config", "--syntax-only", path.name)
    assert outcome.returncode == 0, outcome.stderr
    assert f" SUCCESS: {path.name} is valid prometheus config file syntax\n" in outcome.stdout


def check(folder, *arguments, text=None, what="config"):
    if text is not None:
        (folder / "p.yml").write_text(text)
    return run_petrel(folder, "check", what, *arguments)


def test_what_a_configuration_refers_to_is_checked(tmp_path):
    job = "scrape_configs:\n- job_name: a\n"
    outcome = check(tmp_path, "p.yml", text=job + "  bearer_token_file: none\n")
    assert outcome.returncode == 1
    assert 'error checking authorization credentials or bearer token file "none"' in outcome.stderr
    outcome = check(tmp_path, "p.yml", text=job + "  tls_config: {cert_file: c.pem, key_file: k.pem}\n")
    assert outcome.returncode == 1 and 'error checking client cert file "c.pem"' in outcome.stderr
    assert check(tmp_path, "--syntax-only", "p.yml").returncode == 0

    outcome = check(tmp_path, "p.yml", text=job + "  file_sd_configs: [{files: [none.json]}]\n")
    assert outcome.returncode == 0
    assert 'WARNING: file "none.json" for file_sd in scrape job "a" does not exist' in outcome.stdout
    (tmp_path / "sd.json").write_text('[{"targets": "h:1"}]')
    outcome = check(tmp_path, "p.yml", text=job + "  file_sd_configs: [{files: ['s*.json']}]\n")
    assert outcome.returncode == 1 and 'checking SD file "sd.json"' in outcome.stderr
    (tmp_path / "sd.json").write_text('[{"targets": ["h:1"]}]')
    assert check(tmp_path, "p.yml").returncode == 0


def test_targets_are_decided_as_a_scrape_would(tmp_path):
    text = ("scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['h:1']}]\n"
            "  relabel_configs: [{target_label: __scrape_interval__, replacement: often}]\n")
    outcome = check(tmp_path, "p.yml", text=text)
    assert outcome.returncode == 1 and "instance 0 in group 0: " in outcome.stderr


def test_lint_has_its_own_exit_code(tmp_path):
    text = "scrape_configs:\n- {job_name: slow, scrape_interval: 10m}\n"
    assert check(tmp_path, "p.yml", text=text).returncode == 0
    outcome = check(tmp_path, "--lint=too-long-scrape-interval", "--lint-fatal", "p.yml")
    assert outcome.returncode == 3
    assert "too long scrape interval found, data point will be marked as stale - job: slow, interval: 10m" in outcome.stderr
    assert check(tmp_path, "--lint", "all", "p.yml").returncode == 0
    assert check(tmp_path, "--lint=all", "--lint-fatal", "--query.lookback-delta=20m", "p.yml").returncode == 0
    assert check(tmp_path, "--lint=none", "--lint-fatal", "p.yml").returncode == 0
    assert check(tmp_path, "--lint=nothing", "p.yml").stdout.startswith('WARNING: unknown lint option: "nothing"')


def test_an_agent_has_no_rules(tmp_path):
    for text, field in [("rule_files: ['*.rules']\n", "rule_files"),
                        ("alerting: {alertmanagers: [{static_configs: [{targets: [a]}]}]}\n", "alerting"),
                        ("remote_read: [{url: 'http://r/'}]\n", "remote_read")]:
        outcome = check(tmp_path, "--agent", "p.yml", text=text)
        assert outcome.returncode == 1 and f"field {field} is not allowed in agent mode" in outcome.stderr
        assert check(tmp_path, "p.yml").returncode == 0


def test_scrape_config_files_are_part_of_the_configuration(tmp_path):
    (tmp_path / "jobs").mkdir()
    text = "scrape_config_files: ['jobs/*.yml']\nscrape_configs: [{job_name: a}]\n"
    assert check(tmp_path, "p.yml", text=text).returncode == 0
    (tmp_path / "jobs/b.yml").write_text("scrape_configs: [{job_name: b, file_sd_configs: [{files: [t.json]}]}]\n")
    outcome = check(tmp_path, "p.yml")
    assert outcome.returncode == 0 and '"jobs/t.json" for file_sd in scrape job "b"' in outcome.stdout
    (tmp_path / "jobs/c.yml").write_text("scrape_configs:\n- job_name: a\n")
    outcome = check(tmp_path, "p.yml")
    assert outcome.returncode == 1
    assert ('jobs/c.yml:2:13: found multiple scrape configs with job name "a", first found in main config file'
            in outcome.stderr)


def test_unknown_flags_are_wrong_usage(tmp_path):
    for what in ("config", "rules", "web-config"):
        outcome = check(tmp_path, "--sintax-only", "p.yml", text="", what=what)
        assert outcome.returncode == 2 and "usage: petrel check " + what in outcome.stderr


RULE = "- record: a\n    expr: b\n    labels: {x: y}\n"
DUPLICATES = "groups:\n- name: g\n  rules:\n  " + RULE + "  " + RULE


def test_duplicate_rules_are_lint(tmp_path):
    outcome = check(tmp_path, "p.yml", text=DUPLICATES, what="rules")
    assert outcome.returncode == 0
    assert "1 duplicate rule(s) found.\nMetric: a\nLabel(s):\n\tx: y\n" in outcome.stderr
    assert check(tmp_path, "--lint-fatal", "p.yml", what="rules").returncode == 3
    assert check(tmp_path, "--lint-fatal", "--lint=none", "p.yml", what="rules").returncode == 0


def test_rules_are_read_from_standard_input(tmp_path):
    for arguments in ([], ["-"]):
        outcome = subprocess.run([BINARY, "check", "rules", *arguments], input=DUPLICATES.replace("x: y", "x: z", 1),
                                 capture_output=True, text=True, timeout=20, cwd=tmp_path, check=False)
        assert outcome.returncode == 0, outcome.stderr
        assert outcome.stdout.startswith("Checking standard input\n  SUCCESS: 2 rules found\n")


def test_unknown_fields_of_rules_may_be_passed_over(tmp_path):
    text = DUPLICATES.replace("labels: {x: y}", "owner: me", 1)
    assert check(tmp_path, "p.yml", text=text, what="rules").returncode == 1
    assert check(tmp_path, "--ignore-unknown-fields", "p.yml", what="rules").returncode == 0


HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"


def test_web_configurations(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                    "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["openssl", "genrsa", "-out", "other.pem", "2048"], cwd=tmp_path, check=True, capture_output=True)
    good = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {u: " + HASH + "}\n"
    outcome = check(tmp_path, "p.yml", text=good, what="web-config")
    assert outcome.returncode == 0 and outcome.stderr == "p.yml SUCCESS\n"
    for text, message in [
        (good.replace("key.pem", "other.pem"), "failed to load X509KeyPair"),
        (good.replace("key.pem", "none.pem"), "failed to read key_file (none.pem)"),
        (good.replace(HASH, "plain"), "hashedSecret too short to be a bcrypted password"),
        ("tls_server: {}\n", 'p.yml:1:1: unknown key "tls_server"'),
        ("http_server_config: {headers: {Server: x}}\n", 'HTTP header "Server" can not be configured'),
    ]:
        outcome = check(tmp_path, "p.yml", text=text, what="web-config")
        assert outcome.returncode == 1 and "p.yml FAILED: " in outcome.stderr and message in outcome.stderr
        assert "plain" not in outcome.stderr


@pytest.mark.conformance
@pytest.mark.parametrize("flags", [[], ["--lint=duplicate-rules", "--lint-fatal"], ["--syntax-only"]], ids=" ".join)
def test_promtool_comes_to_the_same_verdict(tmp_path, flags):
    """Debian's promtool on its own fixtures: the same exit code on each."""
    different = {}
    assert FIXTURES.is_dir(), f"the public fixtures are not at {FIXTURES}"
    for source in sorted(FIXTURES.glob("*.yml")):
        shutil.copy(source, tmp_path)
        what = "config" if source.name.startswith("prometheus-config") else "rules"
        if what == "rules" and flags == ["--syntax-only"]:
            continue
        codes = [subprocess.run([program, "check", what, *flags, source.name], cwd=tmp_path, capture_output=True,
                                timeout=60, check=False).returncode for program in ("promtool", BINARY)]
        if codes[0] != codes[1]:
            different[source.name] = codes
    assert different == {}
