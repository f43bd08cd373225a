#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>

using api::testing::ApiFixture;
using api::testing::failure;
using api::testing::success;

namespace {

// One target that is up, one that was never scraped, one dropped, one that is no target.
class FakeStatus final : public scrape::ScrapeStatus {
 public:
  std::vector<std::string> pools() const override { return {"a", "b"}; }
  std::vector<scrape::PoolView> pool_views(std::string_view) const override {
    scrape::PoolView a;
    a.name = "a";
    a.active = 2;
    a.dropped = 5;
    a.up = 1;
    a.discoveries = {{"file", "no such file", 1'000, {"x.json: not JSON"}}};
    scrape::PoolView b;
    b.name = "b";
    return {a, b};
  }
  std::vector<scrape::TargetView> active(std::string_view pool) const override {
    if (pool == "b") return {};
    scrape::TargetView up;
    up.pool = "a";
    up.discovered = model::Labels::of({{"__address__", "x:1"}, {"job", "a"}});
    up.labels = model::Labels::of({{"instance", "x:1"}, {"job", "a"}});
    up.url = up.global_url = "http://x:1/metrics";
    up.health = "up";
    up.last_scrape_ms = 1'435'781'451'781;
    up.last_duration_s = 0.25;
    up.interval_ms = 15'000;
    up.timeout_ms = 10'000;
    up.samples_scraped = 7;
    up.samples_after_relabel = 6;
    up.bytes = 123;
    return {up};
  }
  std::vector<scrape::DroppedView> dropped(std::string_view) const override {
    return {{"a", model::Labels::of({{"__address__", "y:1"}}), "relabel rule 1"},
            {"a", model::Labels::of({{"__address__", "z:1"}}), "no address", true}};
  }
  std::vector<scrape::MetadataView> metadata(
      const std::string& metric, const std::function<bool(model::LabelsView)>& is_wanted,
      size_t limit) const override {
    const auto labels = model::Labels::of({{"instance", "x:1"}, {"job", "a"}});
    if (!is_wanted(labels) || (!metric.empty() && metric != "m")) return {};
    std::vector<scrape::MetadataView> all(
        2, {labels, {"m", model::MetricType::Counter, "seconds", "Help."}});
    if (limit > 0) all.resize(limit);
    return all;
  }
  core::Result<std::vector<scrape::RelabelStepView>> relabel_steps(
      std::string_view pool, const model::Labels& labels) const override {
    if (pool != "a") return core::fail(core::ErrorCode::NotFound, "no such pool");
    model::RelabelConfig rule;
    rule.source_labels = {"__address__"};
    rule.target_label = "t";
    return std::vector<scrape::RelabelStepView>{{rule, labels, true}, {rule, {}, false}};
  }
};

struct Fixture : ApiFixture {
  FakeStatus status;
  Fixture() {
    api.set_services(
        {.sink = &store, .source = &store, .engine = &engine, .rules = {}, .scrape = &status});
  }
};

TEST_CASE_FIXTURE(Fixture, "targets are listed with Prometheus's keys, and some of Petrel's") {
  const std::string active =
      R"([{"discoveredLabels":{"__address__":"x:1","job":"a"},)"
      R"("labels":{"instance":"x:1","job":"a"},"scrapePool":"a","scrapeUrl":"http://x:1/metrics",)"
      R"("globalUrl":"http://x:1/metrics","lastError":"",)"
      R"("lastScrape":"2015-07-01T20:10:51.781Z","lastScrapeDuration":0.25,"health":"up",)"
      R"("scrapeInterval":"15s","scrapeTimeout":"10s","samplesScraped":7,)"
      R"("samplesPostRelabeling":6,"bodyBytes":123,"slowLane":false}])";
  const std::string dropped =
      R"("droppedTargets":[{"discoveredLabels":{"__address__":"y:1"},"scrapePool":"a",)"
      R"("droppedBy":"relabel rule 1"}],"droppedTargetCounts":{"a":5,"b":0},)"
      R"("invalidTargets":[{"discoveredLabels":{"__address__":"z:1"},"scrapePool":"a",)"
      R"("error":"no address"}])";
  CHECK(text("/api/v1/targets") == success("{\"activeTargets\":" + active + "," + dropped + "}"));
  CHECK(text("/api/v1/targets?state=ACTIVE") ==
        success("{\"activeTargets\":" + active +
                R"(,"droppedTargets":[],"droppedTargetCounts":null})"));
  CHECK(text("/api/v1/targets?state=dropped") == success("{\"activeTargets\":[]," + dropped + "}"));
  CHECK(text("/api/v1/targets?state=other") ==
        success(R"({"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null})"));
  CHECK(text("/api/v1/targets?state=active&scrapePool=b") ==
        success(R"({"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null})"));
}

TEST_CASE_FIXTURE(Fixture, "pools are listed by name, with their state") {
  const std::string body = text("/api/v1/scrape_pools");
  CHECK(
      body.starts_with(R"(200 {"status":"success","data":{"scrapePools":["a","b"],"pools":[)"
                       R"({"name":"a","active":2,"up":1,"dropped":5,"error":"","discoveries":[)"
                       R"({"kind":"file","lastError":"no such file",)"
                       R"("lastSuccess":"1970-01-01T00:00:01Z","invalid":["x.json: not JSON"]}])"));
}

TEST_CASE_FIXTURE(Fixture, "metadata of targets is chosen by metric, target and limit") {
  const std::string one =
      R"({"target":{"instance":"x:1","job":"a"},"type":"counter","help":"Help.","unit":"seconds"})";
  CHECK(text("/api/v1/targets/metadata?metric=m") == success("[" + one + "," + one + "]"));
  CHECK(text("/api/v1/targets/metadata?metric=m&limit=1") == success("[" + one + "]"));
  CHECK(text("/api/v1/targets/metadata?limit=0") == success("[]"));
  CHECK(text("/api/v1/targets/metadata?metric=m&limit=-1") == success("[" + one + "," + one + "]"));
  CHECK(text("/api/v1/targets/metadata?limit=x") ==
        failure(400, "bad_data", "limit must be a number"));
  CHECK(text("/api/v1/targets/metadata?match_target=%7Bjob=%22b%22%7D") == success("[]"));
  CHECK(text("/api/v1/targets/metadata?match_target=%7Bjob=~%22.*%22%7D&limit=1").size() > 60);
  CHECK(get("/api/v1/targets/metadata?match_target=%7B").status == 400);
}

TEST_CASE_FIXTURE(Fixture, "relabel steps show each rule and what it left") {
  const std::string rule =
      R"x({"sourceLabels":["__address__"],"separator":";","regex":"(.*)","targetLabel":"t",)x"
      R"("replacement":"$1","action":"replace"})";
  CHECK(text("/api/v1/targets/relabel_steps?scrapePool=a&labels=%7B%22x%22:%22y%22%7D") ==
        success("{\"steps\":[{\"rule\":" + rule + R"(,"output":{"x":"y"},"keep":true},{"rule":)" +
                rule + R"(,"output":{},"keep":false}]})"));
  CHECK(get("/api/v1/targets/relabel_steps?labels=%7B%7D").status == 400);
  CHECK(get("/api/v1/targets/relabel_steps?scrapePool=a&labels=1").status == 400);
  CHECK(get("/api/v1/targets/relabel_steps?scrapePool=a&labels=%7B%22x%22:1%7D").status == 400);
  CHECK(get("/api/v1/targets/relabel_steps?scrapePool=c&labels=%7B%7D").status == 400);
}

}  // namespace
