#include "promql/parser.h"

#include "promql/printer.h"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace {

using promql::parse;
using promql::ParseOptions;
using promql::print;

std::string printed(std::string_view text, const ParseOptions& options = {}) {
  const auto expr = parse(text, options);
  return expr ? print(**expr) : expr.error().message;
}

struct Case {
  const char* input;
  const char* output;
};

}  // namespace

TEST_CASE("expressions print in canonical form") {
  const std::vector<Case> cases = {
      {"1", "1"},
      {"+Inf", "Inf"},
      {"+inf ^ 2", "+Inf ^ 2"},
      {"-inf", "-Inf"},
      {".5", "0.5"},
      {"5.", "5"},
      {"123.4567e-3", "0.1234567"},
      {"0xc", "12"},
      {"0755", "493"},
      {"08", "8"},
      {"1_000_000", "1000000"},
      {"1e21", "1e+21"},
      {"-NaN", "NaN"},
      {"5m", "5m"},
      {"-1h30m", "-1h30m"},
      {"1 + 1", "1 + 1"},
      {"1 + 2/(3*1)", "1 + 2 / (3 * 1)"},
      {"- - 1", "1"},
      {"-foo", "-foo"},
      {"+foo{a='b'}", "+foo{a=\"b\"}"},
      {"foo==bool 1", "foo == bool 1"},
      {"foo * on(a, b) group_left(c) bar", "foo * on (a, b) group_left (c) bar"},
      {"foo unless ignoring(x) bar", "foo unless ignoring (x) bar"},
      {"foo and on() bar", "foo and on () bar"},
      {"SUM BY (a, b,) (x)", "sum by (a, b) (x)"},
      {"sum(x) without (a)", "sum without (a) (x)"},
      {"topk by (and) (5, x)", "topk by (and) (5, x)"},
      {"count_values(\"v\", x)", "count_values(\"v\", x)"},
      {"sum", "sum"},
      {"by + offset", "by + offset"},
      {"foo[5m]", "foo[5m]"},
      {"foo[300]", "foo[5m]"},
      {"foo[5m*2 + 1m]", "foo[11m]"},
      {"foo offset 5m", "foo offset 5m"},
      {"foo offset -5m @ 10", "foo @ 10.000 offset -5m"},
      {"foo[5m] @ start() offset 1h", "foo[5m] @ start() offset 1h"},
      {"rate(foo[5m])[1h:30s] @ end()", "rate(foo[5m])[1h:30s] @ end()"},
      {"foo[1h:]", "foo[1h:]"},
      {"{\"my.metric\", l=\"v\"}", "{__name__=\"my.metric\",l=\"v\"}"},
      {"{__name__=~\"a|b\"}", "{__name__=~\"a|b\"}"},
      {"foo{a!=\"b\",c=~\"d\",e!~'f',}", "foo{a!=\"b\",c=~\"d\",e!~\"f\"}"},
      {"foo # comment\n + bar", "foo + bar"},
      {"\"a\\n\\x41\\u00e9\\101\"", "\"a\\nA\u00e9A\""},
      {"`raw\\n`", "\"raw\\\\n\""},
      {"cpu.load > 0.8", "{__name__=\"cpu.load\"} > 0.8"},
      {"sum by (pool) (rate(disk.io.bytes{host=\"a\"}[5m]))",
       "sum by (pool) (rate({__name__=\"disk.io.bytes\",host=\"a\"}[5m]))"},
      {"time()", "time()"},
      {"label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")",
       "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")"},
      {"foo offset 100 + 2", "foo offset 1m40s + 2"},
      {"2 ^ 3 ^ 2", "2 ^ 3 ^ 2"},
      {"start + end", "start + end"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.input);
    CHECK(printed(one.input) == one.output);
    CHECK(printed(printed(one.input)) == printed(one.input));
  }
}

TEST_CASE("errors carry line and column and say what was unexpected") {
  const std::vector<Case> cases = {
      {"", "unknown position: parse error: no expression found in input"},
      {"1 +", "1:4: parse error: unexpected end of input"},
      {"foo bar", "1:5: parse error: unexpected identifier \"bar\""},
      {"1 /* 1", "1:4: parse error: unexpected <op:*>"},
      {"(1))", "1:4: parse error: unexpected right parenthesis ')'"},
      {"((1)", "1:5: parse error: unclosed left parenthesis"},
      {"foo{", "1:5: parse error: unexpected end of input inside braces"},
      {"foo{a}",
       "1:6: parse error: unexpected \"}\" in label matching, expected label matching "
       "operator"},
      {"foo{a=b}",
       "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"},
      {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"foo{__name__=\"bar\"}",
       "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
      {"foo[5mm]", "1:5: parse error: bad number or duration syntax: \"5mm\""},
      {"foo[0m]", "1:5: parse error: duration must be greater than 0"},
      {"foo[\"5m\"]",
       "1:5: parse error: unexpected string \"\\\"5m\\\"\" in subquery or range "
       "selector, expected number or duration"},
      {"1[5m]", "1:2: parse error: ranges only allowed for vector selectors"},
      {"foo offset 1m[5m]", "1:14: parse error: no offset modifiers allowed before range"},
      {"foo @ bar", "1:7: parse error: unexpected identifier \"bar\" in @, expected timestamp"},
      {"1 offset 1d",
       "1:1: parse error: offset modifier must be preceded by an instant vector selector or range "
       "vector selector or a subquery"},
      {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"foo + bool bar",
       "1:5: parse error: bool modifier can only be used on comparison operators"},
      {"1 and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
      {"foo and on(a) group_left(b) bar",
       "1:1: parse error: no grouping allowed for \"and\" operation"},
      {"foo + on(a) group_left(a) bar",
       "1:5: parse error: label \"a\" must not occur in ON and GROUP clause at once"},
      {"nosuch(foo)", "1:1: parse error: unknown function with name \"nosuch\""},
      {"floor()", "1:1: parse error: expected 1 argument(s) in call to \"floor\", got 0"},
      {"floor(1)",
       "1:7: parse error: expected type instant vector in call to function \"floor\", got scalar"},
      {"rate(foo)",
       "1:6: parse error: expected type range vector in call to function \"rate\", got "
       "instant vector"},
      {"hour(foo, bar, baz)",
       "1:1: parse error: expected at most 1 argument(s) in call to "
       "\"hour\", got 3"},
      {"sum(foo, bar)",
       "1:1: parse error: wrong number of arguments for aggregate expression "
       "provided, expected 1, got 2"},
      {"sum()", "1:1: parse error: no arguments for aggregate expression provided"},
      {"sum by foo (bar)",
       "1:8: parse error: unexpected identifier \"foo\" in grouping opts, expected \"(\""},
      {"-\"string\"",
       "1:1: parse error: unary expression only allowed on expressions of type "
       "scalar or instant vector, got \"string\""},
      {"foo\n  bar", "2:3: parse error: unexpected identifier \"bar\""},
      {"\"abc", "1:1: parse error: unterminated quoted string"},
      {"foo{a=~\"(\"}", nullptr},
  };
  for (const Case& one : cases) {
    CAPTURE(one.input);
    const auto expr = parse(one.input);
    REQUIRE_FALSE(expr.has_value());
    CHECK(expr.error().code == core::ErrorCode::InvalidArgument);
    if (one.output != nullptr) CHECK(expr.error().message == one.output);
  }
}

TEST_CASE("numbers print as Go prints them") {
  CHECK(promql::format_number(1e20) == "100000000000000000000");
  CHECK(promql::format_number(123456789012345678901.0) == "123456789012345680000");
  CHECK(promql::format_number(1e-5) == "1e-05");
  CHECK(promql::format_number(-0.0) == "-0");
  CHECK(promql::format_plain(3.011278827473292e+30) == "3011278827473292000000000000000");
  CHECK(promql::format_plain(-1e21) == "-1000000000000000000000");
  CHECK(promql::format_plain(1.5e-9) == "0.0000000015");
}

TEST_CASE("strict mode takes Prometheus's grammar only") {
  ParseOptions strict;
  strict.strict = true;
  CHECK_FALSE(parse("cpu.load > 0.8", strict).has_value());
  CHECK(parse("{\"cpu.load\"} > 0.8", strict).has_value());
}

TEST_CASE("experimental functions can be turned off") {
  ParseOptions options;
  options.experimental_functions = false;
  CHECK(printed("mad_over_time(x[5m])", options) ==
        "1:1: parse error: function \"mad_over_time\" is not enabled");
  CHECK(printed("limitk(1, x)", options) ==
        "1:1: parse error: limitk() is experimental and must be enabled with "
        "--enable-feature=promql-experimental-functions");
}

TEST_CASE("nesting has a limit, and below it nothing overflows") {
  const auto nested = [](size_t depth) {
    return std::string(depth, '(') + "1" + std::string(depth, ')');
  };
  CHECK(parse(nested(promql::kNestingMax - 10)).has_value());
  const auto refused = parse(nested(100'000));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message.find("nested deeper") != std::string::npos);
  CHECK_FALSE(parse(std::string(100'000, '-') + "x").has_value());
  std::string chain = "x";
  for (int i = 0; i < 5000; ++i) chain += " + x";
  CHECK_FALSE(parse(chain).has_value());
}

TEST_CASE("selectors of an expression come in the order of the text") {
  const auto expr = parse("sum(a{x=\"1\"}) / rate(b[5m]) + max_over_time(c[1h:1m])");
  REQUIRE(expr.has_value());
  const auto selectors = promql::selectors_of(**expr);
  REQUIRE(selectors.size() == 3);
  CHECK(selectors[0]->name == "a");
  CHECK(selectors[1]->name == "b");
  CHECK(selectors[2]->name == "c");
}

TEST_CASE("long expressions are broken over lines") {
  const std::string name(60, 'a');
  const auto expr = parse("sum by (x) (rate(" + name + "[5m])) / sum(rate(" + name + "[5m]))");
  REQUIRE(expr.has_value());
  CHECK(promql::pretty_print(**expr) ==
        "  sum by (x) (rate(" + name + "[5m]))\n/\n  sum(rate(" + name + "[5m]))");
}
