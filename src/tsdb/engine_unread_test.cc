// Reads that the disk refuses at a start: what it cannot read it leaves as it is, so that a
// start on a disk that reads again has everything.

#include "core/testing/quiet_log.h"
#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)
using core::testing::SimFault;
using core::testing::SimFaultRule;
using core::testing::SimOperation;

namespace {

using core::testing::QuietLog;

std::vector<std::string> log_files(World& world) {
  std::vector<std::string> paths;
  world.files_.suspend_faults(true);
  const std::vector<std::string> names = *world.files_.list("data/wal");
  world.files_.suspend_faults(false);
  for (const std::string& name : names) {
    if (name.ends_with(".log")) paths.push_back("data/wal/" + name);
  }
  return paths;
}

// Every file but the log's newest segments, which each start makes anew.
std::map<std::string, std::string> stored(World& world) {
  std::map<std::string, std::string> all;
  world.files_.suspend_faults(true);
  const std::vector<std::string> paths = world.files_.all_files();
  for (const std::string& path : paths) {
    if (path.starts_with("data/wal")) continue;
    all[path] = *world.files_.read_file(path);
  }
  world.files_.suspend_faults(false);
  return all;
}

void refuse_reads(World& world, const std::string& path, std::optional<uint64_t> times = {}) {
  SimFaultRule rule{.fault = SimFault::Io,
                    .operation = SimOperation::Read,
                    .path_contains = path,
                    .lasts = !times,
                    .times = times.value_or(1)};
  world.files_.fail_when(rule);
}

bool takes_samples(World& world, const std::string& name, int64_t time_ms) {
  WriteBatch batch;
  batch.add(World::labels(name), time_ms, 1);
  const auto summary = world.engine().append(batch);
  if (!summary) CHECK(summary.error().code == core::ErrorCode::Unavailable);
  return summary.has_value();
}

// As it is while something is unread: nothing that is stored may change.
void check_held(World& world) {
  CHECK(world.engine().has_unread_files());
  CHECK_FALSE(world.engine().writable());
  CHECK_FALSE(takes_samples(world, "a", world.clock_.now_ms()));
  CHECK(world.maintain().blocks_written == 0);
  const auto all = std::vector<model::Matchers>{{}};
  const auto deleted = world.engine().delete_series({.selectors = all, .range = kAllTime});
  REQUIRE_FALSE(deleted);
  CHECK(deleted.error().code == core::ErrorCode::Unavailable);
  CHECK_FALSE(world.engine().flush_all());
  CHECK_FALSE(world.engine().compact());
  CHECK_FALSE(world.engine().clean_tombstones());
  CHECK_FALSE(world.engine().snapshot(true));
}

void reopen(World& world) {
  world.engine_.reset();
  world.log_.reset();
  world.open();
}

// The next life, on a disk that reads again.
void check_all_there(World& world, const std::map<std::string, World::Samples>& expected,
                     bool was_damaged = false) {
  world.files_.clear_fault();
  for (int life = 0; life < 2; ++life) {
    reopen(world);
    std::vector<std::string> warnings;
    CHECK(world.read({}, kAllTime, &warnings) == expected);
    // Of deletions that a manifest may have known which is lost for good.
    CHECK(warnings.size() == (was_damaged ? 1 : 0));
    CHECK_FALSE(world.engine().has_unread_files());
    CHECK(world.engine().progress().dropped_samples == 0);
  }
  // And it goes on as ever.
  CHECK(world.engine().flush_all());
  world.crash();
  world.open();
  CHECK(world.read() == expected);
  const std::vector<std::string> paths = world.files_.all_files();
  for (const std::string& path : paths) {
    CHECK_MESSAGE((was_damaged || !path.ends_with(".damaged")), path);
    CHECK_MESSAGE(!path.ends_with(".aside"), path);
  }
}

}  // namespace

TEST_CASE("a read that fails once is tried again") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 6 * 60, {"a", "b"});
  CHECK(world.maintain().blocks_written > 0);
  const auto whole = world.read();
  for (const char* path : {"data/wal", "wal/0", "data/manifest", "series_snapshot", ".block"}) {
    CAPTURE(path);
    refuse_reads(world, path, 2);
    reopen(world);
    std::vector<std::string> warnings;
    CHECK(world.read({}, kAllTime, &warnings) == whole);
    CHECK(warnings.empty());
    CHECK_FALSE(world.engine().has_unread_files());
    world.files_.clear_fault();
  }
}

TEST_CASE("nothing is written while a part of the log is unread, and nothing of it is lost") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 5 * 60, {"a", "b", "c", "d", "e", "f"});
  const auto whole = world.read();
  world.engine_.reset();
  world.log_.reset();
  REQUIRE(log_files(world).size() > 1);
  SUBCASE("its first segment") {
    refuse_reads(world, log_files(world).front());
  }
  SUBCASE("the beginning of its first segment, with the labels") {
    refuse_reads(world, log_files(world).front(), 4);
  }
  SUBCASE("a piece of its newest one, which has records behind") {
    // The whole file is tried three times, then its pieces; for its end, and for the replay.
    std::string bytes = *world.files_.read_file(log_files(world).back());
    const uint64_t pieces = (bytes.size() + 4095) / 4096;
    REQUIRE(pieces > 1);
    refuse_reads(world, log_files(world).back(), 4);
    world.files_.fail_when({.fault = SimFault::Io,
                            .operation = SimOperation::Read,
                            .path_contains = log_files(world).back(),
                            .skip = pieces - 1,
                            .times = 4});
  }
  const auto before = stored(world);
  world.open();
  std::vector<std::string> warnings;
  CHECK(world.read({}, kAllTime, &warnings) != whole);
  REQUIRE_FALSE(warnings.empty());
  CHECK(warnings[0].find("of the log cannot be read") != std::string::npos);
  check_held(world);
  auto after = stored(world);
  CHECK(after == before);
  check_all_there(world, whole);
}

TEST_CASE("where the end of the log is unread nothing is appended, and nothing is lost") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 5 * 60, {"a", "b", "c"});
  CHECK(world.maintain().blocks_written > 0);
  fill(world, 60, {"a", "b", "c"});
  const auto whole = world.read();
  // Without a last word on where it ends.
  world.files_.fail_at(world.files_.fault_points(), SimFault::PowerLoss);
  world.crash();
  world.files_.clear_fault();
  SUBCASE("its newest segment") {
    refuse_reads(world, log_files(world).back());
  }
  SUBCASE("its folder") {
    refuse_reads(world, "data/wal");
  }
  const auto before = stored(world);
  const auto files = log_files(world);
  for (int life = 0; life < 2; ++life) {
    world.engine_.reset();
    world.log_.reset();
    world.open();
    std::vector<std::string> warnings;
    CHECK_FALSE(world.read({}, kAllTime, &warnings).empty());
    CHECK_FALSE(warnings.empty());
    CHECK_FALSE(takes_samples(world, "a", world.clock_.now_ms()));
    CHECK(world.engine().has_unread_files());
    CHECK_FALSE(world.engine().writable());
    CHECK(world.maintain().blocks_written == 0);
  }
  CHECK(stored(world) == before);
  world.files_.clear_fault();
  CHECK(log_files(world) == files);
  check_all_there(world, whole);
}

TEST_CASE("an unread manifest is neither replaced nor renamed, and deletions hold again later") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 8 * 60, {"a", "b"});
  CHECK(world.maintain().blocks_written == 3);
  REQUIRE(world.engine().delete_series(
      {.selectors = {{Matcher::equal("__name__", "b")}}, .range = kAllTime}));
  const auto whole = world.read();
  CHECK_FALSE(whole.contains("b"));
  world.engine_.reset();
  world.log_.reset();
  const std::string manifest = *world.files_.read_file("data/manifest");
  std::optional<std::string> damaged;
  SUBCASE("the copy stands in") {
    refuse_reads(world, "data/manifest", 3);
  }
  SUBCASE("its copy is unread, too") {
    refuse_reads(world, "data/manifest");
  }
  SUBCASE("it is damaged, and its copy is unread") {
    damaged = "nothing of use";
    REQUIRE(world.files_.write_file_atomically("data/manifest", *damaged));
    refuse_reads(world, "data/manifest.copy");
  }
  SUBCASE("it is gone, and its copy is unread") {
    REQUIRE(world.files_.remove("data/manifest"));
    refuse_reads(world, "data/manifest.copy");
    damaged = "";
  }
  SUBCASE("it is gone, and the folder of the blocks is unread") {
    REQUIRE(world.files_.remove("data/manifest"));
    refuse_reads(world, "data/blocks");
    damaged = "";
  }
  const std::vector<std::string> files = world.files_.all_files();
  world.open();
  std::vector<std::string> warnings;
  world.read({}, kAllTime, &warnings);
  CHECK_FALSE(warnings.empty());
  CHECK_FALSE(takes_samples(world, "a", world.clock_.now_ms()));
  CHECK(world.engine().has_unread_files());
  CHECK_FALSE(world.engine().writable());
  world.maintain();
  world.engine_.reset();
  world.log_.reset();
  world.files_.clear_fault();
  for (const std::string& path : files) CHECK_MESSAGE(world.files_.exists(path), path);
  if (!damaged) {
    CHECK(*world.files_.read_file("data/manifest") == manifest);
    check_all_there(world, whole);
    return;
  }
  // What is damaged is mended from what can be read again.
  CHECK(*world.files_.read_file("data/manifest.copy") == manifest);
  check_all_there(world, whole, true);
  const auto mended = Manifest::decode(*world.files_.read_file("data/manifest"));
  REQUIRE(mended);
  CHECK(mended->tombstones.size() == 1);
}

TEST_CASE("a block that is unread while the manifest is put together is not forgotten") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 8 * 60, {"a"});
  CHECK(world.maintain().blocks_written == 3);
  const auto whole = world.read();
  world.engine_.reset();
  world.log_.reset();
  REQUIRE(world.files_.remove("data/manifest"));
  REQUIRE(world.files_.remove("data/manifest.copy"));
  const auto blocks = *world.files_.list("data/blocks");
  refuse_reads(world, blocks[1]);
  world.open();
  std::vector<std::string> warnings;
  world.read({}, kAllTime, &warnings);
  CHECK_FALSE(warnings.empty());
  CHECK_FALSE(world.files_.exists("data/manifest"));
  world.files_.clear_fault();
  CHECK(*world.files_.list("data/blocks") == blocks);
  check_all_there(world, whole, true);
}

TEST_CASE("labels in an unread series snapshot come back") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  std::vector<std::string> names(40);
  for (size_t i = 0; i < names.size(); ++i) names[i] = fmt::format("m{}", i);
  fill(world, 4 * 60, names);
  CHECK(world.maintain().blocks_written > 0);
  fill(world, 60, names);
  const auto whole = world.read();
  world.engine_.reset();
  world.log_.reset();
  refuse_reads(world, "series_snapshot-");
  const auto before_files = world.files_.all_files();
  world.open();
  std::vector<std::string> warnings;
  CHECK(world.read({}, kAllTime, &warnings) != whole);
  REQUIRE_FALSE(warnings.empty());
  CHECK(warnings[0].find("in an unreadable part") != std::string::npos);
  check_held(world);
  check_all_there(world, whole);
}

TEST_CASE("an unread block keeps its place among those of its time") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  world.options_.out_of_order_window_ms = 30 * kHour;
  fill(world, 4 * 60, {"a"});
  CHECK(world.maintain().blocks_written > 0);
  for (int i = 0; i < 3; ++i) {
    world.append("a", kStart + kMinute / 2 + i, i);
    REQUIRE(world.engine().flush_all());
  }
  const auto whole = world.read();
  world.engine_.reset();
  world.log_.reset();
  refuse_reads(world, (*world.files_.list("data/blocks"))[1]);
  world.open();
  CHECK(world.engine().stats("default").quarantined_blocks == 1);
  REQUIRE(world.engine().compact());
  world.files_.clear_fault();
  reopen(world);
  CHECK(world.read() == whole);
}

}  // namespace tsdb
