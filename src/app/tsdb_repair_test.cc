#include "app/tsdb_repair.h"

#include "core/testing/quiet_log.h"
#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

#include <doctest/doctest.h>

using core::testing::SimFault;
using core::testing::SimFileSystem;
using tsdb::Manifest;
using namespace tsdb::testing;

namespace {

constexpr int kHours = 8;

// A data directory with blocks; the second has an index that cannot be read.
struct Damaged {
  explicit Damaged(uint64_t seed) : world(LogKind::Embedded, seed) {
    for (int i = 0; i < kHours * 60; ++i) {
      world.append("m", kStart + i * kMinute, i);
      world.clock_.advance_ms(kMinute);
    }
    REQUIRE(world.engine().maintain());
    world.crash();
    const auto manifest = Manifest::load(world.files_, "data");
    REQUIRE(manifest);
    REQUIRE(manifest->blocks.size() >= 3);
    block = "data/blocks/" + manifest->blocks[1].file_name();
    world.files_.damage(block, [](std::string& content) { content.back() ^= 1; });
    bytes = *world.files_.read_file(block);
  }

  core::Result<void> repair() {
    return app::repair_data_dir(world.files_, "data", {.say = [](const std::string&) {}});
  }
  // The file with the damaged block's bytes; empty: it is gone.
  std::string found() {
    for (const std::string& path : world.files_.all_files()) {
      if (path.starts_with(block) && *world.files_.read_file(path) == bytes) return path;
    }
    return "";
  }

  World world;
  std::string block;
  std::string bytes;
};

using core::testing::QuietLog;

}  // namespace

TEST_CASE("a repair that loses power at any step loses no block, and the next one ends it") {
  const QuietLog quiet;
  uint64_t points = 0;
  {
    Damaged whole(1);
    const uint64_t before = whole.world.files_.fault_points();
    REQUIRE(whole.repair());
    points = whole.world.files_.fault_points() - before;
    CHECK(whole.found() == whole.block + ".damaged");
  }
  REQUIRE(points >= 4);
  for (const bool with_manifest : {true, false}) {
    for (uint64_t point = 0; point < points + 4; ++point) {
      for (uint64_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(with_manifest);
        CAPTURE(point);
        CAPTURE(seed);
        Damaged damaged(seed);
        SimFileSystem& files = damaged.world.files_;
        if (!with_manifest) {
          for (const char* path : {"data/manifest", "data/manifest.copy"}) {
            files.damage(path, [](std::string& text) { text[text.size() / 2] ^= 1; });
          }
        }
        files.fail_at(files.fault_points() + point, SimFault::PowerLoss);
        (void)damaged.repair();
        files.clear_fault();
        damaged.world.crash();
        CHECK(!damaged.found().empty());
        // A server that starts now removes what no manifest names.
        damaged.world.open();
        REQUIRE(damaged.world.engine().maintain());
        damaged.world.crash();
        CHECK(!damaged.found().empty());
        REQUIRE(damaged.repair());
        damaged.world.crash();
        CHECK(!damaged.found().empty());
        CHECK(!files.exists(damaged.block));
        const auto manifest = Manifest::load(files, "data");
        REQUIRE(manifest);
        CHECK(manifest->blocks.size() >= 2);
      }
    }
  }
}

TEST_CASE("a repair keeps blocks that are missing or of a later version in the manifest") {
  const QuietLog quiet;
  Damaged damaged(4);
  SimFileSystem& files = damaged.world.files_;
  const auto count = [&] { return Manifest::load(files, "data")->blocks.size(); };
  const size_t blocks = count();
  std::string later = damaged.bytes;
  later.back() = later[7] = 3;
  REQUIRE(files.write_file_atomically(damaged.block, later));
  const auto refused = damaged.repair();
  REQUIRE(!refused);
  CHECK(refused.error().message.find("has version 3, this program reads 1 to 2") !=
        std::string::npos);
  CHECK(files.exists(damaged.block));
  // A disk that is not mounted: what comes back with it must not be taken for a left-over.
  REQUIRE(files.remove(damaged.block));
  REQUIRE(damaged.repair());
  CHECK(count() == blocks);
}

TEST_CASE("a repair leaves what an earlier one set aside, and a block that the disk holds back") {
  const QuietLog quiet;
  Damaged damaged(3);
  SimFileSystem& files = damaged.world.files_;
  REQUIRE(files.write_file_atomically(damaged.block + ".damaged", "of an earlier one"));
  files.fail_when({.fault = SimFault::Io,
                   .operation = core::testing::SimOperation::Read,
                   .path_contains = damaged.block,
                   .lasts = true});
  const auto refused = damaged.repair();
  REQUIRE(!refused);
  CHECK(refused.error().message.find("nothing was changed") != std::string::npos);
  files.clear_fault();
  CHECK(damaged.found() == damaged.block);
  REQUIRE(damaged.repair());
  CHECK(damaged.found() == damaged.block + ".2.damaged");
  CHECK(*files.read_file(damaged.block + ".damaged") == "of an earlier one");
}

TEST_CASE("a repair gives up what the disk does not give, keeps the file and tells the time") {
  const QuietLog quiet;
  World world(LogKind::Embedded, 5);
  for (int i = 0; i < 40; ++i) {
    world.append("m", kStart + i * kMinute, i);
    world.clock_.advance_ms(kMinute);
  }
  world.crash();
  SimFileSystem& files = world.files_;
  std::string segment;
  for (const std::string& path : files.all_files()) {
    if (path.starts_with("data/wal/") && path.ends_with(".log")) segment = std::max(segment, path);
  }
  REQUIRE(!segment.empty());
  const std::string bytes = *files.read_file(segment);
  files.fail_when({.fault = SimFault::Io,
                   .operation = core::testing::SimOperation::Read,
                   .path_contains = segment,
                   .lasts = true});
  std::string said;
  app::RepairOptions options{.log_dir = "data/wal",
                             .is_dry_run = true,
                             .say = [&](const auto& text) { said += text + "\n"; }};
  REQUIRE(app::repair_data_dir(files, "data", options));
  CHECK(said.find(segment + ": cannot be read from byte 0 on") != std::string::npos);
  CHECK(!files.exists(segment + ".unreadable"));

  // The disk gives nothing of the file, so the copy that takes its place is all zeros.
  options.is_dry_run = false;
  REQUIRE(app::repair_data_dir(files, "data", options));
  files.clear_fault();
  CHECK(*files.read_file(segment + ".unreadable") == bytes);
  const auto manifest = Manifest::load(files, "data");
  REQUIRE(manifest);
  CHECK(!manifest->incomplete.empty());

  world.crash();
  for (int life = 0; life < 2; ++life) {
    world.open();
    CHECK(!world.engine().has_unread_files());
    std::vector<std::string> warnings;
    CHECK(world.read({}, kAllTime, &warnings).empty());
    CHECK(!warnings.empty());
    world.crash();
  }
  world.open();
  CHECK(world.append("m", world.clock_.now_ms(), 1).stored == 1);
  said.clear();
  world.crash();
  REQUIRE(app::repair_data_dir(files, "data", options));
  CHECK(said == "nothing to repair\n");
}
