#include "promql/engine.h"

#include "core/testing/fake_clock.h"
#include "promql/testing/series_description.h"
#include "storage/testing/memory_store.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace {

using core::ErrorCode;
using promql::Engine;
using promql::EngineOptions;
using promql::QueryOptions;

constexpr int64_t kMinute = 60'000;

struct Fixture {
  storage::testing::MemoryStore store;
  core::testing::FakeClock clock;

  void load(int64_t step_ms, const std::vector<std::string>& lines,
            const std::string& tenant = "default") {
    storage::WriteBatch batch;
    batch.tenant = tenant;
    for (const std::string& line : lines) {
      const auto series = promql::testing::parse_series(line);
      REQUIRE(series.has_value());
      batch.begin_series(batch.keep(series->labels.bytes()));
      for (size_t i = 0; i < series->values.size(); ++i) {
        if (!series->values[i].omitted) {
          batch.add_sample(static_cast<int64_t>(i) * step_ms, series->values[i].value);
        }
      }
    }
    REQUIRE(store.append(batch).has_value());
  }
  promql::Vector vector(std::string_view query, int64_t time_ms,
                        const EngineOptions& options = {}) {
    const auto got = Engine(store, clock, options).instant(query, time_ms);
    if (!got) MESSAGE(got.error().message);
    REQUIRE(got.has_value());
    return std::get<promql::Vector>(got->value);
  }
  core::Error error(std::string_view query, const EngineOptions& options = {},
                    const QueryOptions& query_options = {}) {
    const auto got = Engine(store, clock, options).instant(query, 10 * kMinute, query_options);
    REQUIRE_FALSE(got.has_value());
    return got.error();
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an instant vector looks back five minutes, the left end excluded") {
  load(kMinute, {"up{job=\"a\"} 1"});
  CHECK(vector("up", 5 * kMinute - 1).size() == 1);
  CHECK(vector("up", 5 * kMinute).empty());
  EngineOptions options;
  options.lookback_ms = kMinute;
  CHECK(vector("up", kMinute, options).empty());
}

TEST_CASE_FIXTURE(Fixture, "a range leaves out a sample at its left end") {
  load(kMinute, {"x 1 2 3"});
  CHECK(vector("sum_over_time(x[1m])", 2 * kMinute).at(0).point.value == 3);
  CHECK(vector("sum_over_time(x[2m])", 2 * kMinute).at(0).point.value == 5);
}

TEST_CASE_FIXTURE(Fixture, "a stale marker ends a series at once") {
  load(kMinute, {"up 1 stale 1"});
  CHECK(vector("up", kMinute - 1).size() == 1);
  CHECK(vector("up", kMinute).empty());
  CHECK(vector("up", 2 * kMinute).size() == 1);
  CHECK(vector("count_over_time(up[10m])", 2 * kMinute).at(0).point.value == 2);
}

TEST_CASE_FIXTURE(Fixture, "names are dropped at once unless delayed removal is on") {
  load(kMinute, {"a{l=\"1\"} 1+1x10", "b{l=\"1\"} 3+1x10"});
  CHECK(error("rate({l=\"1\"}[10m])").message ==
        "vector cannot contain metrics with the same labelset");
  CHECK(error("-{l=\"1\"}").message == "vector cannot contain metrics with the same labelset");
  const auto kept =
      vector("label_replace(rate(a[10m]), \"n\", \"$1\", \"__name__\", \"(.*)\")", kMinute);
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].labels.to_string() == "{l=\"1\"}");
}

TEST_CASE_FIXTURE(Fixture, "series that become equal are one where their steps do not overlap") {
  load(kMinute, {"a{l=\"1\"} 1 stale", "b{l=\"1\"} _ 2"});
  const auto got = Engine(store, clock, {}).range("abs({l=\"1\"})", 0, kMinute, kMinute);
  REQUIRE(got.has_value());
  const auto& matrix = std::get<promql::Matrix>(got->value);
  REQUIRE(matrix.size() == 1);
  CHECK(matrix[0].points.size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a query sees its tenant's series only") {
  load(kMinute, {"up{of=\"default\"} 1"});
  load(kMinute, {"up{of=\"other\"} 1"}, "other");
  QueryOptions query;
  query.tenant = "other";
  const auto got = Engine(store, clock, {}).instant("up", 0, query);
  REQUIRE(got.has_value());
  const auto& result = std::get<promql::Vector>(got->value);
  REQUIRE(result.size() == 1);
  CHECK(result[0].labels.get("of") == "other");
}

TEST_CASE_FIXTURE(Fixture, "limits end a query with Prometheus's words") {
  load(kMinute, {"x{a=\"1\"} 1+1x10", "x{a=\"2\"} 1+1x10"});
  EngineOptions few;
  few.samples_max = 5;
  CHECK(error("x[10m]", few).code == ErrorCode::LimitExceeded);
  CHECK(error("sum(rate(x[10m]))", few).message ==
        "query processing would load too many samples into memory in query execution");
  EngineOptions slow;
  slow.timeout_ms = 0;
  const core::Error timeout = error("x", slow);
  CHECK(timeout.code == ErrorCode::Timeout);
  CHECK(timeout.message == "query timed out in expression evaluation");
  std::stop_source source;
  source.request_stop();
  QueryOptions stopped;
  stopped.stop = source.get_token();
  CHECK(error("x", {}, stopped).code == ErrorCode::Cancelled);
}

TEST_CASE_FIXTURE(Fixture, "a failing source fails the query, it is never empty") {
  store.fail_reads(core::Error{ErrorCode::Unavailable, "disk on fire"});
  CHECK(error("absent(x)").code == ErrorCode::Unavailable);
  CHECK(error("sum(rate(x[5m])) or vector(0)").code == ErrorCode::Unavailable);
}

TEST_CASE_FIXTURE(Fixture, "range queries check their steps") {
  const Engine engine(store, clock, {});
  CHECK_FALSE(engine.range("x", 0, kMinute, 0).has_value());
  CHECK_FALSE(engine.range("x", kMinute, 0, kMinute).has_value());
  CHECK_FALSE(engine.range("x", 0, 20'000'000, 1).has_value());
  CHECK_FALSE(engine.range("x[5m]", 0, kMinute, kMinute).has_value());
  CHECK_FALSE(engine.range("\"text\"", 0, kMinute, kMinute).has_value());
  const auto scalar = engine.range("1 + 1", 0, kMinute, kMinute);
  REQUIRE(scalar.has_value());
  CHECK(std::get<promql::Matrix>(scalar->value).at(0).points.size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "the value types are those of the API") {
  load(kMinute, {"x 1 2"});
  const Engine engine(store, clock, {});
  const auto type = [&](std::string_view query) {
    const auto got = engine.instant(query, kMinute);
    REQUIRE(got.has_value());
    return std::string(promql::value_type_name(got->value));
  };
  CHECK(type("1") == "scalar");
  CHECK(type("\"a\"") == "string");
  CHECK(type("x") == "vector");
  CHECK(type("x[5m]") == "matrix");
  CHECK(type("x[5m:30s]") == "matrix");
}

TEST_CASE_FIXTURE(Fixture, "dotted names select as they are written") {
  load(kMinute,
       {"{__name__=\"cpu.load\",host=\"a\"} 0.9", "{__name__=\"cpu.load\",host=\"b\"} 0.1"});
  const auto hot = vector("cpu.load > 0.8", 0);
  REQUIRE(hot.size() == 1);
  CHECK(hot[0].labels.get("host") == "a");
}

TEST_CASE_FIXTURE(Fixture, "many-to-many matching is refused with both series named") {
  load(kMinute, {"l{a=\"1\"} 1", "r{a=\"1\",b=\"1\"} 1", "r{a=\"1\",b=\"2\"} 1"});
  const auto got = Engine(store, clock, {}).instant("l * on(a) r", 0);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().message.starts_with(
      "found duplicate series for the match group {a=\"1\"} on the right hand-side of the "
      "operation: ["));
}

TEST_CASE_FIXTURE(Fixture, "info() adds the labels of info series") {
  load(kMinute, {"x{instance=\"a\",job=\"1\"} 1 2", "x{instance=\"b\",job=\"1\"} 3 4",
                 "target_info{instance=\"a\",job=\"1\",version=\"v1\",zone=\"z\"} 1 stale",
                 "target_info{instance=\"a\",job=\"1\",version=\"v2\",zone=\"z\"} _ 1",
                 "build_info{instance=\"b\",job=\"1\",version=\"b7\"} 1 1"});
  const auto all = vector("info(x)", kMinute);
  REQUIRE(all.size() == 2);
  CHECK(all[0].labels.to_string() == "x{instance=\"a\", job=\"1\", version=\"v2\", zone=\"z\"}");
  CHECK(all[1].labels.to_string() == "x{instance=\"b\", job=\"1\"}");
  CHECK(vector("info(x, {version=~\".+\"})", 0).size() == 1);
  const auto build = vector("info(x, {__name__=\"build_info\", version=~\".+\"})", 0);
  REQUIRE(build.size() == 1);
  CHECK(build[0].labels.get("version") == "b7");
  const auto range = Engine(store, clock, {}).range("info(x{instance=\"a\"})", 0, kMinute, kMinute);
  REQUIRE(range.has_value());
  CHECK(std::get<promql::Matrix>(range->value).size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "two histograms of one label set do not mix their buckets") {
  load(kMinute, {"a_bucket{le=\"1\"} 1", "a_bucket{le=\"+Inf\"} 2", "b_bucket{le=\"1\"} 5",
                 "b_bucket{le=\"+Inf\"} 5"});
  const auto got = Engine(store, clock, {}).instant("histogram_quantile(0.5, {le!=\"\"})", 0);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().message == "vector cannot contain metrics with the same labelset");
  CHECK(vector("histogram_quantile(0.5, a_bucket)", 0).at(0).point.value == 1);
}

TEST_CASE_FIXTURE(Fixture, "warnings and infos have Prometheus's words and a place") {
  load(kMinute, {"x 1 2 3"});
  const auto got = Engine(store, clock, {}).instant("sum(rate(x[5m]))", 2 * kMinute);
  REQUIRE(got.has_value());
  REQUIRE(got->infos.size() == 1);
  CHECK(got->infos[0] ==
        "PromQL info: metric might not be a counter, name does not end in "
        "_total/_sum/_count/_bucket: \"x\" (1:10)");
  const auto warned = Engine(store, clock, {}).instant("quantile(2, x)", 2 * kMinute);
  REQUIRE(warned.has_value());
  REQUIRE(warned->warnings.size() == 1);
  CHECK(warned->warnings[0] ==
        "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)");
}
