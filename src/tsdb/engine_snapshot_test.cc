// Snapshots: what a copy answers, and what a crash in the middle leaves.

#include "core/testing/sim_file_system.h"
#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

#include <doctest/doctest.h>

using namespace tsdb;
using namespace tsdb::testing;

namespace {

// An engine on a snapshot, with a log of its own.
struct Copy {
  Copy(World& world, const std::string& name) {
    auto opened_log = EmbeddedLog::open({.dir = dir_of(name) + "/log", .segment_bytes = 64 << 10U},
                                        world.files_, world.clock_, world.rng_);
    REQUIRE_MESSAGE(opened_log.has_value(), opened_log.error().message);
    log = std::move(*opened_log);
    EngineOptions options = world.options_;
    options.data_dir = dir_of(name);
    auto opened = Engine::open(options, {world.files_, world.clock_, world.rng_, *log});
    REQUIRE_MESSAGE(opened.has_value(), opened.error().message);
    engine = std::move(*opened);
  }
  static std::string dir_of(const std::string& name) { return "data/snapshots/" + name; }

  std::map<std::string, World::Samples> read(World& world) {
    std::swap(world.engine_, engine);
    auto samples = world.read();
    std::swap(world.engine_, engine);
    return samples;
  }

  std::unique_ptr<EmbeddedLog> log;
  std::unique_ptr<Engine> engine;
};

std::string take(World& world, bool skip_head) {
  auto name = world.engine().snapshot(skip_head);
  REQUIRE_MESSAGE(name.has_value(), name.error().message);
  return *name;
}

void fill(World& world, int64_t hours) {
  for (int64_t time = kStart; time < kStart + hours * kHour; time += 5 * kMinute) {
    world.clock_.jump_to_ms(time);
    WriteBatch batch;
    for (const char* const series : {"up{job=a}", "up{job=b}", "cpu{core=0}"}) {
      batch.add(World::labels(series), time, static_cast<double>(time % 977));
    }
    world.append(batch);
    world.maintain();
  }
}

}  // namespace

TEST_CASE("a snapshot answers what the original answered") {
  FOR_BOTH_LOGS
  World world(kind);
  fill(world, 7);
  const auto before = world.read();
  const std::string name = take(world, false);
  CHECK(name.starts_with("20231115T"));
  CHECK(world.read() == before);
  {
    Copy copy(world, name);
    CHECK(copy.read(world) == before);
  }
  // The copy goes its own way, and the original does not notice.
  Copy copy(world, name);
  world.clock_.jump_to_ms(kStart + 9 * kHour);
  WriteBatch batch;
  batch.add(World::labels("up{job=c}"), kStart + 9 * kHour, 1);
  REQUIRE(copy.engine->append(batch).has_value());
  REQUIRE(copy.engine->flush_all().has_value());
  CHECK(copy.read(world).size() == before.size() + 1);
  CHECK(world.read() == before);
}

TEST_CASE("a snapshot has samples that no block can take yet") {
  FOR_BOTH_LOGS
  World world(kind);
  fill(world, 3);
  model::Histogram histogram;
  histogram.schema = 2;
  histogram.count = 3;
  histogram.sum = 1.5;
  histogram.integer_counts = true;
  histogram.positive_spans = {{.offset = 1, .length = 2}};
  histogram.positive_counts = {1, 2};
  const int64_t now = world.clock_.now_ms();
  // Ahead of the clock, far ahead of it after it went back, and of a clock that is not trusted.
  WriteBatch ahead;
  for (int i = 1; i < 300; ++i) {
    ahead.add(World::labels("up{job=a}"), now + 1000L * i, i * 0.1);
  }
  ahead.begin_series(ahead.keep(World::labels("h").bytes()));
  ahead.add_histogram(now + 5000, histogram);
  CHECK(world.append(ahead).refused_total() == 0);
  world.clock_.jump_to_ms(now + 3000 * kHour);
  CHECK(world.append("far", now + 3000 * kHour, 7).stored == 1);
  world.clock_.jump_to_ms(now + kMinute);
  CHECK(world.append("up{job=b}", now + kMinute, 8).stored == 1);
  world.maintain();
  world.clock_.jump_to_ms(now + 30 * kHour);
  CHECK(world.append("up{job=b}", now + 30 * kHour, 9).stored == 1);
  const auto before = world.read();
  const std::string name = take(world, false);
  CHECK(world.read() == before);
  Copy copy(world, name);
  CHECK(copy.read(world) == before);
  CHECK(before.at("far").size() == 1);
  storage::LabelsRequest all;
  all.range = kAllTime;
  CHECK(copy.engine->series(all)->size() == world.engine().series(all)->size());

  // The copy is a data directory as any other: it takes samples, flushes and starts again.
  WriteBatch more;
  more.add(World::labels("new"), now + 30 * kHour, 1);
  REQUIRE(copy.engine->append(more).has_value());
  world.clock_.jump_to_ms(now + 31 * kHour);
  REQUIRE(copy.engine->flush_all().has_value());
  copy.engine.reset();
  copy.log.reset();
  Copy again(world, name);
  auto after = again.read(world);
  CHECK(after.erase("new") == 1);
  CHECK(after == before);
}

TEST_CASE("a snapshot without the head has what is in blocks") {
  World world(LogKind::Embedded);
  fill(world, 7);
  const auto all = world.read();
  Copy copy(world, take(world, true));
  const auto some = copy.read(world);
  REQUIRE(some.size() == all.size());
  for (const auto& [series, samples] : some) {
    const World::Samples& whole = all.at(series);
    REQUIRE(samples.size() < whole.size());
    CHECK(std::equal(samples.begin(), samples.end(), whole.begin()));
  }
}

TEST_CASE("metadata and exemplars are in a snapshot") {
  World world(LogKind::Embedded);
  WriteBatch batch;
  batch.add(World::labels("up{job=a}"), kStart, 1);
  batch.add_exemplar({World::labels("x{trace=7}"), 0.5, kStart});
  batch.metadata.push_back({"up", model::MetricType::Gauge, "", "Whether it is up."});
  world.append(batch);
  Copy copy(world, take(world, false));
  const auto metadata = copy.engine->metadata(std::string(model::kDefaultTenant), "up");
  REQUIRE(metadata.has_value());
  REQUIRE(metadata->size() == 1);
  CHECK(metadata->front().help == "Whether it is up.");
  storage::LabelsRequest request;
  request.range = kAllTime;
  const auto exemplars = copy.engine->exemplars(request);
  REQUIRE(exemplars.has_value());
  REQUIRE(exemplars->size() == 1);
  CHECK(exemplars->front().exemplars.front().value == 0.5);
}

TEST_CASE("a crash at any step of a snapshot loses nothing and leaves nothing") {
  for (uint64_t step = 0;; ++step) {
    World world(LogKind::Embedded, step + 1);
    fill(world, 5);
    world.maintain();
    const auto before = world.read();
    const uint64_t begin = world.files_.fault_points();
    world.files_.fail_at(begin + step, core::testing::SimFault::PowerLoss);
    const bool done = world.engine().snapshot(false).has_value();
    world.crash();
    world.files_.clear_fault();
    world.open();
    CAPTURE(step);
    CHECK(world.read() == before);
    // What stayed is whole.
    const auto left = world.files_.list("data/snapshots");
    for (const std::string& name : left.value_or(std::vector<std::string>{})) {
      Copy copy(world, name);
      CHECK(copy.read(world) == before);
    }
    if (!done) continue;
    CHECK(left->size() == 1);
    break;
  }
}

TEST_CASE("a snapshot that fails is gone at once") {
  for (const auto fault : {core::testing::SimFault::NoSpace, core::testing::SimFault::Io}) {
    for (uint64_t step = 0;; ++step) {
      World world(LogKind::Embedded, step + 1);
      fill(world, 5);
      REQUIRE(world.engine().flush_all().has_value());
      const auto before = world.read();
      world.files_.fail_at(world.files_.fault_points() + step, fault);
      const auto name = world.engine().snapshot(true);
      world.files_.clear_fault();
      CAPTURE(step);
      CHECK(world.read() == before);
      if (name) {
        Copy copy(world, *name);
        CHECK(copy.read(world) == before);
        break;
      }
      const auto left = world.files_.list("data/snapshots");
      CHECK((!left || left->empty()));
      CHECK(world.engine().snapshot(true).has_value());
    }
  }
}

TEST_CASE("a start removes unfinished snapshots, and nothing that people put beside them") {
  World world(LogKind::Embedded);
  world.append("m", kStart, 1);
  const std::string name = *world.engine().snapshot(false);
  const std::string unfinished = "data/snapshots/20260102T030405Z-0123456789abcdef";
  REQUIRE(world.files_.create_dirs(unfinished + "/blocks"));
  REQUIRE(world.files_.write_file_atomically("data/snapshots/" + name + ".tar.gz", "archive"));
  REQUIRE(world.files_.create_dirs("data/snapshots/for restoring"));
  world.open();
  CHECK_FALSE(world.files_.exists(unfinished));
  CHECK(world.files_.exists("data/snapshots/" + name + "/manifest"));
  CHECK(world.files_.exists("data/snapshots/" + name + ".tar.gz"));
  CHECK(world.files_.exists("data/snapshots/for restoring"));
}

TEST_CASE("a snapshot on a full disk is refused with the reason") {
  World world(LogKind::Embedded);
  fill(world, 3);
  REQUIRE(world.engine().flush_all().has_value());
  world.files_.set_capacity(1 << 20U);
  const auto name = world.engine().snapshot(true);
  REQUIRE(!name.has_value());
  CHECK(name.error().code == core::ErrorCode::LimitExceeded);
  CHECK(name.error().message.find("bytes are free in data, expected at least") !=
        std::string::npos);
}

TEST_CASE("of a snapshot that failed no manifest stays without its blocks") {
  int failed = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    World world(LogKind::Embedded, seed);
    world.append("m", kStart, 1);
    REQUIRE(world.engine().flush_all().has_value());
    world.files_.fail_when({.fault = core::testing::SimFault::Io,
                            .operation = core::testing::SimOperation::SyncDir,
                            .path_contains = "data/snapshots/",
                            .skip = seed % 3});
    failed += world.engine().snapshot(true).has_value() ? 0 : 1;
    world.crash();
    world.open();
    if (!world.files_.exists("data/snapshots")) continue;
    const auto names = world.files_.list("data/snapshots");
    REQUIRE(names.has_value());
    for (const std::string& name : *names) {
      CAPTURE(seed);
      Copy copy(world, name);
      CHECK(copy.engine->blocks("default").size() == 1);
      CHECK(copy.engine->stats("default").quarantined_blocks == 0);
    }
  }
  CHECK(failed > 20);
}
