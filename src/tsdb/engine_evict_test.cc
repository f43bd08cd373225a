// Series that stopped leave the head, and nothing of them is lost.

#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

constexpr const char* kTenant = "default";

// "old" has ten samples and stops, "live" goes on for half an hour more.
struct StoppedSeries : World {
  StoppedSeries() : World(LogKind::Embedded) {
    options_.stale_series_min = 1;
    fill(*this, 10, {"old", "live"});
    maintain();  // the first look, at which everything may be new
    fill(*this, 30, {"live"});
  }
  size_t in_head() { return engine().stats(kTenant).series; }
  // A reader that began before keeps what it may look at.
  std::unique_ptr<storage::SeriesSet> hold() {
    return *engine().select({.matchers = {}, .range = kAllTime});
  }
};

}  // namespace

TEST_CASE("a series that stopped leaves the head for a block, and reads find it once") {
  StoppedSeries world;
  const auto before = world.read();
  const MaintainReport report = world.maintain();
  CHECK(report.blocks_written == 1);
  CHECK(report.series_evicted == 1);
  CHECK(world.in_head() == 1);
  CHECK(world.read() == before);

  SUBCASE("also after a start, which replays it into the head again") {
    world.open();
    CHECK(world.in_head() == 2);
    CHECK(world.read() == before);
    world.clock_.advance_ms(6 * kMinute);
    world.maintain();
    world.clock_.advance_ms(6 * kMinute);
    CHECK(world.maintain().series_evicted == 1);
    CHECK(world.read() == before);
  }
  SUBCASE("also after a loss of power") {
    world.crash();
    CHECK(world.read() == before);
  }
  SUBCASE("also when it comes back, with the first value where two are sent") {
    world.append("old", kStart + 5 * kMinute, 99);
    world.append("old", kStart + 41 * kMinute, 7);
    auto expected = before;
    expected["old"].emplace_back(kStart + 41 * kMinute, 7);
    CHECK(world.read() == expected);
    world.clock_.advance_ms(4 * kHour);
    world.append("live", world.clock_.now_ms(), 1);
    world.maintain();
    expected["live"].emplace_back(world.clock_.now_ms(), 1);
    CHECK(world.read() == expected);
  }
  SUBCASE("without a warning when the log has its samples and no longer its labels") {
    // The range before closes: the log is cut in front of the samples below.
    const int64_t next = kStart + 2 * kHour;
    world.clock_.jump_to_ms(next);
    for (int i = 0; i < 5; ++i) world.append("gone", next - 10 * kMinute + i, i);
    for (int i = 0; i < 5; ++i) world.append("gone", next + i, i);
    for (int i = 0; i < 80; ++i) {
      world.append("live", next + i * kMinute, i);
      world.clock_.advance_ms(kMinute);
    }
    const auto all = world.read();
    while (world.maintain().series_evicted == 0) world.clock_.advance_ms(6 * kMinute);
    world.clock_.advance_ms(6 * kMinute);
    world.maintain();
    world.open();
    std::vector<std::string> warnings;
    CHECK(world.read({}, kAllTime, &warnings) == all);
    CHECK(warnings.empty());
  }
}

TEST_CASE("a series that goes on while a reader holds it stays in the head") {
  StoppedSeries world;
  auto reader = world.hold();
  CHECK(world.maintain().series_evicted == 0);
  // Later than its last, and long before what counts as stopped.
  world.append("old", kStart + 12 * kMinute, 12);
  const auto before = world.read();
  reader.reset();
  CHECK(world.maintain().series_evicted == 0);
  CHECK(world.in_head() == 2);
  CHECK(world.read() == before);
}

TEST_CASE("what is sent again after a deletion is not taken for what is in a block") {
  StoppedSeries world;
  auto reader = world.hold();
  CHECK(world.maintain().series_evicted == 0);
  const model::Matcher old = *Matcher::create(MatchType::Equal, "__name__", "old");
  REQUIRE(
      world.engine().delete_series({.tenant = kTenant, .selectors = {{old}}, .range = kAllTime}));
  world.append("old", kStart + 9 * kMinute, 9);
  reader.reset();
  world.maintain();
  CHECK(world.read().at("old") == World::Samples{{kStart + 9 * kMinute, 9}});
}

TEST_CASE("few series are not worth a block") {
  StoppedSeries world;
  world.options_.stale_series_min = 2;
  world.open();
  world.maintain();
  world.clock_.advance_ms(6 * kMinute);
  CHECK(world.maintain().blocks_written == 0);
  CHECK(world.in_head() == 2);
}

}  // namespace tsdb
