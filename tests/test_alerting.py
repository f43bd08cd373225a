"""An alert reaches its webhook whatever happens in between, and only as often as it must."""

import json
import time
import urllib.parse

from conftest import wait_for

RULES = """\
groups:
  - name: rooms
    interval: 1s
    rules:
      - alert: TooHot
        expr: temperature_celsius > 80
        for: 2s
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.room }} is at {{ $value }}"}
"""

# Firing takes the `for`, two slots and a delivery; the rest is a slow machine.
PAGE_SECONDS_MAX = 20
# How long to look for a page that must not come.
QUIET_SECONDS = 4


def set_temperature(server, celsius: float, room: str = "server room"):
    answer = server.write([({"__name__": "temperature_celsius", "room": room}, [(int(time.time() * 1000), celsius)])])
    assert answer.status in (200, 204), answer.text


def alert_states(server, name: str = "TooHot") -> list[str]:
    return [alert["state"] for alert in server.alerts() if alert["labels"]["alertname"] == name]


def start_with_rules(petrel, folder, webhook, rules: str = RULES, **options):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules)
    return petrel("--rules.file=rules.yml", f"--alerting.webhook-url={webhook.url}", "--no-collector.host",
                  "--no-rules.default", folder=folder, **options)


def test_a_firing_rule_pages_once_and_then_resolves_once(petrel, webhook, tmp_path):
    webhook.up()
    server = start_with_rules(petrel, tmp_path / "petrel", webhook)
    set_temperature(server, 95)
    wait_for(lambda: webhook.alerts("firing"), PAGE_SECONDS_MAX, "the page")
    assert alert_states(server) == ["firing"]
    assert server.value('ALERTS{alertname="TooHot",alertstate="firing"}') == 1

    set_temperature(server, 20)
    wait_for(lambda: webhook.alerts("resolved"), PAGE_SECONDS_MAX, "the resolve")
    wait_for(lambda: alert_states(server) == [], 5, "no active alert")
    time.sleep(QUIET_SECONDS)
    assert [alert["status"] for alert in webhook.alerts()] == ["firing", "resolved"]

    page, resolve = webhook.alerts()
    for alert in (page, resolve):
        assert alert["labels"] == {"alertname": "TooHot", "room": "server room", "severity": "critical"}
    assert page["annotations"]["summary"] == "server room is at 95"
    assert resolve["startsAt"] == page["startsAt"] and resolve["endsAt"] > resolve["startsAt"]
    message = webhook.accepted[0]["body"]
    assert message["version"] == "4" and message["status"] == "firing" and message["groupKey"]
    assert message["groupKey"] == webhook.accepted[-1]["body"]["groupKey"]


def test_a_short_peak_below_the_for_duration_pages_nobody(petrel, webhook, tmp_path):
    webhook.up()
    server = start_with_rules(petrel, tmp_path / "petrel", webhook, RULES.replace("for: 2s", "for: 1h"))
    set_temperature(server, 95)
    wait_for(lambda: alert_states(server) == ["pending"], 10, "pending")
    set_temperature(server, 20)
    wait_for(lambda: alert_states(server) == [], 10, "inactive")
    time.sleep(QUIET_SECONDS)
    assert webhook.accepted == []


def test_killed_between_firing_and_delivery_while_the_webhook_is_down_the_page_arrives_then_the_resolve(
        petrel, webhook, tmp_path):
    folder = tmp_path / "petrel"
    server = start_with_rules(petrel, folder, webhook)
    set_temperature(server, 95)
    wait_for(lambda: alert_states(server) == ["firing"], PAGE_SECONDS_MAX, "firing")
    server.kill()

    # Again, now with the delivery waiting when it starts and dies.
    server.start()
    time.sleep(1)
    server.kill()
    assert webhook.accepted == [] and webhook.refused == []

    webhook.up()
    server.start()
    wait_for(lambda: webhook.alerts("firing"), PAGE_SECONDS_MAX, "the page after the restart")
    assert webhook.alerts("firing")[0]["annotations"]["summary"] == "server room is at 95"

    set_temperature(server, 20)
    wait_for(lambda: webhook.alerts("resolved"), PAGE_SECONDS_MAX, "the resolve")
    time.sleep(QUIET_SECONDS)
    # No delivery was ever cut short, so no repetition can be explained.
    assert [alert["status"] for alert in webhook.alerts()] == ["firing", "resolved"]
    assert webhook.alerts()[0]["startsAt"] == webhook.alerts()[1]["startsAt"]


def test_an_alert_that_ended_while_petrel_was_down_is_resolved_and_not_forgotten(petrel, webhook, tmp_path):
    webhook.up()
    server = start_with_rules(petrel, tmp_path / "petrel", webhook)
    set_temperature(server, 95)
    wait_for(lambda: webhook.alerts("firing"), PAGE_SECONDS_MAX, "the page")
    set_temperature(server, 20)
    server.kill()
    webhook.down()
    time.sleep(1)
    webhook.up()
    server.start()
    wait_for(lambda: webhook.alerts("resolved"), PAGE_SECONDS_MAX, "the resolve after the restart")
    time.sleep(QUIET_SECONDS)
    # The kill may have come before the receipt of the page was durable; that page may then
    # come twice, under the same key. The resolve comes once.
    assert len(webhook.alerts("resolved")) == 1
    keys = {request["headers"].get("Idempotency-Key") for request in webhook.accepted
            if request["body"]["status"] == "firing"}
    assert len(webhook.alerts("firing")) == 1 or len(keys) == 1


def test_a_webhook_that_answers_500_is_tried_until_it_takes_the_page(petrel, webhook, tmp_path):
    webhook.up()
    webhook.answer_status = 500
    server = start_with_rules(petrel, tmp_path / "petrel", webhook)
    set_temperature(server, 95)
    wait_for(lambda: len(webhook.refused) >= 2, PAGE_SECONDS_MAX, "two attempts")
    webhook.answer_status = 200
    wait_for(lambda: webhook.alerts("firing"), PAGE_SECONDS_MAX * 2, "the page")
    time.sleep(QUIET_SECONDS)
    assert len(webhook.alerts("firing")) == 1
    keys = {request["headers"].get("Idempotency-Key") for request in webhook.refused + webhook.accepted}
    assert len(keys) == 1 and None not in keys, "attempts at one page carry one key"


def test_two_alerts_of_one_rule_both_arrive(petrel, webhook, tmp_path):
    webhook.up()
    server = start_with_rules(petrel, tmp_path / "petrel", webhook)
    for room in ("attic", "cellar"):
        set_temperature(server, 90, room)
    wait_for(lambda: {alert["labels"]["room"] for alert in webhook.alerts("firing")} == {"attic", "cellar"},
             PAGE_SECONDS_MAX, "both pages")
    set_temperature(server, 20, "attic")
    wait_for(lambda: [alert["labels"]["room"] for alert in webhook.alerts("resolved")] == ["attic"],
             PAGE_SECONDS_MAX, "one resolve")
    assert alert_states(server) == ["firing"]


LIST_RULES = """\
- name: instance_down
  rules:
    # Alert for any instance that is unreachable for more than 5 minutes.
    - alert: instance_down
      expr: up == 0
      for: 5m
      labels:
        severity: page
- name: cpu
  interval: 1s
  rules:
    - alert: high_cpu
      expr: cpu.load > 0.8
      for: 5m
      annotations:
        summary: "{{ host }} is busy"
    - alert: high_cpu_at_once
      expr: cpu.load > 0.8
      annotations:
        summary: "{{ host }} is busy"
"""


def test_rules_in_the_plain_list_form_load_as_written_with_dotted_names_and_bare_labels(petrel, webhook, tmp_path):
    webhook.up()
    server = start_with_rules(petrel, tmp_path / "petrel", webhook, LIST_RULES)
    groups = {group["name"]: group for group in server.get("/api/v1/rules")["groups"]}
    assert sorted(groups) == ["cpu", "instance_down"]
    assert [(rule["name"], rule["duration"]) for rule in groups["instance_down"]["rules"]] == [("instance_down", 300)]

    point = {"metric_name": "cpu.load", "labels": {"host": "web1"}, "timestamp": time.time(), "value": 0.9}
    answer = server.call("/api/v1/import/json", data=json.dumps(point).encode())
    assert answer.status in (200, 204), answer.text
    wait_for(lambda: webhook.alerts("firing"), PAGE_SECONDS_MAX, "the page")
    assert webhook.alerts()[0]["annotations"]["summary"] == "web1 is busy"
    assert alert_states(server, "high_cpu") == ["pending"]


def test_a_recording_rule_stores_its_result_and_an_alert_can_stand_on_it(petrel, webhook, tmp_path):
    webhook.up()
    rules = """\
groups:
  - name: chain
    interval: 1s
    rules:
      - record: room:temperature_celsius:max
        expr: max by (room) (temperature_celsius)
      - alert: Hot
        expr: room:temperature_celsius:max > 80
"""
    server = start_with_rules(petrel, tmp_path / "petrel", webhook, rules)
    set_temperature(server, 85)
    wait_for(lambda: webhook.alerts("firing", "Hot"), PAGE_SECONDS_MAX, "the page")
    assert server.value("room:temperature_celsius:max") == 85


def test_reload_takes_new_rules_and_keeps_the_old_ones_when_a_file_is_bad(petrel, webhook, tmp_path):
    folder = tmp_path / "petrel"
    server = start_with_rules(petrel, folder, webhook)

    def names():
        return [rule["name"] for group in server.get("/api/v1/rules")["groups"] for rule in group["rules"]]

    (folder / "rules.yml").write_text(RULES.replace("TooHot", "FarTooHot"))
    assert server.call("/-/reload", method="POST").status == 200
    assert names() == ["FarTooHot"]

    (folder / "rules.yml").write_text(RULES.replace("temperature_celsius > 80", "temperature_celsius >"))
    answer = server.call("/-/reload", method="POST")
    assert answer.status != 200 and "rules.yml:6:" in answer.text, answer.text
    assert names() == ["FarTooHot"]


def test_default_rules_watch_the_own_host(petrel):
    server = petrel()
    rules = wait_for(lambda: [rule for group in server.get("/api/v1/rules")["groups"] for rule in group["rules"]],
                     10, "default rules")
    expressions = " ".join(urllib.parse.unquote(rule["query"]) for rule in rules)
    for metric in ("node_filesystem_avail_bytes", "node_memory", "node_load"):
        assert metric in expressions
    wait_for(lambda: all(rule["health"] == "ok" for group in server.get("/api/v1/rules")["groups"]
                         for rule in group["rules"]), 75, "all default rules evaluate")


def test_pages_carry_the_external_labels_and_end_as_they_began(petrel, webhook, tmp_path):
    def write_config(cluster: str):
        (folder / "prometheus.yml").write_text(
            f"global: {{external_labels: {{cluster: {cluster}, replica: a}}}}\n"
            "rule_files: [rules.yml]\n"
            "alerting:\n  alert_relabel_configs: [{regex: replica, action: labeldrop}]\n")

    folder = tmp_path / "petrel"
    folder.mkdir()
    (folder / "rules.yml").write_text(RULES)
    write_config("dc1")
    webhook.up()
    server = petrel("--config.file=prometheus.yml", f"--alerting.webhook-url={webhook.url}", folder=folder)
    set_temperature(server, 95)
    wait_for(lambda: webhook.alerts("firing"), PAGE_SECONDS_MAX, "the page")
    assert "alerting" not in server.log(), "alert_relabel_configs has an effect"
    write_config("dc2")
    assert server.call("/-/reload", method="POST").status == 200
    set_temperature(server, 20)
    wait_for(lambda: webhook.alerts("resolved"), PAGE_SECONDS_MAX, "the resolve")
    labels = {"alertname": "TooHot", "cluster": "dc1", "room": "server room", "severity": "critical"}
    assert [alert["labels"] for alert in webhook.alerts()] == [labels, labels]
    assert server.query('ALERTS{cluster!=""}') == []
