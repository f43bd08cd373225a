"""The configuration is read again: by signal, by HTTP, and when a file changes."""

import os
import signal

from conftest import wait_for

RULES = """groups:
- name: {name}
  interval: 1s
  rules:
  - record: job:up:sum
    expr: sum(up)
"""


def group_names(server) -> list[str]:
    return [group["name"] for group in server.get("/api/v1/rules")["groups"]]


def write_config(folder, rules: str) -> None:
    (folder / "rules.yml").write_text(rules)
    (folder / "petrel.yml").write_text("rule_files: [rules.yml]\n")


def succeeded(server) -> bool:
    return server.get("/api/v1/status/runtimeinfo")["reloadConfigSuccess"]


def test_a_changed_file_is_taken_up_and_a_bad_one_leaves_the_old_state(petrel, tmp_path):
    write_config(tmp_path, RULES.format(name="first"))
    server = petrel(f"--config.file={tmp_path}/petrel.yml", "--config.auto-reload-interval=200ms")
    assert group_names(server) == ["first"]

    (tmp_path / "rules.yml").write_text(RULES.format(name="second"))
    wait_for(lambda: group_names(server) == ["second"], 20, "the changed rule file")

    (tmp_path / "rules.yml").write_text("groups: [{nmae: third}]\n")
    wait_for(lambda: not succeeded(server), 20, "the failed reload")
    assert group_names(server) == ["second"]
    assert "petrel_config_last_reload_successful 0" in server.call("/metrics").text
    assert "rules.yml:1:" in server.log()

    (tmp_path / "rules.yml").write_text(RULES.format(name="third"))
    wait_for(lambda: group_names(server) == ["third"], 20, "the mended rule file")
    assert succeeded(server)


def test_a_hangup_reloads_and_the_status_tells_of_it(petrel, tmp_path):
    write_config(tmp_path, RULES.format(name="first"))
    server = petrel(f"--config.file={tmp_path}/petrel.yml")
    (tmp_path / "petrel.yml").write_text("rule_files: [rules.yml]\nremote_read: [{url: http://127.0.0.1:1/}]\nno_such_key: 1\n")
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: not succeeded(server), 20, "the failed reload")
    assert group_names(server) == ["first"]

    (tmp_path / "petrel.yml").write_text("rule_files: [rules.yml]\nremote_read: [{url: http://127.0.0.1:1/}]\n")
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: succeeded(server), 20, "the reload")
    answer = server.call("/api/v1/status/config").json()
    assert any(warning.startswith("remote_read ") for warning in answer["warnings"]), answer
    assert 'petrel_config_unsupported_keys{key="remote_read"} 1' in server.call("/metrics").text
