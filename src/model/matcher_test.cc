#include "model/matcher.h"

#include <doctest/doctest.h>

namespace model {
namespace {

bool matches(MatchType type, const char* pattern, const char* value) {
  return Matcher::create(type, "l", pattern)->matches(value);
}

TEST_CASE("regular expressions are anchored and dot matches newline") {
  CHECK(matches(MatchType::Regex, "a.*", "abc"));
  CHECK_FALSE(matches(MatchType::Regex, "b.*", "abc"));
  CHECK(matches(MatchType::Regex, "a|b", "b"));
  CHECK_FALSE(matches(MatchType::Regex, "a|b", "ab"));
  CHECK(matches(MatchType::Regex, "a.c", "a\nc"));
  CHECK(matches(MatchType::NotRegex, "a.*", "b"));
  CHECK(matches(MatchType::Regex, "", ""));
  CHECK_FALSE(matches(MatchType::Regex, ".+", ""));
}

TEST_CASE("a regular expression that does not compile says why") {
  const auto result = Matcher::create(MatchType::Regex, "l", "a(");
  REQUIRE_FALSE(result);
  CHECK(result.error().message.find("a(") != std::string::npos);
}

TEST_CASE("an absent label has the empty value") {
  const Labels labels = Labels::of({{"__name__", "up"}, {"job", "node"}});
  CHECK(matches_all({Matcher::equal("job", "node"), Matcher::equal("zone", "")}, labels));
  CHECK_FALSE(matches_all({Matcher::equal("zone", "a")}, labels));
}

TEST_CASE("a matcher prints as PromQL") {
  CHECK(Matcher::create(MatchType::NotRegex, "a.b", "x\"y")->to_string() == R"("a.b"!~"x\"y")");
}

}  // namespace
}  // namespace model
