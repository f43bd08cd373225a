#include "ingest/metrics_lint.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace ingest {
namespace {

std::vector<std::string> problems(std::string_view body) {
  const auto report = lint_metrics(body);
  if (!report) return {"error: " + report.error().message};
  std::vector<std::string> lines;
  for (const LintProblem& problem : report->problems) {
    lines.push_back(problem.metric + " " + problem.text);
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("lint: what promtool says, by metric and text") {
  CHECK(problems("# TYPE http_req counter\n"
                 "http_req{camelCase=\"1\"} 1\n"
                 "http_req{camelCase=\"1\"} 2\n") ==
        Lines{"http_req counter metrics should have \"_total\" suffix",
              "http_req label names should be written in 'snake_case' not 'camelCase'",
              "http_req label names should be written in 'snake_case' not 'camelCase'",
              "http_req metric not unique", "http_req no help text"});
  CHECK(problems("# HELP lat_milliseconds x\n# TYPE lat_milliseconds histogram\n"
                 "lat_milliseconds_bucket{le=\"1\"} 1\nlat_milliseconds_bucket{le=\"+Inf\"} 1\n"
                 "lat_milliseconds_sum 1\nlat_milliseconds_count 1\n") ==
        Lines{"lat_milliseconds use base unit \"seconds\" instead of \"milliseconds\""});
  CHECK(
      problems("# HELP foo_total x\n# TYPE foo_total gauge\nfoo_total{le=\"1\",quantile=\"2\"} 1\n"
               "# HELP x_count x\n# TYPE x_count gauge\nx_count 1\n"
               "# HELP x_bucket x\n# TYPE x_bucket summary\nx_bucket{quantile=\"1\"} 1\n") ==
      Lines{"foo_total non-counter metrics should not have \"_total\" suffix",
            "foo_total non-histogram metrics should not have \"le\" label",
            "foo_total non-summary metrics should not have \"quantile\" label",
            "x_bucket non-histogram metrics should not have \"_bucket\" suffix",
            "x_count non-histogram and non-summary metrics should not have \"_count\" suffix"});
  CHECK(problems("# HELP a_gauge_b \n# TYPE a_gauge_b gauge\na_gauge_b 1\n"
                 "# HELP camelCase:ms x\ncamelCase:ms 1\n") ==
        Lines{"a_gauge_b metric name should not include type 'gauge'",
              "a_gauge_b metric names should not contain abbreviated units",
              "a_gauge_b no help text",
              "camelCase:ms metric names should be written in "
              "'snake_case' not 'camelCase'",
              "camelCase:ms metric names should not contain ':'"});
  CHECK(problems("# HELP a_total x\n# TYPE a_total counter\na_total{b=\"1\"} 1\na_total 1\n")
            .empty());
}

TEST_CASE("lint: what a careful reader refuses") {
  const auto error = [](std::string_view body) { return problems(body).at(0); };
  CHECK(error("a 1") == "error: line 1, column 4: expected a line end");
  CHECK(error("a 1\na x\n") == "error: line 2, column 3: expected a number, found \"x\"");
  CHECK(error("# HELP a x\n# HELP a x\n") ==
        "error: line 2, column 8: a second HELP line of \"a\"");
  CHECK(error("# TYPE a gauge\n# TYPE a gauge\n") ==
        "error: line 2, column 8: a second TYPE line of \"a\", or one after its samples");
  CHECK(error("a 1\n# TYPE a gauge\n") ==
        "error: line 2, column 8: a second TYPE line of \"a\", or one after its samples");
  CHECK(error("a{b=\"\\x\"} 1\n") ==
        "error: line 1, column 7: expected \\\\, \\n or \\\" as escape, found \"\\x\"");
  CHECK(error("# TYPE a histogram\na_bucket{le=\"x\"} 1\n") ==
        "error: line 2, column 1: expected a number as value of the label le, found \"x\"");
}

TEST_CASE("lint: cardinality counts the series of each metric, largest first") {
  const auto report = lint_metrics(
      "b 1\na{x=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\",x=\"1\"} 1\n"
      "h_bucket{le=\"+Inf\",x=\"1\"} 1\nh_sum{x=\"1\"} 1\nh_count{x=\"1\"} 1\n"
      "h_bucket{le=\"1\",x=\"2\"} 1\n");
  REQUIRE(report);
  std::string text;
  for (const MetricCardinality& metric : report->cardinality) {
    text += fmt::format("{} {}\n", metric.metric, metric.series);
  }
  CHECK(text == "h 8\na 1\nb 1\n");
}

}  // namespace ingest
