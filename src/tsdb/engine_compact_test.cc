#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

namespace tsdb::testing {
namespace {

constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kDayStart = (kStart / kDay + 1) * kDay;

// Ten series, a sample every ten minutes.
void append_hours(World& world, int64_t from, int64_t to) {
  for (int64_t time = kDayStart + from * kHour; time < kDayStart + to * kHour;
       time += 10 * kMinute) {
    world.clock_.advance_ms(time - world.clock_.now_ms());
    WriteBatch batch;
    for (int i = 0; i < 10; ++i) {
      batch.add(World::labels(fmt::format("m{{i={}}}", i)), time,
                static_cast<double>(time / kMinute % 1000 + i));
    }
    CHECK(world.append(batch).stored == 10);
    if (time % kHour == 0) world.maintain();
  }
  world.maintain();
}

CompactReport compact(World& world) {
  auto report = world.engine().compact();
  REQUIRE_MESSAGE(report.has_value(), report.error().message);
  return *report;
}

size_t block_count(World& world) {
  return world.engine().stats("default").blocks;
}

std::vector<std::string> block_files(World& world) {
  return *world.files_.list("data/blocks");
}

// Puts a tombstone into the manifest, as a deletion of an earlier life.
void add_tombstone(World& world, const std::string& instance, TimeRange range) {
  world.engine_.reset();
  Manifest manifest = *Manifest::load(world.files_, "data");
  Tombstone one;
  one.tenant = "default";
  one.matchers = {Matcher::equal("i", instance)};
  one.range = range;
  one.blocks_before = manifest.next_number++;
  manifest.tombstones.push_back(one);
  REQUIRE(manifest.store(world.files_, "data"));
  world.open();
}

}  // namespace

TEST_CASE("a complete day becomes one block, and every answer stays the same") {
  FOR_BOTH_LOGS
  World world(kind);
  append_hours(world, 0, 27);
  const auto before = world.read();
  const size_t blocks_before = block_count(world);
  const CompactReport report = compact(world);
  CHECK(report.merges == 1);
  CHECK(report.blocks_read == 12);
  CHECK(report.samples_dropped == 0);
  CHECK(block_count(world) == blocks_before - 11);
  CHECK(block_files(world).size() == block_count(world));
  CHECK(world.read() == before);
  CHECK(compact(world).merges == 0);
  world.open();
  CHECK(world.read() == before);
  CHECK(block_count(world) == blocks_before - 11);
}

TEST_CASE("a reader that began before a merge ends with what it began with") {
  World world(LogKind::Embedded);
  append_hours(world, 0, 27);
  const auto expected = world.read();
  storage::SelectRequest request;
  request.range = kAllTime;
  request.sorted = true;
  auto set = *world.engine().select(request);
  CHECK(compact(world).merges == 1);
  storage::SeriesBatch batch;
  size_t samples = 0;
  while (*set->next(batch)) samples += batch.timestamps_ms.size();
  CHECK(set->warnings().empty());
  size_t wanted = 0;
  for (const auto& [labels, list] : expected) wanted += list.size();
  CHECK(samples == wanted);
}

TEST_CASE("a crash anywhere in a merge leaves the inputs or the output") {
  for (uint64_t at = 0;; ++at) {
    CAPTURE(at);
    World world(LogKind::Embedded, at + 1);
    append_hours(world, 0, 27);
    const auto before = world.read();
    world.engine();
    const uint64_t point = world.files_.fault_points() + at;
    world.files_.fail_at(point, core::testing::SimFault::PowerLoss);
    (void)world.engine().compact().has_value();
    const bool finished = world.files_.fault_points() <= point;
    world.files_.clear_fault();
    world.crash();
    world.open();
    REQUIRE(world.read() == before);
    CHECK(block_files(world).size() == block_count(world));
    compact(world);
    CHECK(world.read() == before);
    if (finished) break;
  }
}

TEST_CASE("deleted samples of blocks are hidden, and gone after a merge") {
  World world(LogKind::Embedded);
  append_hours(world, 0, 27);
  const auto all = world.read();
  const TimeRange deleted{kDayStart + kHour, kDayStart + 5 * kHour};
  const TimeRange everything{kDayStart, kDayStart + 24 * kHour};
  add_tombstone(world, "3", deleted);
  add_tombstone(world, "4", everything);
  auto expected = all;
  std::erase_if(expected["m{i=\"3\"}"],
                [&](const auto& one) { return deleted.contains(one.first); });
  std::erase_if(expected["m{i=\"4\"}"],
                [&](const auto& one) { return everything.contains(one.first); });
  CHECK(world.read() == expected);
  storage::LabelsRequest request;
  request.range = everything;
  CHECK(world.engine().label_values("i", request)->size() == 9);
  CHECK(world.engine().series(request)->size() == 9);
  request.range.end_ms = kDayStart + 2 * kHour;
  request.matchers = {{Matcher::equal("i", "4")}};
  CHECK(world.engine().series(request)->empty());
  CHECK(world.engine().label_names(request)->empty());

  SUBCASE("by a merge of the plan") {
    const CompactReport report = compact(world);
    CHECK(report.merges == 1);
    CHECK(report.samples_dropped == 24 + 24 * 6);
  }
  SUBCASE("by cleaning") {
    const auto report = world.engine().clean_tombstones();
    REQUIRE(report.has_value());
    CHECK(report->merges == 12);
    CHECK(report->samples_dropped == 24 + 24 * 6);
    CHECK(world.engine().clean_tombstones()->merges == 0);
  }
  CHECK(world.read() == expected);
  CHECK(Manifest::load(world.files_, "data")->tombstones.empty());
  world.open();
  CHECK(world.read() == expected);
}

TEST_CASE("a block of which nothing is left goes") {
  World world(LogKind::Embedded);
  append_hours(world, 0, 6);
  const size_t blocks = block_count(world);
  REQUIRE(blocks >= 2);
  for (int i = 0; i < 10; ++i) {
    add_tombstone(world, fmt::format("{}", i), {kDayStart, kDayStart + 2 * kHour});
  }
  REQUIRE(world.engine().clean_tombstones().has_value());
  CHECK(block_count(world) == blocks - 1);
  CHECK(block_files(world).size() == blocks - 1);
  CHECK(world.read().begin()->second.front().first == kDayStart + 2 * kHour);
}

TEST_CASE("a damaged block does not stop merging: what is good of it is still read") {
  World world(LogKind::Embedded);
  append_hours(world, 0, 27);
  const auto before = world.read();
  world.engine_.reset();
  const std::string path = "data/blocks/" + block_files(world)[3];
  std::string bytes = *world.files_.read_file(path);
  bytes[14] = static_cast<char>(bytes[14] ^ 4);  // in the first region
  REQUIRE(world.files_.write_file_atomically(path, bytes));
  world.open();
  const size_t blocks = block_count(world);
  const CompactReport report = compact(world);
  CHECK(report.merges == 1);
  CHECK(report.blocks_read == 11);
  CHECK(block_count(world) == blocks - 10);
  std::vector<std::string> warnings;
  const auto after = world.read({}, kAllTime, &warnings);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find(path) != std::string::npos);
  CHECK(warnings[0].find("offset") != std::string::npos);
  CHECK(after.size() == before.size());
  size_t different = 0;
  for (const auto& [labels, samples] : before) {
    different += after.at(labels) == samples ? 0 : 1;
  }
  CHECK(different == 1);
}

TEST_CASE("no merge without room for its output") {
  World world(LogKind::Embedded);
  append_hours(world, 0, 27);
  world.files_.set_capacity(32 << 20U);
  CHECK(compact(world).merges == 0);
  world.files_.set_capacity(UINT64_MAX);
  CHECK(compact(world).merges == 1);
}

TEST_CASE("a merge without room does not keep smaller ones from being done") {
  World world(LogKind::Embedded);
  world.options_.reserve_bytes = 0;
  for (int64_t hour = 0; hour < 27; ++hour) {
    append_hours(world, hour, hour + 1);
    WriteBatch batch;
    batch.tenant = "small";  // comes after the other one
    batch.add(World::labels("m"), world.clock_.now_ms(), 1);
    CHECK(world.append(batch).stored == 1);
  }
  REQUIRE(world.engine().flush_all().has_value());
  const auto bytes_of = [&](const std::string& tenant) {
    uint64_t bytes = 0;
    for (const BlockMeta& meta : world.engine().blocks(tenant)) bytes += meta.size_bytes;
    return bytes;
  };
  REQUIRE(bytes_of("small") < bytes_of("default") / 2);
  const size_t blocks = world.engine().blocks("small").size();
  world.files_.set_capacity(world.files_.used_bytes() + bytes_of("small"));
  CHECK(compact(world).merges == 1);
  CHECK(world.engine().blocks("small").size() == blocks - 11);
  world.files_.set_capacity(world.files_.used_bytes());
  CHECK(compact(world).merges == 0);
  world.files_.set_capacity(UINT64_MAX);
  CHECK(compact(world).merges == 1);
}

TEST_CASE("a merge leaves twice the reserve of the disk free") {
  World world(LogKind::Embedded);
  world.options_.reserve_bytes = 200ULL << 20U;
  append_hours(world, 0, 27);
  world.files_.set_capacity(world.files_.used_bytes() + (400ULL << 20U));
  CHECK(compact(world).merges == 0);
  world.files_.set_capacity(world.files_.used_bytes() + (401ULL << 20U));
  CHECK(compact(world).merges == 1);
}

TEST_CASE("merging stops when it is told to") {
  World world(LogKind::Embedded);
  append_hours(world, 0, 27);
  world.engine().stop_merging();
  CHECK(compact(world).merges == 0);
}

TEST_CASE("inputs of a merge that are still there do not come back when the manifest is lost") {
  World world(LogKind::Embedded);
  append_hours(world, 0, 27);
  REQUIRE(world.engine().flush_all().has_value());
  REQUIRE(world.engine()
              .delete_series({.selectors = {{Matcher::equal("i", "3")}}, .range = kAllTime})
              .has_value());
  std::map<std::string, std::string> inputs;
  for (const std::string& name : block_files(world)) {
    inputs[name] = *world.files_.read_file("data/blocks/" + name);
  }
  compact(world);
  REQUIRE(world.engine().clean_tombstones().has_value());
  const auto before = world.read();
  REQUIRE(before.size() == 9);
  const size_t blocks = block_count(world);
  world.engine_.reset();
  for (const auto& [name, bytes] : inputs) {
    REQUIRE(world.files_.write_file_atomically("data/blocks/" + name, bytes));
  }
  REQUIRE(world.files_.remove("data/manifest"));
  world.open();
  CHECK(world.read() == before);
  CHECK(block_count(world) == blocks);
}

}  // namespace tsdb::testing
