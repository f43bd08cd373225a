#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>

namespace api {

using core::Result;
using storage::NamedCount;
using testing::ApiFixture;
using testing::failure;
using testing::success;

namespace {

// Answers with what it was asked.
class FakeCardinality final : public storage::CardinalitySource {
 public:
  Result<storage::HeadCardinality> head(const model::TenantId& /*tenant*/,
                                        size_t top) const override {
    storage::HeadCardinality status;
    status.totals = totals_;
    status.series_by_metric.resize(top, {.name = "m", .count = 2});
    status.values_by_label = {{"job", 1}};
    status.bytes_by_label = {{"job", 3}};
    status.series_by_pair = {{"job=api", 3}};
    return status;
  }
  Result<storage::CardinalityReport> report(const model::TenantId& /*tenant*/,
                                            size_t top) const override {
    last_top = top;
    return report_;
  }
  Result<storage::HeadTotals> totals(const model::TenantId& /*tenant*/) const override {
    return totals_;
  }
  Result<std::vector<NamedCount>> label_names(
      const storage::CardinalityScope& scope) const override {
    last_scope = scope;
    return std::vector<NamedCount>{{"instance", 5}, {"__name__", 2}};
  }
  Result<std::vector<storage::LabelCardinality>> label_values(
      const storage::CardinalityScope& scope, const std::vector<std::string>& names,
      size_t top) const override {
    last_scope = scope;
    last_top = top;
    std::vector<storage::LabelCardinality> labels;
    for (const std::string& name : names) {
      labels.push_back({.name = name,
                        .values = 1,
                        .series = name.size(),
                        .series_by_value = {{"v", name.size()}}});
    }
    return labels;
  }
  Result<std::vector<std::string>> label_sets(const storage::CardinalityScope& scope,
                                              size_t bytes_max) const override {
    last_scope = scope;
    if (scope.matchers->at(0).value() == "everything") {
      return core::fail(core::ErrorCode::TooLarge, "more than {} bytes", bytes_max);
    }
    return std::vector<std::string>{
        model::Labels::of({{"__name__", "up"}, {"job", "a\"b"}}).bytes(),
        model::Labels::of({{"__name__", "up"}}).bytes()};
  }

  storage::HeadTotals totals_{.series = 3,
                              .label_names = 2,
                              .label_pairs = 4,
                              .chunks = 9,
                              .time_min_ms = 1'000,
                              .time_max_ms = 5'000};
  storage::CardinalityReport report_;
  mutable storage::CardinalityScope last_scope;
  mutable size_t last_top = 0;
};

struct World {
  World() {
    fixture.cardinality = &source;
    fixture.make_ready();
  }
  FakeCardinality source;
  ApiFixture fixture;
};

std::string bad_data(std::string_view message) {
  return failure(400, "bad_data", message);
}

}  // namespace

TEST_CASE("the storage status has Prometheus's form") {
  World world;
  CHECK(world.fixture.text("/api/v1/status/tsdb?limit=1") ==
        success(R"({"headStats":{"numSeries":3,"numLabelPairs":4,"chunkCount":9,"minTime":1000,)"
                R"("maxTime":5000},"seriesCountByMetricName":[{"name":"m","value":2}],)"
                R"("labelValueCountByLabelName":[{"name":"job","value":1}],)"
                R"("memoryInBytesByLabelName":[{"name":"job","value":3}],)"
                R"("seriesCountByLabelValuePair":[{"name":"job=api","value":3}]})"));
  const std::string ten = world.fixture.text("/api/v1/status/tsdb");
  size_t count = 0;
  for (size_t at = ten.find("\"m\""); at != ten.npos; at = ten.find("\"m\"", at + 1)) ++count;
  CHECK(count == 10);
  world.source.totals_ = {};
  CHECK(world.fixture.text("/api/v1/status/tsdb")
            .find(R"("minTime":9223372036854775807,"maxTime":-9223372036854775808)") !=
        std::string::npos);
}

TEST_CASE("the limit of the storage status is 1 to 10000") {
  World world;
  for (const char* limit : {"0", "-1", "ten", "1.5", "99999999999999999999", "%2B%2B1"}) {
    CHECK(world.fixture.text(std::string("/api/v1/status/tsdb?limit=") + limit) ==
          bad_data("limit must be a positive number"));
  }
  CHECK(world.fixture.text("/api/v1/status/tsdb?limit=10001") ==
        bad_data("limit must not exceed 10000"));
  CHECK(world.fixture.get("/api/v1/status/tsdb?limit=10000").status == 200);
  CHECK(world.fixture.get("/api/v1/status/tsdb?limit=").status == 200);
}

TEST_CASE("without a storage there are no statistics") {
  ApiFixture fixture;
  for (const char* path :
       {"/api/v1/status/tsdb", "/api/v1/cardinality/label_names",
        "/api/v1/cardinality/label_values?label_names[]=job",
        "/api/v1/cardinality/active_series?selector=up", "/api/v1/cardinality/report"}) {
    CAPTURE(path);
    CHECK(fixture.get(path).status == 501);
  }
}

TEST_CASE("label names have Mimir's form") {
  World world;
  CHECK(world.fixture.text("/api/v1/cardinality/label_names") ==
        R"(200 {"label_values_count_total":7,"label_names_count":2,"cardinality":[)"
        R"({"label_name":"instance","label_values_count":5},)"
        R"({"label_name":"__name__","label_values_count":2}]})");
  CHECK_FALSE(world.source.last_scope.matchers.has_value());
  CHECK_FALSE(world.source.last_scope.active_only);
  CHECK(world.source.last_scope.tenant == "default");
  CHECK(world.fixture.text("/api/v1/cardinality/label_names?limit=0&count_method=active&"
                           "selector=%7Bjob=%22a%22%7D") ==
        R"(200 {"label_values_count_total":7,"label_names_count":2,"cardinality":[]})");
  REQUIRE(world.source.last_scope.matchers.has_value());
  CHECK(world.source.last_scope.matchers->size() == 1);
  CHECK(world.source.last_scope.active_only);
  const net::Response answer = world.fixture.get("/api/v1/cardinality/label_names");
  CHECK(answer.headers.at(0).second == "application/json");
}

TEST_CASE("label values have Mimir's form, the label of most series first") {
  World world;
  CHECK(world.fixture.text("/api/v1/cardinality/label_values?label_names[]=job&"
                           "label_names[]=instance&label_names[]=job&limit=7") ==
        R"(200 {"series_count_total":3,"labels":[{"label_name":"instance","label_values_count":1,)"
        R"("series_count":8,"cardinality":[{"label_value":"v","series_count":8}]},)"
        R"({"label_name":"job","label_values_count":1,"series_count":3,)"
        R"("cardinality":[{"label_value":"v","series_count":3}]}]})");
  CHECK(world.source.last_top == 7);
  CHECK(world.fixture.text("/api/v1/cardinality/label_values") ==
        bad_data("'label_names[]' param is required"));
  CHECK(world.fixture.text("/api/v1/cardinality/label_values?label_names[]=") ==
        bad_data("invalid 'label_names' param ''"));
  std::string many = "/api/v1/cardinality/label_values?";
  for (int i = 0; i <= 100; ++i) many += "label_names[]=l" + std::to_string(i) + "&";
  CHECK(world.fixture.text(many) ==
        bad_data("101 'label_names[]' params are given, allowed are 100"));
}

TEST_CASE("parameters are refused with Mimir's texts") {
  World world;
  const std::string path = "/api/v1/cardinality/label_names?";
  CHECK(world.fixture.text(path + "limit=501") ==
        bad_data("'limit' param cannot be greater than '500'"));
  CHECK(world.fixture.text(path + "limit=-1") == bad_data("'limit' param cannot be less than '0'"));
  CHECK(world.fixture.text(path + "limit=x") ==
        bad_data("strconv.Atoi: parsing \"x\": invalid syntax"));
  CHECK(world.fixture.text(path + "limit=1&limit=2") ==
        bad_data("multiple 'limit' params are not allowed"));
  CHECK(world.fixture.text(path + "selector=a&selector=b") ==
        bad_data("multiple 'selector' params are not allowed"));
  CHECK(world.fixture.text(path + "count_method=all") ==
        bad_data("invalid 'count_method' param 'all'. valid options are: [active,inmemory]"));
  CHECK(world.fixture.text(path + "selector=%7Bjob=")
            .starts_with("400 {\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"failed "
                         "to parse selector: "));
}

TEST_CASE("active series are their label sets") {
  World world;
  CHECK(world.fixture.text("/api/v1/cardinality/active_series?selector=up") ==
        R"(200 {"data":[{"__name__":"up","job":"a\"b"},{"__name__":"up"}]})");
  CHECK(world.source.last_scope.active_only);
  CHECK(world.fixture.text("/api/v1/cardinality/active_series") ==
        bad_data("missing 'selector' parameter"));
  CHECK(world.fixture.text("/api/v1/cardinality/active_series?selector=everything")
            .starts_with("413 {\"status\":\"error\",\"errorType\":\"too_large\""));
}

TEST_CASE("the report tells what changed, and that nothing is known yet") {
  World world;
  storage::CardinalityReport& report = world.source.report_;
  report.time_ms = 1'000'000;
  report.totals = world.source.totals_;
  report.metrics = {{.name = "m", .count = 5, .before = std::nullopt, .change = 0}};
  const std::string young = world.fixture.text("/api/v1/cardinality/report?limit=3");
  CHECK(world.source.last_top == 3);
  CHECK(young.starts_with(R"(200 {"status":"success","data":{"time":"1970-01-01T00:16:40Z",)"
                          R"("since":null,"series":3,"seriesBefore":null,"labelPairs":4,)"
                          R"("labelNames":2,"chunks":9,"metrics":[{"name":"m","count":5,)"
                          R"("before":null,"change":null,"atLeast":false}],)"));
  report.since_ms = 2'000;
  report.series_before = 1;
  report.metrics = {{.name = "m", .count = 5, .before = 7, .change = -2}};
  report.targets = {
      {.name = storage::target_name("a", "h:1"), .count = 5, .before = std::nullopt, .change = 4}};
  report.churn = {.since_ms = 3'000,
                  .created = 9,
                  .gone = 2,
                  .is_estimated = true,
                  .metrics = {{"m", 9, 2, 1}},
                  .targets = {{storage::target_name("a", ""), 9, 2, 0}}};
  report.fallback = {.sampled = 10, .raw = 1, .metrics = {{"m", 4, 1}}};
  const std::string text = world.fixture.text("/api/v1/cardinality/report");
  CAPTURE(text);
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  CHECK(has(R"("since":"1970-01-01T00:00:02Z","series":3,"seriesBefore":1,)"));
  CHECK(has(R"("metrics":[{"name":"m","count":5,"before":7,"change":-2,"atLeast":false}])"));
  CHECK(has(R"("targets":[{"job":"a","instance":"h:1","count":5,"before":null,"change":4,)"
            R"("atLeast":true}])"));
  CHECK(has(R"("churn":{"since":"1970-01-01T00:00:03Z","created":9,"gone":2,"estimated":true,)"
            R"("metrics":[{"name":"m","created":9,"gone":2,"missed":1}],)"
            R"("targets":[{"job":"a","instance":"","created":9,"gone":2,"missed":0}]})"));
  CHECK(has(R"("fallback":{"sampled":10,"raw":1,"metrics":[{"name":"m","sampled":4,"raw":1}]})"));
}

}  // namespace api
