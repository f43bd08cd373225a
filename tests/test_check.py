"""petrel check: what is wrong with rule files and configuration, before a server reads them."""

from conftest import free_port, run_petrel

GOOD = """\
groups:
  - name: cpu
    rules:
      - alert: high_cpu
        expr: cpu.load > 0.8
        for: 5m
        annotations: {summary: "{{ host }} is busy"}
"""
BAD = """\
- name: cpu
  rules:
    - alert: high_cpu
      expr: sum(rate(cpu_total[5m])
    - alert: twice
      expr: up
      fro: 5m
"""


def test_good_rules_pass_in_both_forms(tmp_path):
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / "list.yml").write_text("- name: up\n  rules:\n  - {alert: down, expr: up == 0, for: 5m}\n")
    outcome = run_petrel(tmp_path, "check", "rules", "good.yml", "list.yml")
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.count("SUCCESS") == 2 and outcome.stderr == ""


def test_every_error_is_told_with_its_place_and_the_other_files_are_checked(tmp_path):
    (tmp_path / "bad.yml").write_text(BAD)
    (tmp_path / "good.yml").write_text(GOOD)
    outcome = run_petrel(tmp_path, "check", "rules", "bad.yml", "none.yml", "good.yml")
    assert outcome.returncode == 1
    assert "bad.yml:4:13: " in outcome.stderr and "unclosed left parenthesis" in outcome.stderr
    assert 'bad.yml:7:7: unknown field "fro" in rule' in outcome.stderr
    assert "none.yml" in outcome.stderr
    assert outcome.stdout.count("SUCCESS") == 1


def test_a_configuration_is_checked_with_its_rule_files(tmp_path):
    (tmp_path / "bad.yml").write_text(BAD)
    (tmp_path / "petrel.yml").write_text("rule_files: [bad.yml]\nremote_write: []\n")
    outcome = run_petrel(tmp_path, "check", "config", "petrel.yml")
    assert outcome.returncode == 1
    assert "remote_write (petrel.yml:2:1)" in outcome.stdout, "a key without effect is named"
    assert "bad.yml:7:7: " in outcome.stderr


def test_a_named_rule_file_that_is_missing_is_an_error_to_check_and_server(tmp_path):
    (tmp_path / "petrel.yml").write_text("rule_files: [rulse.yml, more/*.yml]\n")
    outcome = run_petrel(tmp_path, "check", "config", "petrel.yml")
    assert outcome.returncode == 1 and "rulse.yml: there is no such file" in outcome.stderr
    outcome = run_petrel(tmp_path, "--rules.file=rulse.yml", f"--web.listen-address=127.0.0.1:{free_port()}")
    assert outcome.returncode == 1 and "rulse.yml: there is no such file" in outcome.stderr


def test_check_explains_itself(tmp_path):
    asked = run_petrel(tmp_path, "check", "rules", "--help")
    assert asked.returncode == 0 and "petrel check rules FILE..." in asked.stdout
    wrong = run_petrel(tmp_path, "check", "nothing")
    assert wrong.returncode == 2 and "petrel check rules FILE..." in wrong.stderr
