#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>
#include <mutex>
#include <thread>

using api::testing::ApiFixture;

namespace {

// Notes what it is asked for.
class FakeAdmin final : public api::TsdbAdmin {
 public:
  core::Result<std::string> snapshot(bool skip_head) const override {
    calls.push_back(skip_head ? "snapshot without head" : "snapshot");
    return "20260102T030405Z-1f";
  }
  core::Result<void> delete_series(const model::TenantId& tenant,
                                   const std::vector<model::Matchers>& selectors,
                                   model::TimeRange range) const override {
    calls.push_back(fmt::format("delete {} selectors of {} [{}, {})", selectors.size(), tenant,
                                range.start_ms, range.end_ms));
    return {};
  }
  core::Result<api::TsdbFlush> flush() const override {
    if (is_full) return core::fail(core::ErrorCode::LimitExceeded, "no space");
    return api::TsdbFlush{1, 2, 3};
  }
  core::Result<api::TsdbCompaction> compact(std::stop_token) const override {
    return core::fail(core::ErrorCode::Io, "disk");
  }
  core::Result<void> clean_tombstones() const override {
    const std::lock_guard wait(busy);
    return {};
  }

  bool is_full = false;
  mutable std::mutex busy;
  mutable std::vector<std::string> calls;
};

struct Fixture {
  explicit Fixture(bool enabled = true)
      : api([enabled] {
          api::ApiOptions options;
          options.enable_admin_api = enabled;
          return options;
        }()) {
    api.api.set_services({.sink = &api.store,
                          .source = &api.store,
                          .engine = &api.engine,
                          .rules = {},
                          .tsdb_admin = &admin});
  }
  std::string post(std::string_view what) {
    const auto response = api.call("POST", "/api/v1/admin/tsdb/" + std::string(what));
    return std::to_string(response.status) + " " + response.body;
  }

  FakeAdmin admin;
  ApiFixture api;
};

TEST_CASE("the admin API is off unless it was asked for") {
  Fixture fixture(false);
  for (const char* const what :
       {"snapshot", "delete_series?match[]=up", "clean_tombstones", "flush", "compact"}) {
    CHECK(fixture.post(what) ==
          R"(500 {"status":"error","errorType":"unavailable","error":"admin APIs disabled"})");
  }
  CHECK(fixture.admin.calls.empty());
}

TEST_CASE("admin routes take POST and PUT") {
  Fixture fixture;
  CHECK(fixture.api.call("GET", "/api/v1/admin/tsdb/snapshot").status == 405);
  CHECK(fixture.api.call("PUT", "/api/v1/admin/tsdb/clean_tombstones").status == 204);
  CHECK(fixture.post("clean_tombstones") == "204 ");
}

TEST_CASE("a snapshot is asked for with and without the head") {
  Fixture fixture;
  const std::string named = R"(200 {"status":"success","data":{"name":"20260102T030405Z-1f"}})";
  CHECK(fixture.post("snapshot") == named);
  CHECK(fixture.post("snapshot?skip_head=0") == named);
  CHECK(fixture.post("snapshot?skip_head=true") == named);
  CHECK(fixture.admin.calls ==
        std::vector<std::string>{"snapshot", "snapshot", "snapshot without head"});
  CHECK(fixture.post("snapshot?skip_head=maybe") ==
        R"(400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"skip_head\": )"
        R"(unable to parse boolean: strconv.ParseBool: parsing \"maybe\": invalid syntax"})");
}

TEST_CASE("series are deleted by selectors and inclusive times") {
  Fixture fixture;
  CHECK(fixture.post("delete_series?match[]=up&match[]=a&start=1&end=2.5") == "204 ");
  CHECK(fixture.admin.calls ==
        std::vector<std::string>{"delete 2 selectors of default [1000, 2501)"});
  // As in Prometheus: an empty range deletes nothing.
  CHECK(fixture.post("delete_series?match[]=up&start=3&end=2") == "204 ");
  CHECK(fixture.admin.calls.size() == 1);
}

TEST_CASE("what cannot be deleted is refused by parameter") {
  Fixture fixture;
  const auto bad = [](const std::string& why) {
    return R"(400 {"status":"error","errorType":"bad_data","error":")" + why + "\"}";
  };
  CHECK(fixture.post("delete_series") == bad("no match[] parameter provided"));
  CHECK(fixture.post("delete_series?match[]=up%7B") ==
        bad(R"(invalid parameter \"match[]\": 1:4: parse error: )"
            "unexpected end of input inside braces"));
  // Prometheus says yes to this one and deletes nothing.
  CHECK(fixture.post("delete_series?match[]=%7B%7D").find("400 ") == 0);
  CHECK(fixture.post("delete_series?match[]=up&start=x") ==
        bad(R"(invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" )"
            "to a valid timestamp"));
  CHECK(fixture.admin.calls.empty());
}

TEST_CASE("flush and compact say what was done or why not") {
  Fixture fixture;
  CHECK(fixture.post("flush") == R"(200 {"status":"success","data":{"blocksWritten":1,)"
                                 R"("blocksDeleted":2,"seriesDropped":3}})");
  CHECK(fixture.post("compact") ==
        R"(500 {"status":"error","errorType":"internal","error":"disk"})");
}

TEST_CASE("more than four operations at a time are refused") {
  Fixture fixture;
  std::vector<std::thread> threads;
  std::atomic<int> done = 0;
  {
    const std::lock_guard hold(fixture.admin.busy);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        // The flush below may have the last place for a moment.
        while (fixture.post("clean_tombstones") != "204 ") std::this_thread::yield();
        ++done;
      });
    }
    std::string refused;
    // Until all four are inside this one is let in, as the first of the others.
    while (refused.find("503") != 0) {
      refused = fixture.post("flush");
      std::this_thread::yield();
    }
    CHECK(refused.find("4 operations on the storage are running already") != std::string::npos);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 4);
  CHECK(fixture.post("flush").find("200 ") == 0);
}

TEST_CASE("blocks are listed from the manifest") {
  ApiFixture fixture;
  fixture.api.set_services({.sink = &fixture.store,
                            .source = &fixture.store,
                            .engine = &fixture.engine,
                            .rules = {},
                            .tsdb_blocks = [](const model::TenantId&) {
                              return std::vector<api::TsdbBlock>{{.name = "0000000005",
                                                                  .time_min_ms = 1,
                                                                  .time_max_ms = 9,
                                                                  .series = 3,
                                                                  .samples = 7,
                                                                  .bytes = 100,
                                                                  .level = 2}};
                            }});
  CHECK(fixture.text("/api/v1/status/tsdb/blocks") ==
        R"(200 {"status":"success","data":{"blocks":[{"ulid":"0000000005","minTime":1,)"
        R"("maxTime":9,"stats":{"numSamples":7,"numSeries":3,"numBytes":100},)"
        R"("compaction":{"level":2,"sources":["0000000005"]},"version":1}]}})");
}

}  // namespace

TEST_CASE("A full disk is not the request's fault") {
  Fixture fixture;
  fixture.admin.is_full = true;
  CHECK(fixture.post("flush") ==
        R"(503 {"status":"error","errorType":"unavailable","error":"no space"})");
}
