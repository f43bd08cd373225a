#include "rules/rule_file.h"

#include "promql/parser.h"
#include "rules/default_rules.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>

using rules::read_rule_file;
using rules::RuleFile;

namespace {

core::Result<void> check(std::string_view expression) {
  TRY(promql::parse(expression));
  return {};
}

RuleFile read(std::string text, bool strict = false) {
  return read_rule_file({"r.yml", std::move(text)}, check, strict);
}

std::string first_error(std::string text) {
  const RuleFile file = read(std::move(text));
  return file.errors.empty() ? "no error" : file.errors.front();
}

std::string rule_with(const std::string& lines) {
  return "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n" + lines;
}

}  // namespace

TEST_CASE("Prometheus's fixtures load, and its bad ones do not") {
  size_t good = 0;
  size_t bad = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TESTDATA_DIR "/rules")) {
    std::ifstream stream(entry.path());
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    const RuleFile file = read_rule_file({name, text}, check, false);
    const bool is_bad = name.ends_with(".bad.yaml") || name == "invalid_rules.yaml";
    CAPTURE((file.errors.empty() ? "" : file.errors.front()));
    CHECK(file.errors.empty() == !is_bad);
    if (is_bad) {
      CHECK(file.errors.front().starts_with(name + ":"));
      ++bad;
    } else {
      ++good;
    }
  }
  CHECK(good >= 15);
  CHECK(bad >= 10);
}

TEST_CASE("the plain list of groups loads as written") {
  const RuleFile file = read(R"(
- name: instance_down
  rules:
    - alert: instance_down
      expr: up == 0
      for: 5m
      labels:
      annotations:
        summary: "{{ instance }} is down"
- name: cpu
  rules:
    - alert: high_cpu
      expr: cpu.load > 0.8
      for: 5m
      annotations:
        summary: "{{ host }} is busy: {{ $value }}"
)");
  REQUIRE_MESSAGE(file.errors.empty(), file.errors.front());
  REQUIRE(file.groups.size() == 2);
  CHECK(file.groups[0].rules[0].for_ms == 300'000);
  CHECK(file.groups[1].rules[0].expression == "cpu.load > 0.8");
  templates::Data data;
  data.labels = model::Labels::of({{"host", "web1"}});
  data.value = 0.9;
  CHECK(file.groups[1].rules[0].annotation_templates[0].expand(data).value() ==
        "web1 is busy: 0.9");
}

TEST_CASE("a list of rules where groups belong is told in one line per rule") {
  const RuleFile file = read("- alert: a\n  expr: up == 0\n- record: b\n  expr: up\n");
  CHECK(file.errors ==
        std::vector<std::string>{"r.yml:1:3: expected a group, with name and rules, not a rule",
                                 "r.yml:3:3: expected a group, with name and rules, not a rule"});
}

TEST_CASE("all keys of groups and rules are read; rule labels win over those of the group") {
  const RuleFile file = read(R"(
groups:
  - name: g
    interval: 30s
    query_offset: 1m
    limit: 10
    labels: {team: a, tier: "1"}
    rules:
      - record: a:b:c
        expr: vector(1)
        labels: {team: b}
      - alert: X
        expr: vector(1)
        for: 1h30m
        keep_firing_for: 5m
)");
  REQUIRE_MESSAGE(file.errors.empty(), file.errors.front());
  const rules::GroupSpec& group = file.groups.at(0);
  CHECK(group.interval_ms == 30'000);
  CHECK(group.query_offset_ms == 60'000);
  CHECK(group.limit == 10);
  CHECK(group.rules[0].labels == alertstore::Annotations{{"team", "b"}, {"tier", "1"}});
  CHECK(group.rules[1].labels == alertstore::Annotations{{"team", "a"}, {"tier", "1"}});
  CHECK(group.rules[1].for_ms == 5'400'000);
  CHECK(group.rules[1].keep_firing_for_ms == 300'000);
}

TEST_CASE("errors name file, line and column") {
  CHECK(first_error("groups:\n- name: g\n  rulez: []\n") ==
        "r.yml:3:3: unknown field \"rulez\" in group");
  CHECK(first_error("alerts: []\n") == "r.yml:1:1: unknown field \"alerts\" in rule file");
  CHECK(first_error(rule_with("    for: soon\n")).starts_with("r.yml:6:10: for: "));
  CHECK(first_error(rule_with("    for: ''\n")).starts_with("r.yml:6:10: for: "));
  CHECK(first_error(rule_with("    annotation: {}\n")) ==
        "r.yml:6:5: unknown field \"annotation\" in rule");
  CHECK(first_error(rule_with("    labels: [a]\n")) ==
        "r.yml:6:13: labels must be a mapping, not sequence");
  CHECK(first_error(rule_with("    labels: {a: [b]}\n")) ==
        "r.yml:6:17: a must be a text, not sequence");
  CHECK(first_error(rule_with("    labels: {__name__: b}\n")) ==
        "r.yml:6:14: group \"g\", rule 1, \"A\": invalid label name: __name__");
  CHECK(first_error(rule_with("    annotations: {a: '{{ $x }}'}\n")) ==
        "r.yml:6:22: group \"g\", rule 1, \"A\": annotation \"a\": 1:4: undefined variable \"$x\"");
  const std::string parse_error =
      first_error("- name: g\n  rules:\n  - {alert: A, expr: 'up =='}\n");
  CHECK(parse_error.starts_with(
      "r.yml:3:22: group \"g\", rule 1, \"A\": could not parse expression: 1:"));
  CHECK(first_error("groups: 3\n") == "r.yml:1:9: groups must be a sequence, not text");
  CHECK(first_error("- rules: []\n") == "r.yml:1:3: Groupname must not be empty");
  CHECK(first_error("- name: g\n- name: g\n") ==
        "r.yml:2:9: groupname: \"g\" is repeated in the same file");
  CHECK(first_error("a: 1\na: 2\n") == "r.yml:2:1: repeated key \"a\"");
  CHECK(first_error("- {name: g, limit: many}\n").starts_with("r.yml:1:20: limit: "));
  CHECK(first_error("text\n").starts_with("r.yml:1:1: expected groups"));
}

TEST_CASE("rules that Prometheus refuses are refused in its words, with group and number") {
  const auto told = [](const std::string& rule) {
    return first_error("groups:\n- name: g\n  rules:\n  - {record: ok, expr: up}\n  - " + rule +
                       "\n");
  };
  CHECK(told("{expr: up}") ==
        "r.yml:5:5: group \"g\", rule 2, \"\": one of 'record' or 'alert' must be set");
  CHECK(told("{record: r, alert: A, expr: up}") ==
        "r.yml:5:14: group \"g\", rule 2, \"A\": only one of 'record' and 'alert' must be set");
  CHECK(told("{alert: A}") ==
        "r.yml:5:5: group \"g\", rule 2, \"A\": field 'expr' must be set in rule");
  CHECK(told("{record: r, expr: up, for: 5m}") ==
        "r.yml:5:32: group \"g\", rule 2, \"r\": invalid field 'for' in recording rule");
  CHECK(told("{record: r, expr: up, keep_firing_for: 5m}") ==
        "r.yml:5:44: group \"g\", rule 2, \"r\": invalid field 'keep_firing_for' in recording "
        "rule");
  CHECK(told("{record: r, expr: up, annotations: {a: b}}") ==
        "r.yml:5:40: group \"g\", rule 2, \"r\": invalid field 'annotations' in recording rule");
  CHECK(told("{record: 'r{a=\"b\"}', expr: up}") ==
        "r.yml:5:14: group \"g\", rule 2, \"r{a=\"b\"}\": braces present in the recording rule "
        "name; should it be in expr?: r{a=\"b\"}");
  CHECK(told("{record: r, expr: up, labels: {'': b}}") ==
        "r.yml:5:36: group \"g\", rule 2, \"r\": invalid label name: ");
  CHECK(told("{alert: A, expr: up, annotations: {'': b}}") ==
        "r.yml:5:40: group \"g\", rule 2, \"A\": invalid annotation name: ");
  // What says nothing is no error.
  CHECK(told("{record: r, expr: up, for: 0s, keep_firing_for: 0s, annotations: {}}") == "no error");
  CHECK(told("{record: r.with.dots, expr: up, labels: {a-b: c}}") == "no error");
  CHECK(first_error("groups: [{name: g, limit: -1, labels: {__name__: a}}]\n") ==
        "r.yml:1:40: invalid label name: __name__");
  CHECK(first_error("groups: [{name: g, limit: '5'}]\n").starts_with("r.yml:1:27: limit: "));
}

TEST_CASE("every error of a file is reported, not only the first") {
  CHECK(read(rule_with("    for: x\n    labelz: {}\n    annotations: {a: '{{'}\n")).errors.size() ==
        3);
}

TEST_CASE("an empty file holds no groups and no errors") {
  CHECK(read("").errors.empty());
  CHECK(read("groups:\n").errors.empty());
  CHECK(read("# nothing\n").groups.empty());
}

TEST_CASE("bare labels are refused in strict mode") {
  CHECK(read(rule_with("    annotations: {a: '{{ host }}'}\n"), true).errors.size() == 1);
}

TEST_CASE("the default rules are a valid rule file in strict mode too") {
  const rules::RuleText text = rules::default_rules();
  for (const bool strict : {false, true}) {
    const RuleFile file = read_rule_file(text, check, strict);
    REQUIRE_MESSAGE(file.errors.empty(), file.errors.front());
    REQUIRE(file.groups.size() == 1);
    CHECK(file.groups[0].rules.size() >= 8);
    for (const rules::RuleSpec& rule : file.groups[0].rules) {
      CAPTURE(rule.name);
      CHECK(rule.for_ms > 0);
      REQUIRE(rule.labels.size() == 1);
      CHECK((rule.labels[0].second == "warning" || rule.labels[0].second == "critical"));
      CHECK(rule.annotations.size() == 2);
    }
  }
}
