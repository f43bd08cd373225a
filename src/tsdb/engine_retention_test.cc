// Retention by age and by size, and wall clocks that jump meanwhile.

#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

Manifest manifest_of(World& world) {
  auto manifest = Manifest::load(world.files_, "data");
  REQUIRE_MESSAGE(manifest.has_value(), manifest.error().message);
  return *manifest;
}

uint64_t block_bytes(const Manifest& manifest) {
  uint64_t bytes = 0;
  for (const BlockMeta& meta : manifest.blocks) bytes += meta.size_bytes;
  return bytes;
}

// A sample per minute, maintained every ten; gives how many were stored.
int run(World& world, int64_t duration_ms, const std::string& series = "m") {
  int stored = 0;
  for (int64_t minute = 0; minute * kMinute < duration_ms; ++minute) {
    stored += static_cast<int>(
        world.append(series, world.clock_.now_ms(), static_cast<double>(minute)).stored);
    world.clock_.advance_ms(kMinute);
    if (minute % 10 == 9) world.maintain();
  }
  return stored;
}

}  // namespace

TEST_CASE("the oldest blocks go when all take more disk than is allowed, never the newest") {
  World world(LogKind::SelfContained);
  world.options_.retention_ms = 0;
  run(world, 24 * kHour + kMinute);
  const uint64_t all = block_bytes(manifest_of(world));
  const size_t blocks = manifest_of(world).blocks.size();
  REQUIRE(blocks == 11);
  uint64_t snapshot = 0;
  const auto names = *world.files_.list("data");
  for (const std::string& name : names) {
    if (name.starts_with("series_")) snapshot = world.files_.read_file("data/" + name)->size();
  }
  REQUIRE(snapshot > 0);
  // Just enough, then a byte less.
  for (const uint64_t less : {uint64_t{0}, uint64_t{1}}) {
    world.options_.retention_bytes = all + snapshot - less;
    world.open();
    world.maintain();
    CHECK(manifest_of(world).blocks.size() == blocks - less);
  }
  CHECK(world.read().at("m").front().first == kStart + 2 * kHour);
  world.options_.retention_bytes = snapshot + all / 2;
  world.open();
  CHECK(world.maintain().blocks_deleted >= 4);
  CHECK(block_bytes(manifest_of(world)) <= all / 2);
  CHECK(world.files_.list("data/blocks")->size() == manifest_of(world).blocks.size());
  const auto rest = world.read();
  CHECK(rest.at("m").back().first == kStart + 24 * kHour);
  world.open();
  CHECK(world.read() == rest);
  world.options_.retention_bytes = 1;
  world.open();
  world.maintain();
  REQUIRE(manifest_of(world).blocks.size() == 1);
  CHECK(manifest_of(world).blocks[0].end_ms == kStart + 22 * kHour);
  CHECK(world.engine().maintain()->blocks_deleted == 0);
}

TEST_CASE("the log counts towards the size that is allowed") {
  World world(LogKind::Embedded);
  world.options_.retention_ms = 0;
  run(world, 12 * kHour);
  const uint64_t log_bytes = world.log_->size_bytes();
  CHECK(log_bytes >= 64 << 10U);
  uint64_t on_disk = 0;
  const auto names = *world.files_.list("data/wal");
  for (const std::string& name : names) {
    on_disk += world.files_.read_file("data/wal/" + name)->size();
  }
  CHECK(log_bytes <= on_disk + (64 << 10U));
  CHECK(log_bytes + (64 << 10U) >= on_disk);
  const uint64_t all = block_bytes(manifest_of(world));
  world.options_.retention_bytes = all + log_bytes / 2;
  world.open();
  world.maintain();
  CHECK(manifest_of(world).blocks.size() == 1);
}

TEST_CASE("the oldest block of all tenants goes first") {
  World world(LogKind::SelfContained);
  world.options_.retention_ms = 0;
  WriteBatch batch;
  batch.tenant = "old";
  batch.add(World::labels("m"), kStart - 3 * kHour, 1);
  world.append(batch);
  run(world, 8 * kHour);
  REQUIRE(manifest_of(world).blocks.size() == 4);
  world.options_.retention_bytes = block_bytes(manifest_of(world));
  world.open();
  world.maintain();
  CHECK(world.engine().stats("old").blocks == 0);
  CHECK(world.engine().stats("default").blocks >= 1);
}

TEST_CASE("the file of an expired block that cannot be removed is removed later") {
  World world(LogKind::SelfContained);
  run(world, 12 * kHour);
  world.options_.retention_ms = 5 * kHour;
  for (uint64_t at = 0; at < 12; ++at) {
    CAPTURE(at);
    world.open();
    world.files_.fail_at(world.files_.fault_points() + at, core::testing::SimFault::Io);
    (void)world.engine().maintain();
    world.files_.clear_fault();
    world.maintain();
    CHECK(world.files_.list("data/blocks")->size() == manifest_of(world).blocks.size());
    world.clock_.advance_ms(2 * kHour);
    world.append("m", world.clock_.now_ms(), 1);
    world.maintain();
  }
}

TEST_CASE("retention goes on when flushing fails") {
  World world(LogKind::SelfContained);
  world.options_.retention_ms = 0;
  run(world, 12 * kHour);
  world.options_.retention_bytes = 1;
  world.open();
  world.clock_.advance_ms(4 * kHour);
  world.append("m", world.clock_.now_ms(), 1);
  // The first thing that a flush changes is to create the block's file.
  world.files_.fail_at(world.files_.fault_points(), core::testing::SimFault::NoSpace);
  CHECK_FALSE(world.engine().maintain().has_value());
  CHECK(manifest_of(world).blocks.size() == 1);
}

TEST_CASE("a clock that ran ahead for hours and is set right: the present is taken and kept") {
  FOR_BOTH_LOGS
  World world(kind);
  world.options_.retention_ms = 100 * kHour;
  int stored = run(world, 3 * kHour);
  const int64_t present = world.clock_.now_ms();
  world.clock_.jump_to_ms(present + 24 * kHour);
  stored += run(world, 5 * kHour);  // believed after an hour: all before is closed
  world.clock_.jump_to_ms(present + 5 * kHour);
  const auto closed = manifest_of(world).closed.at("default");
  REQUIRE(closed.before_ms > world.clock_.now_ms());
  const int taken = run(world, 8 * kHour);
  CHECK(taken == 8 * 60);
  stored += taken;
  for (int life = 0; life < 3; ++life) {
    CHECK(world.read().at("m").size() == static_cast<size_t>(stored));
    if (life == 0) world.open();
    if (life == 1) REQUIRE(world.engine().flush_all().has_value());
  }
  // Late data is flushed as it comes, and the log is cut.
  CHECK(world.log_->high() - world.log_->low() < 1000);
  // Until the present is where the clock once was.
  // Of the times of the wrong clock the first sample stays.
  run(world, 20 * kHour);
  CHECK(world.read().at("m").size() == (3 + 5 + 8 + 20 - 5) * 60);
}

TEST_CASE("a clock that goes back within a life takes what it says, and so does the next life") {
  FOR_BOTH_LOGS
  for (const int64_t back : {30 * kMinute, 5 * kHour, 300 * kHour}) {
    CAPTURE(back);
    World world(kind);
    world.options_.retention_ms = 0;
    world.clock_.jump_to_ms(kStart + 400 * kHour);
    int stored = run(world, 5 * kHour);
    world.clock_.jump_to_ms(world.clock_.now_ms() - back - 30'000);  // no time twice
    stored += run(world, 4 * kHour);
    world.open();
    stored += run(world, 4 * kHour);
    CHECK(stored == 13 * 60);
    CHECK(world.read().at("m").size() == static_cast<size_t>(stored));
    world.open();
    CHECK(world.read().at("m").size() == static_cast<size_t>(stored));
  }
}

TEST_CASE("a clock ahead for less than an hour lets retention delete nothing") {
  World world(LogKind::SelfContained);
  world.options_.retention_ms = 10 * kHour;
  run(world, 8 * kHour);
  const auto before = world.read().at("m");
  world.clock_.jump_to_ms(world.clock_.now_ms() + 5000 * kHour);
  run(world, 50 * kMinute);
  REQUIRE(world.engine().flush_all().has_value());
  CHECK(world.read().at("m").front() == before.front());
  world.clock_.jump_to_ms(world.clock_.now_ms() - 5000 * kHour);
  run(world, kHour);
  CHECK(world.read().at("m").front() == before.front());
}

TEST_CASE("a log of many starts counts as what it takes, and no block goes for the rest") {
  World world(LogKind::Embedded);
  world.options_.retention_ms = 0;
  run(world, 8 * kHour);
  const size_t blocks = manifest_of(world).blocks.size();
  REQUIRE(blocks >= 3);
  // Each start leaves a segment that is cut to its few bytes.
  for (int i = 0; i < 100; ++i) {
    world.open();
    world.append("m", world.clock_.now_ms() + i, i);
  }
  CHECK(world.log_->size_bytes() < 10 * (64 << 10U));
  world.options_.retention_bytes = block_bytes(manifest_of(world)) + 20 * (64 << 10U);
  world.open();
  CHECK(world.maintain().blocks_deleted == 0);
  CHECK(manifest_of(world).blocks.size() == blocks);
}

}  // namespace tsdb
