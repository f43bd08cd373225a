// What the engine makes of damaged files: it starts, serves what is whole, and says what
// is missing.

#include "core/testing/quiet_log.h"
#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

#include <numeric>

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

using core::testing::QuietLog;

std::string newest_log_file(World& world) {
  std::string newest;
  const std::vector<std::string> names1 = *world.files_.list("data/wal");
  for (const std::string& name : names1) {
    if (!name.ends_with(".log")) continue;
    const auto bytes = *world.files_.read_file("data/wal/" + name);
    if (std::count(bytes.begin() + 100, bytes.end(), '\0') + 200 < std::ssize(bytes)) newest = name;
  }
  return "data/wal/" + newest;
}

void overwrite(World& world, const std::string& path, const std::string& bytes) {
  REQUIRE(world.files_.write_file_atomically(path, bytes));
}

struct DamagedFile {
  std::string path;
  std::string whole;
  std::string damaged;
};

// Closes, and flips a bit in the first record of a series, which has its labels.
DamagedFile damage_labels(World& world, const std::string& series) {
  world.engine_.reset();
  world.log_.reset();
  DamagedFile file;
  file.path = newest_log_file(world);
  file.whole = *world.files_.read_file(file.path);
  const size_t at = file.whole.find(World::labels(series).bytes());
  REQUIRE(at != std::string::npos);
  file.damaged = file.whole;
  file.damaged[at] = static_cast<char>(file.damaged[at] ^ 1);
  overwrite(world, file.path, file.damaged);
  return file;
}

size_t sample_count(const std::map<std::string, World::Samples>& all) {
  size_t count = 0;
  for (const auto& [labels, samples] : all) count += samples.size();
  return count;
}

}  // namespace

TEST_CASE("a damaged record of the log costs its samples, and queries of their time say so") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  world.without_runs();
  fill(world, 120, {"m"});
  world.engine_.reset();
  world.log_.reset();
  const std::string file = newest_log_file(world);
  std::string bytes = *world.files_.read_file(file);
  const std::string whole = bytes;
  const size_t at = (bytes.find_last_not_of('\0') + 1) / 2;
  bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
  overwrite(world, file, bytes);

  for (int life = 0; life < 2; ++life) {
    std::vector<std::string> warnings;
    world.open();
    const auto all = world.read({}, kAllTime, &warnings);
    CHECK(sample_count(all) == 119);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find("of the log was damaged") != std::string::npos);
    CHECK(warnings[0].find(file) != std::string::npos);
    // Far from it nothing is missing.
    world.read({}, {kStart + 10 * kHour, kStart + 11 * kHour}, &warnings);
    CHECK(warnings.empty());
    CHECK(world.files_.exists(file + ".damaged"));
  }

  SUBCASE("also after the log that showed it is gone") {
    fill(world, 8 * 60, {"m"});
    CHECK(world.maintain().blocks_written > 0);
    world.crash();
    world.open();
    std::vector<std::string> warnings;
    world.read({}, kAllTime, &warnings);
    CHECK(warnings.size() == 1);
    CHECK(*world.files_.read_file(file + ".damaged") == bytes);
  }
}

TEST_CASE("a damaged record costs those behind it in its run, too, which is short, and no more") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 120, {"m"});
  world.engine_.reset();
  world.log_.reset();
  const std::string file = newest_log_file(world);
  std::string bytes = *world.files_.read_file(file);
  const size_t at = (bytes.find_last_not_of('\0') + 1) / 2;
  bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
  overwrite(world, file, bytes);
  std::vector<std::string> warnings;
  world.open();
  const auto all = world.read({}, kAllTime, &warnings);
  // One sample a minute, and runs of five minutes.
  CHECK(sample_count(all) >= 120 - 5);
  CHECK(sample_count(all) < 120);
  REQUIRE(!warnings.empty());
  CHECK(warnings[0].find("of the log was damaged") != std::string::npos);
}

TEST_CASE("samples whose labels are lost with a record are counted and told") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  world.without_runs();
  fill(world, 1, {"a"});
  fill(world, 50, {"a", "b"});
  damage_labels(world, "b");
  world.open();
  CHECK(world.engine().progress().dropped_samples == 49);
  std::vector<std::string> warnings;
  const auto all = world.read({}, kAllTime, &warnings);
  CHECK(all.size() == 1);
  CHECK(all.at("a").size() == 51);
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[1].find("49 samples are missing") != std::string::npos);
  // The series comes back with its next sample.
  CHECK(world.append("b", kStart + 51 * kMinute, 1).stored == 1);
  world.open();
  CHECK(world.read().at("b").size() == 1);
}

// Zeros where the disk gave nothing, as a repair leaves them, and the whole file back later.
TEST_CASE("what is damaged at one start and whole at a later one is mixed up with nothing") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 3, {"a", "b"});
  world.append("a", kStart + 9 * kMinute, 9);
  const DamagedFile log = damage_labels(world, "b");
  std::vector<std::string> warnings;
  // Two such starts: the ids that the second one gives are not those of the first, either.
  for (const int start : {1, 2}) {
    world.engine_.reset();
    world.log_.reset();
    overwrite(world, log.path, log.damaged);
    world.open();
    CHECK_FALSE(world.read({}, kAllTime, &warnings).contains("b"));
    CHECK(!warnings.empty());
    const std::string name = start == 1 ? "c" : "d";
    CHECK(world.append(name, kStart + 4 * kMinute, 4).stored == 1);
    if (start == 2) {
      const model::Matcher a = *model::Matcher::create(MatchType::Equal, "__name__", "a");
      REQUIRE(world.engine().delete_series(
          {.tenant = std::string(model::kDefaultTenant), .selectors = {{a}}, .range = kAllTime}));
    }
  }
  world.engine_.reset();
  world.log_.reset();
  overwrite(world, log.path, log.whole);
  for (const int start : {1, 2}) {
    CAPTURE(start);
    world.open();
    const auto all = world.read();
    CHECK(all.size() == 3);
    CHECK(!all.contains("a"));
    CHECK(all.at("b").size() == 2 + static_cast<size_t>(start));
    CHECK(all.at("c").size() == static_cast<size_t>(start));
    CHECK(all.at("d").size() == static_cast<size_t>(start));
    for (const std::string name : {"b", "c", "d"}) {
      world.append(name, kStart + (10 + start) * kMinute, start);
    }
  }
}

TEST_CASE("samples without labels are told also where others were deleted") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  world.without_runs();
  fill(world, 10, {"a", "b"});
  const model::Matcher a = *model::Matcher::create(MatchType::Equal, "__name__", "a");
  REQUIRE(world.engine().delete_series(
      {.tenant = std::string(model::kDefaultTenant), .selectors = {{a}}, .range = kAllTime}));
  damage_labels(world, "b");
  world.open();
  std::vector<std::string> warnings;
  CHECK(world.read({}, {kStart + 5 * kMinute, kStart + 6 * kMinute}, &warnings).empty());
  const bool is_told = std::any_of(warnings.begin(), warnings.end(), [](const std::string& one) {
    return one.find("the labels of their series") != std::string::npos;
  });
  CHECK(is_told);
}

TEST_CASE("any damaged byte of the series snapshot leaves the start, the blocks and most labels") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  std::vector<std::string> names(40);
  for (size_t i = 0; i < names.size(); ++i) names[i] = fmt::format("m{}", i);
  fill(world, 4 * 60, names);
  CHECK(world.maintain().blocks_written > 0);
  fill(world, 60, names);
  world.open();
  const auto whole = world.read();
  std::string path;
  const std::vector<std::string> names2 = *world.files_.list("data");
  for (const std::string& name : names2) {
    if (name.starts_with("series_snapshot-")) path = "data/" + name;
  }
  const std::string bytes = *world.files_.read_file(path);
  for (size_t at = 0; at < bytes.size(); at += 13) {
    CAPTURE(at);
    if (at == 7) continue;
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x11);
    overwrite(world, path, damaged);
    world.open();
    std::vector<std::string> warnings;
    const auto all = world.read({}, kAllTime, &warnings);
    const size_t missing = sample_count(whole) - sample_count(all);
    CHECK(missing == world.engine().progress().dropped_samples);
    CHECK((missing == 0) == warnings.empty());
    CHECK(world.files_.exists(path + ".damaged"));
  }

  SUBCASE("and the one before it helps out") {
    overwrite(world, path, bytes);
    world.open();
    fill(world, 4 * 60, names);
    CHECK(world.maintain().blocks_written > 0);
    const auto now = world.read();
    const std::vector<std::string> names3 = *world.files_.list("data");
    for (const std::string& name : names3) {
      if (name.starts_with("series_snapshot-") && name.ends_with("0")) path = "data/" + name;
      if (name.starts_with("series_snapshot-") && !name.ends_with("damaged")) path = "data/" + name;
    }
    overwrite(world, path, "nothing of use");
    world.open();
    CHECK(world.engine().progress().dropped_samples == 0);
    CHECK(sample_count(world.read()) == sample_count(now));
  }
}

TEST_CASE("no manifest is no reason to lose a block") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 8 * 60, {"a", "b"});
  CHECK(world.maintain().blocks_written == 3);
  fill(world, 30, {"a", "b"});
  const auto whole = world.read();
  const std::string manifest = *world.files_.read_file("data/manifest");
  const auto blocks = *world.files_.list("data/blocks");
  world.engine_.reset();

  bool has_copy = true;
  SUBCASE("it is gone, the copy is there") {
    REQUIRE(world.files_.remove("data/manifest"));
  }
  SUBCASE("it is torn, the copy is there") {
    overwrite(world, "data/manifest", manifest.substr(0, manifest.size() / 2));
  }
  SUBCASE("a byte of it flipped, the copy is there") {
    std::string flipped = manifest;
    flipped[40] = '?';
    overwrite(world, "data/manifest", flipped);
  }
  SUBCASE("both are gone") {
    has_copy = false;
    REQUIRE(world.files_.remove("data/manifest"));
    REQUIRE(world.files_.remove("data/manifest.copy"));
  }
  SUBCASE("both are damaged") {
    has_copy = false;
    overwrite(world, "data/manifest", "");
    overwrite(world, "data/manifest.copy", manifest.substr(0, 20));
  }
  for (int life = 0; life < 2; ++life) {
    world.open();
    std::vector<std::string> warnings;
    CHECK(world.read({}, kAllTime, &warnings) == whole);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find(has_copy ? "its copy counts" : "and its copy were damaged") !=
          std::string::npos);
    CHECK(world.engine().stats("default").blocks == 3);
    CHECK(*world.files_.list("data/blocks") == blocks);
  }
  if (has_copy) {
    Manifest found = *Manifest::load(world.files_, "data");
    CHECK(found.incomplete.size() == 1);
    found.incomplete.clear();
    CHECK(found.encode() == manifest);
  }
  // It goes on as before.
  fill(world, 4 * 60, {"a", "b"});
  CHECK(world.maintain().blocks_written > 0);
  const auto later = world.read();
  CHECK(sample_count(later) == sample_count(whole) + 480);
  world.crash();
  world.open();
  CHECK(world.read() == later);
}

TEST_CASE("a deletion that only the lost manifest knew is not undone silently") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 60, {"a", "b"});
  SUBCASE("the samples are in the log") {}
  SUBCASE("the samples are in a block") {
    REQUIRE(world.engine().flush_all());
  }
  // The deletion is acknowledged; its copy costs only help.
  world.files_.fail_when({.fault = core::testing::SimFault::Io,
                          .operation = core::testing::SimOperation::Sync,
                          .path_contains = "manifest.copy"});
  REQUIRE(world.engine().delete_series(
      {.selectors = {{Matcher::equal("__name__", "a")}}, .range = kAllTime}));
  CHECK(world.read().size() == 1);
  world.crash();
  std::string manifest = *world.files_.read_file("data/manifest");
  manifest[40] = '?';
  overwrite(world, "data/manifest", manifest);
  for (int life = 0; life < 2; ++life) {
    world.open();
    std::vector<std::string> warnings;
    const auto all = world.read({}, kAllTime, &warnings);
    CHECK(all.at("b").size() == 60);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find("samples deleted shortly before 2023-11-14T") != std::string::npos);
    // Also where only a part is asked for, and after the next flush.
    world.read({}, {kStart, kStart + kMinute}, &warnings);
    CHECK(warnings.size() == 1);
    REQUIRE(world.engine().flush_all());
  }
}

TEST_CASE("a stale copy of the manifest knows fewer blocks, and none is lost") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 6 * 60, {"a"});
  CHECK(world.maintain().blocks_written > 0);
  const std::string stale = *world.files_.read_file("data/manifest.copy");
  fill(world, 6 * 60, {"a"});
  CHECK(world.maintain().blocks_written > 0);
  const auto whole = world.read();
  world.engine_.reset();
  REQUIRE(world.files_.remove("data/manifest"));
  overwrite(world, "data/manifest.copy", stale);
  world.open();
  CHECK(world.read() == whole);
}

TEST_CASE("a file that is no block is kept aside when the manifest is gone, not removed") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 6 * 60, {"a"});
  CHECK(world.maintain().blocks_written > 0);
  const auto whole = world.read();
  world.engine_.reset();
  overwrite(world, "data/blocks/0000000077.block", "half of a block");
  REQUIRE(world.files_.remove("data/manifest"));
  REQUIRE(world.files_.remove("data/manifest.copy"));
  world.open();
  CHECK(world.read() == whole);
  CHECK(*world.files_.read_file("data/blocks/0000000077.block.aside") == "half of a block");
  world.open();
  CHECK(world.files_.exists("data/blocks/0000000077.block.aside"));
}

TEST_CASE("a block file that is missing is told with its name and range") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 8 * 60, {"a"});
  CHECK(world.maintain().blocks_written == 3);
  world.engine_.reset();
  const auto blocks = *world.files_.list("data/blocks");
  REQUIRE(world.files_.remove("data/blocks/" + blocks[1]));
  world.open();
  std::vector<std::string> warnings;
  CHECK(world.read({}, kAllTime, &warnings).at("a").size() == 360);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find(blocks[1]) != std::string::npos);
  CHECK(world.engine().stats("default").quarantined_blocks == 1);
}

TEST_CASE("answers on labels and series tell of damage, as queries do") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 8 * 60, {"a"});
  CHECK(world.maintain().blocks_written == 3);
  const auto meta = world.engine().blocks("default")[1];
  world.engine_.reset();
  const std::string path = "data/blocks/" + meta.file_name();
  world.files_.damage(path, [](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  world.open();
  std::vector<std::string> expected;
  (void)world.read({}, kAllTime, &expected);
  REQUIRE(expected.size() == 1);
  CHECK(expected[0].find(path) != std::string::npos);
  for (const bool reaches_it : {true, false}) {
    CAPTURE(reaches_it);
    storage::LabelsRequest request;
    request.range = {meta.start_ms, meta.end_ms};
    if (!reaches_it) request.range = {meta.end_ms, meta.end_ms + kHour};
    const std::vector<std::string> told = reaches_it ? expected : std::vector<std::string>{};
    CHECK(world.engine().label_names(request)->warnings == told);
    CHECK(world.engine().label_values("__name__", request)->warnings == told);
    CHECK(world.engine().series(request)->warnings == told);
    request.matchers = {{Matcher::equal("__name__", "a")}};
    CHECK(world.engine().label_names(request)->warnings == told);
    CHECK(world.engine().series(request)->warnings == told);
  }
}

TEST_CASE("answers on labels tell of damage to the log") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  fill(world, 60, {"a"});
  world.engine_.reset();
  world.log_.reset();
  REQUIRE(world.files_.remove_all("data/wal"));
  world.open();
  std::vector<std::string> expected;
  (void)world.read({}, kAllTime, &expected);
  REQUIRE(expected.size() == 1);
  storage::LabelsRequest request;
  request.range = kAllTime;
  CHECK(world.engine().label_names(request)->warnings == expected);
  CHECK(world.engine().label_values("job", request)->warnings == expected);
  CHECK(world.engine().series(request)->warnings == expected);
}

TEST_CASE("histograms whose labels are lost with a record are counted and told, too") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  world.without_runs();
  world.append("a", kStart, 1);
  for (int i = 0; i < 10; ++i) {
    WriteBatch batch;
    model::Histogram one;
    one.count = one.zero_count = i;
    const Labels labels = World::labels("b");
    batch.begin_series(labels.bytes());
    batch.add_histogram(kStart + i * kMinute, one);
    CHECK(world.append(batch).stored == 1);
  }
  damage_labels(world, "b");
  world.open();
  CHECK(world.engine().progress().dropped_samples == 9);
  std::vector<std::string> warnings;
  world.read({}, kAllTime, &warnings);
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[1].find("9 samples are missing") != std::string::npos);
}

}  // namespace tsdb
