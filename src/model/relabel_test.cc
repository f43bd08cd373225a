#include "model/relabel.h"

#include "model/anchored_regex.h"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace model {
namespace {

RelabelRule rule(RelabelConfig config, NameScheme scheme = NameScheme::Utf8) {
  auto made = RelabelRule::create(std::move(config), scheme);
  REQUIRE_MESSAGE(made.has_value(), made.error().message);
  return *made;
}

std::string refusal(RelabelConfig config, NameScheme scheme = NameScheme::Utf8) {
  const auto made = RelabelRule::create(std::move(config), scheme);
  return made ? "accepted" : made.error().message;
}

// "dropped", or what is left.
std::string after_all(const RelabelRules& rules, const Labels& labels) {
  LabelsBuilder builder(labels);
  return relabel(rules, builder) ? builder.build().to_string() : "dropped";
}
std::string after(RelabelConfig config, const Labels& labels) {
  return after_all(RelabelRules{rule(std::move(config))}, labels);
}

const Labels kAbc = Labels::of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}});

using enum RelabelAction;

TEST_CASE("replace writes what the groups give") {
  CHECK(after({.source_labels = {"a"},
               .regex = "f(.*)",
               .target_label = "d",
               .replacement = "ch${1}-ch${1}"},
              kAbc) == R"({a="foo", b="bar", c="baz", d="choo-choo"})");
  CHECK(after({.source_labels = {"a", "b"},
               .regex = "f(.*);(.*)r",
               .target_label = "a",
               .replacement = "b${1}${2}m"},
              kAbc) == R"({a="boobam", b="bar", c="baz"})");
  CHECK(after({.source_labels = {"a"}, .target_label = "d"}, kAbc) ==
        R"({a="foo", b="bar", c="baz", d="foo"})");
  CHECK(after({.target_label = "d", .replacement = "x"}, Labels()) == R"({d="x"})");
}

TEST_CASE("replace without a match or with an impossible name changes nothing") {
  CHECK(after({.source_labels = {"a"}, .regex = "oo", .target_label = "a", .replacement = "x"},
              kAbc) == kAbc.to_string());
  CHECK(after({.source_labels = {"a"}, .regex = "(f).*", .target_label = "$2", .replacement = "x"},
              kAbc) == kAbc.to_string());
  CHECK(after_all(RelabelRules{rule({.source_labels = {"a"},
                                     .regex = "some-([^-]+)-([^,]+)",
                                     .target_label = "${1}",
                                     .replacement = "${2}"},
                                    NameScheme::Legacy)},
                  Labels::of({{"a", "some-2name-value"}})) == R"({a="some-2name-value"})");
}

TEST_CASE("replace with an empty result removes the label") {
  CHECK(after({.source_labels = {"a"}, .regex = "f.*", .target_label = "b", .replacement = ""},
              kAbc) == R"({a="foo", c="baz"})");
  CHECK(after({.target_label = "a", .replacement = ""}, kAbc) == R"({b="bar", c="baz"})");
  CHECK(after({.source_labels = {"none"}, .target_label = "a"}, kAbc) == R"({b="bar", c="baz"})");
  CHECK(after({.source_labels = {"a"}, .target_label = "a", .replacement = "$7"}, kAbc) ==
        R"({b="bar", c="baz"})");
}

TEST_CASE("templates read group names as long as they go") {
  const auto expanded = [](const std::string& replacement,
                           const std::string& regex = "(f)(?P<n>o).") {
    LabelsBuilder builder(Labels::of({{"a", "foo"}}));
    rule({.source_labels = {"a"}, .regex = regex, .target_label = "r", .replacement = replacement})
        .apply(builder);
    return std::string(builder.get("r"));
  };
  CHECK(expanded("$1x").empty());
  CHECK(expanded("${1}x") == "fx");
  CHECK(expanded("$n-$2") == "o-o");
  CHECK(expanded("$0") == "foo");
  CHECK(expanded("$$1") == "$1");
  CHECK(expanded("$") == "$");
  CHECK(expanded("a$-b") == "a$-b");
  CHECK(expanded("${1") == "${1");
  CHECK(expanded("${}") == "${}");
  CHECK(expanded("$01|") == "|");
  CHECK(expanded("$1_|") == "|");
  CHECK(expanded("$é|") == "|");
  CHECK(expanded("$999999999999|") == "|");
  CHECK(expanded("$g1", "(?<g1>f[(?<x>o]*)") == "foo");
}

TEST_CASE("keep and drop ask the whole joined value") {
  CHECK(after({.source_labels = {"a", "b"}, .regex = "foo;bar", .action = Keep}, kAbc) ==
        kAbc.to_string());
  CHECK(after({.source_labels = {"a"}, .regex = "fo", .action = Keep}, kAbc) == "dropped");
  CHECK(after({.source_labels = {"a"}, .regex = "x|f.*", .action = Drop}, kAbc) == "dropped");
  CHECK(after({.source_labels = {"none"}, .regex = "", .action = Drop}, kAbc) == "dropped");
  CHECK(after({.source_labels = {"a", "c"}, .separator = "--", .regex = "foo--baz", .action = Drop},
              kAbc) == "dropped");
}

TEST_CASE("keepequal and dropequal compare without a regex") {
  const Labels labels = Labels::of({{"port", "1"}, {"want", "1"}, {"other", "2"}});
  CHECK(after({.source_labels = {"port"}, .target_label = "want", .action = KeepEqual}, labels) ==
        labels.to_string());
  CHECK(after({.source_labels = {"port"}, .target_label = "other", .action = KeepEqual}, labels) ==
        "dropped");
  CHECK(after({.source_labels = {"port"}, .target_label = "want", .action = DropEqual}, labels) ==
        "dropped");
  CHECK(after({.source_labels = {"port"}, .target_label = "other", .action = DropEqual}, labels) ==
        labels.to_string());
}

TEST_CASE("hashmod takes the end of the MD5 sum") {
  CHECK(after({.source_labels = {"c"}, .modulus = 1000, .target_label = "d", .action = HashMod},
              kAbc) == R"({a="foo", b="bar", c="baz", d="976"})");
  CHECK(after({.source_labels = {"a"}, .modulus = 1000, .target_label = "d", .action = HashMod},
              Labels::of({{"a", "foo\nbar"}})) == "{a=\"foo\\nbar\", d=\"734\"}");
}

TEST_CASE("labelmap, labeldrop and labelkeep go by names") {
  const Labels labels = Labels::of({{"__meta_x", "1"}, {"__meta_y", "2"}, {"z", "3"}});
  CHECK(after({.regex = "__meta_(.*)", .action = LabelMap}, labels) ==
        R"({__meta_x="1", __meta_y="2", x="1", y="2", z="3"})");
  CHECK(after({.regex = "__meta_(x|z)", .replacement = "pre_${1}", .action = LabelMap}, labels) ==
        R"({__meta_x="1", __meta_y="2", pre_x="1", z="3"})");
  CHECK(after({.regex = "__meta_.+", .action = LabelDrop}, labels) == R"({z="3"})");
  CHECK(after({.regex = "z|__meta_x", .action = LabelKeep}, labels) == R"({__meta_x="1", z="3"})");
}

TEST_CASE("of two labels mapped to one name the one that was set last stays") {
  const Labels labels = Labels::of({{"m_a", "1"}, {"m_b", "2"}});
  CHECK(after({.regex = "m_.", .replacement = "x", .action = LabelMap}, labels) ==
        R"({m_a="1", m_b="2", x="2"})");
  // m_a is set by a rule, and so comes behind what discovery gave.
  CHECK(after_all(RelabelRules{rule({.target_label = "m_a", .replacement = "3"}),
                               rule({.regex = "m_.", .replacement = "x", .action = LabelMap})},
                  labels) == R"({m_a="3", m_b="2", x="3"})");
}

TEST_CASE("case is changed beyond ASCII") {
  const Labels labels = Labels::of({{"a", "bAr Straße ÄÖé Ω"}});
  CHECK(after({.source_labels = {"a"}, .target_label = "a", .action = Lowercase}, labels) ==
        R"({a="bar straße äöé ω"})");
  CHECK(after({.source_labels = {"a"}, .target_label = "a", .action = Uppercase}, labels) ==
        R"({a="BAR STRAßE ÄÖÉ Ω"})");
}

TEST_CASE("a regex that breaks out of its brackets means what it says") {
  // ^(?s:a)|(b)$ : starts with a, or ends in b.
  const RelabelConfig config = {.source_labels = {"v"}, .regex = "a)|(b", .action = Keep};
  CHECK(after(config, Labels::of({{"v", "axx"}})) == R"({v="axx"})");
  CHECK(after(config, Labels::of({{"v", "xxb"}})) == R"({v="xxb"})");
  CHECK(after(config, Labels::of({{"v", "xax"}})) == "dropped");
  CHECK(after({.regex = "a)|(b", .replacement = "<$0>", .action = LabelMap},
              Labels::of({{"axb", "1"}})) == R"({"<a>x<b>"="1", axb="1"})");
}

TEST_CASE("a rule that cannot work is refused in Prometheus's words") {
  CHECK(refusal({}) == "relabel configuration for replace action requires 'target_label' value");
  CHECK(refusal({.target_label = "l", .action = HashMod}) ==
        "relabel configuration for hashmod requires non-zero modulus");
  CHECK(refusal({.modulus = 2, .action = HashMod}) ==
        "relabel configuration for hashmod action requires 'target_label' value");
  CHECK(refusal({.action = Lowercase}) ==
        "relabel configuration for lowercase action requires 'target_label' value");
  CHECK(refusal({.target_label = "0${1}"}) == "accepted");
  CHECK(refusal({.target_label = "0${1}"}, NameScheme::Legacy) ==
        R"("0${1}" is invalid 'target_label' for replace action)");
  CHECK(refusal({.target_label = "a-b"}, NameScheme::Legacy) ==
        R"("a-b" is invalid 'target_label' for replace action)");
  CHECK(refusal({.target_label = "\xff"}) ==
        R"("\xff" is invalid 'target_label' for replace action)");
  CHECK(refusal({.target_label = "${3}", .action = Lowercase}, NameScheme::Legacy) ==
        R"("${3}" is invalid 'target_label' for lowercase action)");
  CHECK(refusal({.modulus = 2, .target_label = "a.b", .action = HashMod}, NameScheme::Legacy) ==
        R"("a.b" is invalid 'target_label' for hashmod action)");
  CHECK(refusal({.target_label = "l", .replacement = "x", .action = Uppercase}) ==
        "'replacement' can not be set for uppercase action");
  CHECK(refusal({.regex = "x(.*)", .replacement = "-$1", .action = LabelMap}, NameScheme::Legacy) ==
        R"("-$1" is invalid 'replacement' for labelmap action)");
  CHECK(refusal({.target_label = "l", .action = KeepEqual, .has_regex = true}) ==
        "keepequal action requires only 'source_labels' and `target_label`, and no other fields");
  CHECK(refusal({.separator = "-", .target_label = "l", .action = DropEqual}) ==
        "dropequal action requires only 'source_labels' and `target_label`, and no other fields");
  CHECK(refusal({.source_labels = {"a"}, .regex = "x", .action = LabelDrop}) ==
        "labeldrop action requires only 'regex', and no other fields");
  CHECK(refusal({.regex = "x", .target_label = "l", .action = LabelKeep}) ==
        "labelkeep action requires only 'regex', and no other fields");
}

TEST_CASE("a regex that does not compile is refused in Go's words") {
  CHECK(refusal({.regex = "(a", .action = Keep}) ==
        "error parsing regexp: missing closing ): `^(?s:(a)$`");
  CHECK(refusal({.regex = "a**", .action = Keep}) ==
        "error parsing regexp: invalid nested repetition operator: `**`");
  CHECK(refusal({.regex = "*", .action = Keep}) ==
        "error parsing regexp: missing argument to repetition operator: `*`");
  CHECK(refusal({.regex = "[z-a]", .action = Keep}) ==
        "error parsing regexp: invalid character class range: `z-a`");
}

TEST_CASE("actions are read without regard to case") {
  CHECK(*parse_relabel_action("LabelMap") == LabelMap);
  CHECK(parse_relabel_action("delete").error().message == R"(unknown relabel action "delete")");
  for (const auto action : {Replace, Keep, Drop, KeepEqual, DropEqual, HashMod, LabelMap, LabelDrop,
                            LabelKeep, Lowercase, Uppercase}) {
    CHECK(*parse_relabel_action(relabel_action_name(action)) == action);
  }
}

TEST_CASE("shortcuts judge as the whole regex does") {
  const std::vector<std::string> patterns = {
      "",       "a",         "a|b",      "a|",    "ab|abc|b", "(a|bc)",  "(?:a|bc)",
      "a.*",    ".*a",       ".*a.*",    ".+a",   "a.+",      ".+a.+",   ".*",
      ".+",     "(.*)",      "(.+)",     "a\\.b", "a\\.b.*",  "a.b",     "a|b.*",
      ".*b|ab", "(a)|(b)",   "a(.*)",    "a(.+)", "a\\.(.*)", "a|b(.*)", "(.*)(.*)",
      "a\\|b",  "(a\\)",     "a.*b",     ".*.*",  "b.+|a",    "x\\d",    ".",
      "..",     "a.*|.+b.+", "(ab|a.*)", ".+.+",  ".*.+",     "a?"};
  const std::vector<std::string> texts = {"",    "a",   "b",  "ab",  "abc", "bc",
                                          "ba",  "aba", "aa", "bab", "a.b", "axb",
                                          "a|b", "\n",  "x1", "a\n", "bb",  "cac"};
  for (const std::string& pattern : patterns) {
    const auto regex = AnchoredRegex::create(pattern);
    if (pattern == "(a\\)") {
      CHECK_FALSE(regex.has_value());
      continue;
    }
    REQUIRE(regex.has_value());
    // A group around a part that is always there keeps the shortcuts away.
    const auto slow = AnchoredRegex::create("(?:" + pattern + "){1}");
    REQUIRE(slow.has_value());
    for (const std::string& text : texts) {
      CAPTURE(pattern);
      CAPTURE(text);
      CHECK(regex->matches(text) == slow->matches(text));
      std::vector<std::string_view> groups(regex->group_count() + 1);
      std::vector<std::string_view> slow_groups(groups.size());
      CHECK(regex->capture(text, groups) == slow->capture(text, slow_groups));
      CHECK(groups == slow_groups);
    }
  }
}

}  // namespace
}  // namespace model
