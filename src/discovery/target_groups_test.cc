#include "discovery/target_groups.h"

#include <doctest/doctest.h>

namespace discovery {
namespace {

using config::TargetGroup;
using model::Labels;

std::string json_error(std::string_view text) {
  const auto groups = parse_target_groups_json(text, "t.json");
  return groups ? "accepted" : groups.error().message;
}
std::string yaml_error(std::string_view text) {
  const auto groups = parse_target_groups_yaml(text, "t.yml");
  return groups ? "accepted" : groups.error().message;
}

TEST_CASE("JSON and YAML give the same groups") {
  const auto json = parse_target_groups_json(
      R"([{"targets": ["a:1", "b:2"], "labels": {"env": "prod", "n": "1"}}, {"targets": []}])",
      "f");
  const auto yaml = parse_target_groups_yaml(
      "- targets: ['a:1', b:2]\n  labels:\n    env: prod\n    n: 1\n- targets: []\n", "f");
  REQUIRE(json.has_value());
  REQUIRE(yaml.has_value());
  CHECK(*json == *yaml);
  REQUIRE(json->size() == 2);
  CHECK((*json)[0].source == "f:0");
  CHECK((*json)[0].labels == Labels::of({{"env", "prod"}, {"n", "1"}}));
  CHECK((*json)[0].targets == std::vector<Labels>{Labels::of({{"__address__", "a:1"}}),
                                                  Labels::of({{"__address__", "b:2"}})});
  CHECK((*json)[1].source == "f:1");
}

TEST_CASE("an empty YAML file holds no groups, an empty JSON file is an error") {
  CHECK(parse_target_groups_yaml("", "f")->empty());
  CHECK(parse_target_groups_json("[]", "f")->empty());
  CHECK(json_error("").starts_with("t.json: "));
}

TEST_CASE("errors name the place and what was expected") {
  CHECK(json_error("{}") == "t.json: document: expected an array of target groups, found object");
  CHECK(json_error("[null]") == "t.json: group 0: nil target group item found");
  CHECK(json_error(R"([{"targets": ["a"]}, {"target": []}])") ==
        "t.json: group 1: unknown field \"target\", expected targets or labels");
  CHECK(json_error(R"([{"targets": ["a", 1]}])") ==
        "t.json: group 0, targets[1]: expected a string, found number");
  CHECK(json_error(R"([{"labels": {"a": 1}}])") ==
        "t.json: group 0, labels, \"a\": expected a string, found number");
  CHECK(yaml_error("targets: [a]") ==
        "t.yml:1:1: expected a sequence of target groups, found mapping");
  CHECK(yaml_error("- targets: [a]\n- target: [a]\n") ==
        "t.yml:2:3: unknown key \"target\", expected targets or labels");
  CHECK(yaml_error("- targets: a\n") == "t.yml:1:12: expected a sequence of strings, found text");
  CHECK(yaml_error("- targets: [[a]]\n") == "t.yml:1:13: expected a string, found sequence");
  CHECK(yaml_error("- ~\n") == "t.yml:1:3: nil target group item found");
  CHECK(yaml_error("- labels: {a: {b: c}}\n") == "t.yml:1:15: expected a string, found mapping");
}

TEST_CASE("a label added to all groups wins over theirs") {
  auto groups =
      *parse_target_groups_yaml("- labels: {__meta_filepath: x, a: b}\n- targets: [a]", "f");
  add_label(groups, "__meta_filepath", "f");
  CHECK(groups[0].labels == Labels::of({{"__meta_filepath", "f"}, {"a", "b"}}));
  CHECK(groups[1].labels == Labels::of({{"__meta_filepath", "f"}}));
}

}  // namespace
}  // namespace discovery
