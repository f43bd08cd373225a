#include "core/yaml.h"

#include <doctest/doctest.h>
#include <string>

namespace {

std::string error_of(std::string_view text) {
  const auto parsed = core::parse_yaml(text, "f.yml");
  return parsed ? "no error" : parsed.error().message;
}

core::Yaml must(std::string_view text) {
  auto parsed = core::parse_yaml(text, "f.yml");
  REQUIRE_MESSAGE(parsed, (parsed ? "" : parsed.error().message));
  return *parsed;
}

}  // namespace

TEST_CASE("every node knows its line and column, from 1") {
  const core::Yaml root = must("a: 1\nb:\n  - x\n  - {c: d}\n");
  CHECK(root.find("a")->line == 1);
  CHECK(root.find("a")->column == 4);
  const core::Yaml* d = root.find("b")->items.at(1).find("c");
  REQUIRE(d != nullptr);
  CHECK(d->line == 4);
  CHECK(d->column == 9);
  CHECK(root.members[1].first.line == 2);
  CHECK(root.find("zzz") == nullptr);
}

TEST_CASE("scalars stay text and remember their quotes") {
  const core::Yaml root = must("a: 010\nb: yes\nc: \"true\"\nd: 'null'\ne: ~\nf:\ng: |\n  x\n");
  CHECK(root.find("a")->text == "010");
  CHECK(root.find("b")->text == "yes");
  CHECK_FALSE(root.find("b")->quoted);
  CHECK(root.find("c")->quoted);
  CHECK(root.find("d")->kind == core::Yaml::Kind::Scalar);
  CHECK(root.find("e")->kind == core::Yaml::Kind::Null);
  CHECK(root.find("f")->kind == core::Yaml::Kind::Null);
  CHECK(root.find("g")->text == "x\n");
}

TEST_CASE("what strictness refuses has its place") {
  CHECK(error_of("a: 1\nb: 2\na: 3\n") == "f.yml:3:1: repeated key \"a\"");
  CHECK(error_of("a: !!python/object x\n").starts_with("f.yml:1:4: unknown tag"));
  CHECK(error_of("a: !secret x\n").starts_with("f.yml:1:4: unknown tag"));
  CHECK(error_of("? [a]\n: b\n") == "f.yml:1:3: a key must be a text, not a sequence");
  CHECK(error_of("a: 1\n---\nb: 2\n").find("second document") != std::string::npos);
  CHECK(error_of("a: [1\n").starts_with("f.yml:"));
  CHECK(error_of("a: *nobody\n").starts_with("f.yml:1:4: "));
  CHECK(error_of("a: &x [1, *x]\n") == "f.yml:1:11: alias to a node that it is a part of");
  CHECK(error_of("a: b\nc: \xff\n") == "f.yml:2:4: not valid UTF-8");
  CHECK(error_of(std::string(200, '[')).find("nested too deeply") != std::string::npos);
  CHECK(error_of(std::string(20'000, '[')).starts_with("f.yml:1:"));
}

TEST_CASE("a tab in the indentation is told as such") {
  CHECK(error_of("a:\n\tb: 1\n") == "f.yml:2:1: a tab in the indentation, expected spaces");
  CHECK(error_of("a:\n  b:\n  \t- c: 1\n") ==
        "f.yml:3:3: a tab in the indentation, expected spaces");
  CHECK(must("a:\t1\nb: [\n\t1]\n").members.size() == 2);
}

TEST_CASE("aliases are copies, merge keys fill what is missing") {
  const core::Yaml root = must(
      "base: &base {a: 1, b: 2}\n"
      "other: &other {b: 3, c: 4}\n"
      "one: {<<: *base, b: 9}\n"
      "many:\n  <<: [*base, *other]\n  d: 5\n");
  CHECK(root.find("one")->find("a")->text == "1");
  CHECK(root.find("one")->find("b")->text == "9");
  CHECK(root.find("one")->find("<<") == nullptr);
  CHECK(root.find("many")->find("b")->text == "2");
  CHECK(root.find("many")->find("c")->text == "4");
  CHECK(root.find("many")->find("d")->text == "5");
  CHECK(error_of("a: {<<: 3}\n") == "f.yml:1:9: << needs a mapping");
}

TEST_CASE("aliases that multiply are refused, not expanded") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level < 9; ++level) {
    const std::string previous = "*a" + std::to_string(level - 1);
    text += "a" + std::to_string(level) + ": &a" + std::to_string(level) + " [";
    for (int i = 0; i < 10; ++i) text += (i > 0 ? ", " : "") + previous;
    text += "]\n";
  }
  CHECK(error_of(text).find("too many nodes") != std::string::npos);
}

TEST_CASE("an empty document is null") {
  CHECK(must("").kind == core::Yaml::Kind::Null);
  CHECK(must("# only a comment\n").kind == core::Yaml::Kind::Null);
}
