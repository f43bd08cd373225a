#include "tsdb/disk_guard.h"

#include "core/testing/quiet_log.h"
#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint64_t kMib = 1ULL << 20U;
constexpr uint64_t kGib = 1ULL << 30U;

using core::testing::QuietLog;

}  // namespace

TEST_CASE("5 % of a disk are reserved, 256 MiB at most, or what is asked for") {
  CHECK(disk_reserve_bytes(kGib, {}) == kGib / 20);
  CHECK(disk_reserve_bytes(500 * kGib, {}) == 256 * kMib);
  CHECK(disk_reserve_bytes(kGib, 7) == 7);
  CHECK(disk_reserve_bytes(kGib, 0) == 0);
}

TEST_CASE("merges stop first, then writes; they come back when there is clearly space again") {
  DiskGuard guard(100 * kMib);
  int64_t now_ms = 0;
  const auto step = [&](uint64_t free_mib, int64_t after_ms = 1000) {
    now_ms += after_ms;
    return guard.step({.total_bytes = 10 * kGib, .available_bytes = free_mib * kMib}, now_ms);
  };
  CHECK(step(5000) == DiskMode::Normal);
  CHECK(step(202) == DiskMode::Normal);
  CHECK(step(200) == DiskMode::NoMerges);
  CHECK(step(102) == DiskMode::NoMerges);
  CHECK(step(100) == DiskMode::ReadOnly);
  // A little more than the reserve is not enough, however long it lasts.
  CHECK(step(140, 100'000) == DiskMode::ReadOnly);
  CHECK(step(140, 100'000) == DiskMode::ReadOnly);
  CHECK(step(160) == DiskMode::ReadOnly);
  CHECK(step(160, 2999) == DiskMode::ReadOnly);
  CHECK(step(160, 1) == DiskMode::NoMerges);
  CHECK(step(280) == DiskMode::NoMerges);
  CHECK(step(280, 100'000) == DiskMode::NoMerges);
  CHECK(step(400) == DiskMode::NoMerges);
  // In between it was short again: the wait begins anew.
  CHECK(step(250) == DiskMode::NoMerges);
  CHECK(step(400, 5000) == DiskMode::NoMerges);
  CHECK(step(400, 3000) == DiskMode::Normal);
  CHECK(step(0) == DiskMode::ReadOnly);
  CHECK(step(5000) == DiskMode::ReadOnly);
  CHECK(step(5000, 3000) == DiskMode::Normal);
}

TEST_CASE("without a reserve nothing is refused ahead of time") {
  DiskGuard guard(0);
  CHECK(guard.step({.total_bytes = kGib, .available_bytes = 0}, 0) == DiskMode::Normal);
}

TEST_CASE("a disk that fills up: samples are refused, reads and flushes go on, all comes back") {
  const QuietLog quiet;
  core::testing::SimFileSystem files({.capacity_bytes = 16 * kMib});
  core::testing::FakeClock clock(kStart);
  core::SeededRng rng(1);
  REQUIRE(files.create_dirs("data"));
  const uint64_t reserve = 2 * kMib;
  auto log = EmbeddedLog::open({.dir = "data/log", .segment_bytes = kMib, .reserve_bytes = reserve},
                               files, clock, rng);
  REQUIRE(log);
  auto engine = Engine::open({.data_dir = "data"}, {files, clock, rng, **log});
  REQUIRE(engine);
  GuardedStorage storage("data", reserve,
                         {.files = files, .clock = clock, .log = **log, .sink = **engine});
  const auto write = [&](int64_t time_ms, double value) {
    WriteBatch batch;
    batch.add(World::labels("m"), time_ms, value);
    return storage.append(batch);
  };
  int stored = 0;
  for (; stored < 8 * 60; ++stored) {
    REQUIRE(write(clock.now_ms(), stored));
    clock.advance_ms(kMinute);
  }
  CHECK(!storage.trouble());

  // Somebody else fills the disk.
  auto other = *files.open("other", core::OpenMode::CreateNew);
  const uint64_t free_bytes = files.disk_space("data")->available_bytes;
  REQUIRE(other->write_at(0, std::string(free_bytes - 2 * reserve, 'x')));
  storage.poll();
  CHECK(!storage.may_merge());
  CHECK(storage.mode() == DiskMode::NoMerges);
  REQUIRE(storage.trouble());
  CHECK(!storage.trouble()->stops_writes);
  REQUIRE(write(clock.now_ms(), stored++));
  REQUIRE(other->write_at(0, std::string(free_bytes - reserve, 'x')));
  storage.poll();
  CHECK(storage.mode() == DiskMode::ReadOnly);
  REQUIRE(storage.trouble());
  CHECK(storage.trouble()->text.find("nearly full") != std::string::npos);
  CHECK(storage.trouble()->reason == "disk_full");
  CHECK(storage.trouble()->stops_writes);
  const auto refused = write(clock.now_ms() + 1, 0);
  REQUIRE(!refused);
  CHECK(refused.error().code == core::ErrorCode::Unavailable);
  CHECK(refused.error().message.find("--storage.tsdb.min-free-disk") != std::string::npos);

  // The flush uses the reserve.
  const auto report = (*engine)->maintain();
  REQUIRE(report);
  CHECK(report->blocks_written == 3);

  REQUIRE(other->truncate(0));
  storage.poll();
  CHECK(!write(clock.now_ms(), stored));
  clock.advance_ms(4000);
  storage.poll();
  REQUIRE(write(clock.now_ms(), stored++));
  CHECK(!storage.trouble());

  storage::SelectRequest request;
  request.range = kAllTime;
  auto set = (*engine)->select(request);
  REQUIRE(set);
  storage::SeriesBatch batch;
  size_t read = 0;
  while (*(*set)->next(batch)) read += batch.timestamps_ms.size();
  CHECK(read == static_cast<size_t>(stored));
}

TEST_CASE("at no fault does a flush lose a sample or leave half a file behind") {
  const QuietLog quiet;
  using core::testing::SimFault;
  for (const SimFault fault : {SimFault::NoSpace, SimFault::Io}) {
    for (uint64_t point = 0; point < 60; ++point) {
      CAPTURE(point);
      World world(LogKind::Embedded);
      for (int i = 0; i < 6 * 60; ++i) {
        world.append("m", kStart + i * kMinute, i);
        world.clock_.advance_ms(kMinute);
      }
      world.files_.fail_at(world.files_.fault_points() + point, fault);
      (void)world.engine().maintain();
      world.files_.clear_fault();
      CHECK(world.read().at("m").size() == 360);
      for (const std::string& dir : {std::string("data"), std::string("data/blocks")}) {
        const std::vector<std::string> names1 = *world.files_.list(dir);
        for (const std::string& name : names1) CHECK(!name.ends_with(".tmp"));
      }
      // The next step does what is left, or the log has to be opened again first.
      (void)world.engine().maintain();
      world.crash();
      world.open();
      CHECK(world.read().at("m").size() == 360);
      world.maintain();
      CHECK(world.engine().stats("default").blocks >= 2);
      CHECK(world.read().at("m").size() == 360);
      CHECK(world.files_.list("data/blocks")->size() == world.engine().stats("default").blocks);
    }
  }
}

}  // namespace tsdb
