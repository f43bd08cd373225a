// Blocks and a head, written as Prometheus writes them, read and merged.

#include "core/testing/sim_file_system.h"
#include "promtsdb/block_source.h"
#include "promtsdb/data_dir.h"
#include "promtsdb/head_source.h"
#include "promtsdb/slot_reader.h"
#include "promtsdb/testing/build.h"

#include <doctest/doctest.h>
#include <map>

using core::testing::SimFileSystem;
using promtsdb::Damage;
using promtsdb::testing::IndexEntry;
using promtsdb::testing::Samples;

namespace {

constexpr model::TimeRange kAll{INT64_MIN / 2, INT64_MAX / 2};
constexpr const char* kUlid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

struct Directory {
  SimFileSystem files;
  Damage damage;
  promtsdb::ReadCounts counts;
  promtsdb::Filter filter;

  void put(const std::string& path, const std::string& bytes) {
    REQUIRE(files.create_dirs(path.substr(0, path.rfind('/'))));
    const auto file = files.open(path, core::OpenMode::CreateOrTruncate);
    REQUIRE(file);
    REQUIRE((*file)->write_at(0, bytes));
  }

  using Series = std::vector<std::pair<std::string, Samples>>;  // value of `i`, samples
  // Gives the offsets of the series in the index and of the chunks.
  std::pair<std::vector<uint64_t>, std::vector<uint64_t>> put_block(const std::string& dir,
                                                                    const Series& series,
                                                                    uint8_t version = 2) {
    std::vector<std::string> chunks;
    std::vector<uint64_t> offsets;
    for (const auto& [i, samples] : series) {
      chunks.push_back(promtsdb::testing::stored_chunk(1, promtsdb::testing::xor_chunk(samples)));
    }
    put(dir + "/chunks/000001", promtsdb::testing::chunk_file(chunks, offsets));
    std::vector<IndexEntry> entries;
    for (size_t n = 0; n < series.size(); ++n) {
      const auto& [i, samples] = series[n];
      entries.push_back({{{"__name__", "m"}, {"i", i}},
                         {{samples.front().first, samples.back().first, offsets[n]}}});
    }
    std::vector<uint64_t> begins;
    put(dir + "/index", promtsdb::testing::index_file(entries, version, begins));
    return {begins, offsets};
  }

  std::unique_ptr<promtsdb::BlockSource> open_block(const std::string& dir) {
    promtsdb::BlockMeta meta;
    meta.range = {0, 1'000'000};
    auto source = promtsdb::BlockSource::open(files, dir, meta, filter, damage, counts);
    REQUIRE(source);
    return std::move(*source);
  }

  std::map<std::string, Samples> read(std::vector<promtsdb::Source*> sources,
                                      model::TimeRange range = kAll) {
    auto reader = promtsdb::SlotReader::open(std::move(sources), range);
    REQUIRE(reader);
    const std::vector<std::string> pairs = reader->take_pair_bytes();
    std::map<std::string, Samples> found;
    std::vector<uint32_t> numbers;
    storage::SeriesBatch samples;
    for (;;) {
      const auto more = reader->next(numbers, samples);
      REQUIRE(more);
      if (!*more) return found;
      std::string labels;
      for (const uint32_t number : numbers) labels += pairs.at(number);
      Samples& list = found[std::string(model::LabelsView(labels).get("i"))];
      CHECK(list.empty());
      for (size_t i = 0; i < samples.timestamps_ms.size(); ++i) {
        list.emplace_back(samples.timestamps_ms[i], samples.values[i]);
      }
    }
  }

  std::unique_ptr<promtsdb::HeadSource> open_head(int64_t min_valid_ms = INT64_MIN,
                                                  size_t memory = 1U << 20U) {
    promtsdb::HeadOptions options;
    options.min_valid_ms = min_valid_ms;
    options.granule_ms = 1000;
    options.memory_bytes = memory;
    options.temporary_dir = "tmp";
    auto head =
        promtsdb::HeadSource::open(files, "prom", std::move(options), filter, damage, counts);
    REQUIRE(head);
    REQUIRE((*head)->scan());
    REQUIRE((*head)->load(kAll));
    return std::move(*head);
  }
};

}  // namespace

TEST_CASE("a block of either index version is read") {
  for (const uint8_t version : std::initializer_list<uint8_t>{1, 2}) {
    Directory dir;
    const Directory::Series series = {{"1", {{10, 1}, {20, 2}}}, {"2", {{15, 3}}}};
    dir.put_block("b", series, version);
    const auto block = dir.open_block("b");
    CHECK(dir.read({block.get()}) == std::map<std::string, Samples>(series.begin(), series.end()));
    CHECK(dir.read({block.get()}, {15, 20}) == std::map<std::string, Samples>{{"2", {{15, 3}}}});
    CHECK(dir.damage.total() == 0);
  }
}

TEST_CASE("deleted samples are left out") {
  Directory dir;
  const auto [begins, offsets] = dir.put_block("b", {{"1", {{10, 1}, {20, 2}, {30, 3}}}});
  dir.put("b/tombstones", promtsdb::testing::tombstones_file({{begins[0] / 16, {15, 20}}}));
  const auto block = dir.open_block("b");
  CHECK(dir.read({block.get()}) == std::map<std::string, Samples>{{"1", {{10, 1}, {30, 3}}}});
}

TEST_CASE("a block whose tombstones are damaged is refused") {
  Directory dir;
  dir.put_block("b", {{"1", {{10, 1}}}});
  std::string stones = promtsdb::testing::tombstones_file({{1, {15, 20}}});
  for (size_t at = 0; at < stones.size(); ++at) {
    std::string damaged = stones;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    dir.put("b/tombstones", damaged);
    const auto source =
        promtsdb::BlockSource::open(dir.files, "b", {}, dir.filter, dir.damage, dir.counts);
    REQUIRE(!source);
    CHECK(source.error().message.starts_with("b/tombstones: "));
  }
}

TEST_CASE("a damaged chunk costs itself and is named") {
  const Directory::Series series = {{"1", {{10, 1}, {20, 2}}}, {"2", {{15, 3}, {16, 4}}}};
  Directory whole;
  const auto [begins, offsets] = whole.put_block("b", series);
  const auto bytes = whole.files.read_file("b/chunks/000001");
  REQUIRE(bytes);
  for (size_t at = 8; at < bytes->size(); ++at) {
    Directory dir;
    dir.put_block("b", series);
    std::string damaged = *bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    dir.put("b/chunks/000001", damaged);
    const auto block = dir.open_block("b");
    const auto found = dir.read({block.get()});
    const size_t hit = at < offsets[1] ? 0 : 1;
    CHECK(found.size() == 1);
    CHECK(found.contains(series[1 - hit].first));
    CHECK(dir.damage.chunks == 1);
    REQUIRE(dir.damage.examples.size() == 1);
    CHECK(dir.damage.examples[0].starts_with(
        fmt::format("b/chunks/000001: offset {}: ", offsets[hit])));
  }
}

TEST_CASE("a damaged series entry costs itself, whatever byte it is") {
  const Directory::Series series = {
      {"1", {{10, 1}}}, {"2", {{15, 3}}}, {"3", {{15, 3}}}, {"4", {{16, 9}}}};
  Directory whole;
  const auto [begins, offsets] = whole.put_block("b", series);
  const auto bytes = whole.files.read_file("b/index");
  REQUIRE(bytes);
  for (uint64_t at = begins[1]; at < begins[2]; ++at) {
    Directory dir;
    dir.put_block("b", series);
    std::string damaged = *bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x21);
    dir.put("b/index", damaged);
    const auto block = dir.open_block("b");
    const auto found = dir.read({block.get()});
    CHECK(found.size() >= 3);
    CHECK(found.contains("1"));
    CHECK(found.contains("3"));
    CHECK(found.contains("4"));
    if (found.size() == 3) CHECK(dir.damage.series >= 1);
  }
}

TEST_CASE("blocks that overlap are merged and a time counts once") {
  Directory dir;
  dir.put_block("a", {{"1", {{10, 1}, {20, 2}}}, {"3", {{5, 5}}}});
  dir.put_block("b", {{"1", {{15, 7}, {20, 8}}}, {"2", {{1, 1}}}});
  const auto a = dir.open_block("a");
  const auto b = dir.open_block("b");
  CHECK(dir.read({a.get(), b.get()}) ==
        std::map<std::string, Samples>{
            {"1", {{10, 1}, {15, 7}, {20, 2}}}, {"2", {{1, 1}}}, {"3", {{5, 5}}}});
}

TEST_CASE("only series that match are read") {
  Directory dir;
  dir.put_block("a", {{"1", {{10, 1}}}, {"2", {{5, 5}}}});
  dir.filter.selectors = {{model::Matcher::equal("i", "2")}};
  const auto a = dir.open_block("a");
  CHECK(dir.read({a.get()}) == std::map<std::string, Samples>{{"2", {{5, 5}}}});
}

TEST_CASE("the head is its log, its late samples and its chunks") {
  using promtsdb::testing::log_segment;
  using promtsdb::testing::samples_record;
  using promtsdb::testing::series_record;
  for (const size_t memory : {size_t{100}, size_t{1} << 20U}) {
    Directory dir;
    const auto series = [](uint64_t ref, const char* i) {
      return series_record(ref, {{"__name__", "m"}, {"i", i}});
    };
    // The checkpoint introduces series 1; segment 3 is older than it and does not count.
    dir.put("prom/wal/checkpoint.00000003/00000000",
            log_segment({series(9, "b"), samples_record({{9, {50, 0.5}}})}));
    dir.put("prom/wal/00000003", log_segment({samples_record({{9, {60, 6}}})}));
    dir.put("prom/wal/00000004",
            log_segment({series(4, "a"), samples_record({{4, {2000, 1}}, {9, {2001, 2}}}),
                         samples_record({{4, {1500, 9}}}),  // refused when it came: not in order
                         series(11, "b"),                   // the same series again
                         samples_record({{11, {3000, 3}}, {4, {3000, 4}}, {77, {100, 1}}})}));
    dir.put("prom/wbl/00000000", log_segment({samples_record({{4, {1700, 17}}, {9, {40, 4}}})}));
    dir.put("prom/chunks_head/000001",
            promtsdb::testing::head_chunk_file(
                {promtsdb::testing::head_chunk(
                     9, 1000, 2001, 1, promtsdb::testing::xor_chunk({{1000, 10}, {2001, 2}})),
                 promtsdb::testing::head_chunk(4, 1600, 1600, 0x81,
                                               promtsdb::testing::xor_chunk({{1600, 16}}))}));
    const auto head = dir.open_head(50, memory);
    CHECK(head->time_range() == model::TimeRange{40, 3001});
    const std::map<std::string, Samples> wanted = {
        {"a", {{1600, 16}, {1700, 17}, {2000, 1}, {3000, 4}}},
        {"b", {{40, 4}, {50, 0.5}, {1000, 10}, {2001, 2}, {3000, 3}}}};
    CHECK(dir.read({head.get()}) == wanted);
    CHECK(dir.read({head.get()}, {2000, 3000}) ==
          std::map<std::string, Samples>{{"a", {{2000, 1}}}, {"b", {{2001, 2}}}});
    CHECK(dir.damage.total() == 0);
    CHECK(dir.damage.samples_without_series == 1);
  }
}

TEST_CASE("a head chunk with a bad checksum costs itself") {
  Directory dir;
  dir.put("prom/wal/00000000", promtsdb::testing::log_segment({promtsdb::testing::series_record(
                                   1, {{"__name__", "m"}, {"i", "1"}})}));
  std::string bytes = promtsdb::testing::head_chunk_file(
      {promtsdb::testing::head_chunk(1, 10, 10, 1, promtsdb::testing::xor_chunk({{10, 1}})),
       promtsdb::testing::head_chunk(1, 20, 20, 1, promtsdb::testing::xor_chunk({{20, 2}}))});
  bytes[8 + 30] = static_cast<char>(bytes[8 + 30] ^ 1);
  dir.put("prom/chunks_head/000001", bytes);
  const auto head = dir.open_head();
  CHECK(dir.read({head.get()}) == std::map<std::string, Samples>{{"1", {{20, 2}}}});
  CHECK(dir.damage.chunks == 1);
  CHECK(dir.damage.examples.at(0).starts_with("prom/chunks_head/000001: offset 8: "));
}

TEST_CASE("blocks are found by their meta.json, and those that were merged are left out") {
  Directory dir;
  const auto meta = [](const std::string& ulid, const std::string& parents, const char* hints) {
    return fmt::format(R"({{"ulid": "{}", "minTime": 0, "maxTime": 7200000, "version": 1,
        "stats": {{"numSamples": 5}}, "compaction": {{"level": 1, "parents": [{}]{}}}}})",
                       ulid, parents, hints);
  };
  const std::string child = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
  const std::string bad = "01ARZ3NDEKTSV4RRFFQ69G5FAX";
  dir.put("prom/" + std::string(kUlid) + "/meta.json", meta(kUlid, "", ""));
  dir.put("prom/" + child + "/meta.json",
          meta(child, fmt::format(R"({{"ulid": "{}"}})", kUlid), R"(, "hints": ["x"])"));
  dir.put("prom/" + bad + "/meta.json", "{\"version\": 2}");
  dir.put("prom/wal/00000000", "");
  const auto data = promtsdb::find_data(dir.files, "prom", dir.damage);
  REQUIRE(data);
  REQUIRE(data->blocks.size() == 1);
  CHECK(data->blocks[0].meta.ulid == child);
  CHECK(data->blocks[0].meta.samples == 5);
  CHECK(data->replaced_blocks == 1);
  CHECK(data->has_head);
  CHECK(data->head_min_valid_ms == 7'200'000);
  REQUIRE(dir.damage.files == 1);
  CHECK(dir.damage.examples[0] == "prom/" + bad + "/meta.json: field version: expected 1, got 2");
}
