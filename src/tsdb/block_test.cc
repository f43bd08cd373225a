#include "tsdb/block.h"

#include "core/rng.h"
#include "core/testing/sim_file_system.h"
#include "encoding/chunk.h"
#include "storage/testing/hex_example.h"
#include "tsdb/block_verify.h"
#include "tsdb/block_writer.h"
#include "tsdb/manifest.h"
#include "tsdb/series_snapshot.h"
#include "tsdb/testing/blocks.h"

#include <doctest/doctest.h>

namespace tsdb {
namespace {

const std::string kDocs = std::string(TESTDATA_DIR) + "/../../../docs/formats/";

// The block of docs/formats/block.md: up{job="a"} with 1 at 0 s, 15 s and 22 s, up{job="b"}
// with 0 at 0 s.
core::Result<std::string> example_block(core::FileSystem& files) {
  std::vector<std::string> pairs(3);
  model::append_label(pairs[0], "__name__", "up");
  model::append_label(pairs[1], "job", "a");
  model::append_label(pairs[2], "job", "b");
  auto writer = TRY(BlockWriter::create(files, "b", pairs));
  storage::SeriesBatch samples;
  samples.timestamps_ms = {0, 15'000, 22'000};
  samples.values = {1, 1, 1};
  const std::vector<uint32_t> first = {0, 1};
  TRY(writer->add_series(first, samples));
  samples.timestamps_ms = {0};
  samples.values = {0};
  const std::vector<uint32_t> second = {0, 2};
  TRY(writer->add_series(second, samples));
  BlockMeta meta;
  meta.number = 7;
  meta.tenant = "default";
  meta.level = 2;
  meta.order = 5;
  meta.end_ms = 7'200'000;
  writer->describe(meta, {3, 5});
  TRY(writer->finish());
  return files.read_file("b");
}

core::Result<std::string> example_snapshot(core::FileSystem& files) {
  auto writer = TRY(SeriesSnapshotWriter::create(files, "s"));
  std::string labels;
  model::append_label(labels, "__name__", "up");
  TRY(writer->add_series("default", 7, labels));
  TRY(writer->add_metadata("default", {"up", model::MetricType::Gauge, "", "Is it up?"}));
  TRY(writer->finish());
  return files.read_file("s");
}

}  // namespace

TEST_CASE("a block reads back as it was written") {
  core::testing::SimFileSystem files;
  const auto bytes = example_block(files);
  REQUIRE(bytes.has_value());
  BlockCache cache(1 << 20U);
  BlockMeta meta;
  meta.number = 7;
  meta.end_ms = 20'000;
  const auto block = Block::open(files, "b", meta, cache);
  CHECK(block->damage().empty());
  const auto index = *block->index();
  CHECK(index->series_count() == 2);
  CHECK(index->name_count() == 2);
  CHECK(index->value_count("job") == 2);
  CHECK(index->value_of(1, "job") == "b");
  CHECK(index->value_of(1, "nosuch").empty());
  CHECK(index->postings("__name__", "up").size() == 2);
  CHECK(index->postings("job", "b").front() == 1);
  CHECK(index->postings("job", "c").empty());
  CHECK(find_series(*index, {model::Matcher::equal("job", "a")}) == std::vector<uint32_t>{0});
  storage::SeriesBatch batch;
  const auto region = index->region_of(0);
  const std::string region_bytes = *block->read(region.offset, region.size);
  REQUIRE(block->append_region(*index, region_bytes, {0, 15'000}, batch));
  CHECK(batch.values == std::vector<double>{1});
  CHECK(block->index() == index);  // from the cache
}

TEST_CASE("a block cut or bent anywhere is an error where it is read, never a crash") {
  core::testing::SimFileSystem files;
  const std::string whole = *example_block(files);
  const auto read_all = [&](const std::string& bytes) {
    REQUIRE(files.write_file_atomically("c", bytes));
    BlockCache cache(1 << 20U);
    BlockMeta meta;
    meta.number = 7;
    const auto block = Block::open(files, "c", meta, cache);
    const auto index = block->index();
    if (!index) return false;
    storage::SeriesBatch batch;
    for (uint32_t i = 0; i < (*index)->series_count(); ++i) {
      const auto region = (*index)->region_of(i);
      const auto stored = block->read(region.offset, region.size);
      if (!block->append_region(**index, *stored, {0, 100'000}, batch)) return false;
    }
    // What the file says of itself is read on its own.
    return batch.values.size() == 4 && block->self().has_value();
  };
  CHECK(read_all(whole));
  for (size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(read_all(whole.substr(0, size)));
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    CAPTURE(bit);
    std::string bent = whole;
    bent[bit / 8] = static_cast<char>(static_cast<uint8_t>(bent[bit / 8]) ^ (1U << (bit % 8)));
    CHECK_FALSE(read_all(bent));
  }
}

TEST_CASE("a block says of itself what a manifest says of it") {
  core::testing::SimFileSystem files;
  const std::string whole = *example_block(files);
  const auto self = read_block_self(files, "b");
  REQUIRE(self.has_value());
  CHECK(self->meta.number == 7);
  CHECK(self->meta.tenant == "default");
  CHECK(self->meta.level == 2);
  CHECK(self->meta.order == 5);
  CHECK(self->meta.start_ms == 0);
  CHECK(self->meta.end_ms == 7'200'000);
  CHECK(self->meta.min_time_ms == 0);
  CHECK(self->meta.max_time_ms == 22'000);
  CHECK(self->meta.size_bytes == whole.size());
  CHECK(self->meta.series == 2);
  CHECK(self->meta.samples == 4);
  CHECK(self->replaces == std::vector<uint64_t>{3, 5});
}

TEST_CASE("a block under another block's name is not taken for it") {
  core::testing::SimFileSystem files;
  REQUIRE(example_block(files).has_value());
  BlockCache cache(1 << 20U);
  BlockMeta meta;
  meta.number = 8;
  CHECK(Block::open(files, "b", meta, cache)->damage().find("number 7, expected 8") !=
        std::string::npos);
}

TEST_CASE("verifying finds every flipped bit and every cut, and says where") {
  core::testing::SimFileSystem files;
  const std::string whole = *example_block(files);
  const auto sound = verify_block(files, "b");
  REQUIRE(sound.has_value());
  CHECK(sound->damage_count == 0);
  CHECK(sound->samples == 4);
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    CAPTURE(bit);
    std::string bent = whole;
    bent[bit / 8] = static_cast<char>(static_cast<uint8_t>(bent[bit / 8]) ^ (1U << (bit % 8)));
    REQUIRE(files.write_file_atomically("c", bent));
    const auto check = verify_block(files, "c");
    REQUIRE(check.has_value());
    REQUIRE(check->damage_count >= 1);
    CHECK(check->damage[0].offset <= bit / 8);
    CHECK_FALSE(check->damage[0].what.empty());
    // Damage of one series leaves the other.
    if (!check->damage[0].series.empty()) CHECK(check->series == 1);
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(files.write_file_atomically("c", whole.substr(0, size)));
    CHECK(verify_block(files, "c")->damage_count >= 1);
  }
}

TEST_CASE("blocks of version 1 are read") {
  core::PosixFileSystem host;
  for (const std::string name : {"block_v1.bin", "block_v1_histograms.bin"}) {
    CAPTURE(name);
    const std::string path = std::string(TESTDATA_DIR) + "/" + name;
    const auto check = verify_block(host, path);
    REQUIRE(check.has_value());
    CHECK(check->version == 1);
    CHECK(check->damage_count == 0);
    CHECK_FALSE(check->self);
    const bool small = name == "block_v1.bin";
    CHECK(check->series == (small ? 2 : 80));
    CHECK(check->samples == (small ? 3 : 4'000));
    CHECK(check->histograms == (small ? 0 : 2'000));
    uint64_t seen = 0;
    REQUIRE(visit_block(
        host, path, {0, int64_t{1} << 60},
        [&](std::string_view labels, const storage::SeriesBatch& samples) -> core::Result<void> {
          if (small) return {};
          for (size_t k = 0; k < samples.values.size(); ++k, ++seen) {
            const auto i = std::stoi(std::string(model::LabelsView(labels).get("i")));
            const auto step = static_cast<int>(k);
            CHECK(samples.values[k] == step * 3 + i + step % 7 * 0.25);
            CHECK(samples.timestamps_ms[k] ==
                  1'700'000'000'000 + step * 15'000 + (i * 7 + step * 13) % 5);
          }
          return {};
        }));
    CHECK(seen == (small ? 0 : 2'000));
  }
}

TEST_CASE("series that were scraped together share their timestamps") {
  core::testing::SimFileSystem files;
  testing::SeriesPoints series;
  core::SeededRng rng(5);
  std::vector<int64_t> times;
  for (int64_t i = 0; i < 2'000; ++i) {
    times.push_back(1'700'000'000'000 + i * 10'000 + static_cast<int64_t>(rng.below(7)));
  }
  for (int s = 0; s < 50; ++s) {
    std::string labels;
    model::append_label(labels, "__name__", fmt::format("m{:02}", s));
    for (size_t i = 0; i < times.size(); ++i) {
      if (s == 7 && i == 100) continue;  // it missed one and shares the rest again
      series[labels][times[i]] = {static_cast<double>(s), {}};
    }
  }
  BlockMeta meta;
  REQUIRE(testing::write_block(files, "b", series, meta));
  const auto check = verify_block(files, "b");
  REQUIRE(check->damage_count == 0);
  CHECK(check->samples == 99'999);
  CHECK(check->time_bytes < 2'000 * 2);
  CHECK(check->file_bytes < 20'000);
  BlockCache cache(1 << 20U);
  CHECK(*testing::read_block(*Block::open(files, "b", meta, cache)) == series);
}

TEST_CASE("a snapshot reads back as it was written, and one cut anywhere is corruption") {
  core::testing::SimFileSystem files;
  const std::string whole = *example_snapshot(files);
  uint64_t entries = 0;
  SeriesSnapshotVisitor visitor;
  visitor.series = [&](std::string_view tenant, uint64_t id, std::string_view labels) {
    CHECK(tenant == "default");
    CHECK(id == 7);
    CHECK(model::LabelsView(labels).metric_name() == "up");
    ++entries;
  };
  visitor.metadata = [&](std::string_view, const model::Metadata& one) {
    CHECK(one.help == "Is it up?");
    ++entries;
  };
  visitor.exemplar = [](std::string_view, std::string_view, const model::Exemplar&) {};
  CHECK(read_series_snapshot(**files.open("s", core::OpenMode::Read), visitor)->empty());
  CHECK(entries == 2);
  for (size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(files.write_file_atomically("t", whole.substr(0, size)));
    CHECK_FALSE(read_series_snapshot(**files.open("t", core::OpenMode::Read), visitor)->empty());
  }
}

TEST_CASE("the examples in the format documents are what the writers write") {
  core::testing::SimFileSystem files;
  CHECK(storage::testing::bytes_of_example(kDocs + "block.md") == *example_block(files));
  CHECK(storage::testing::bytes_of_example(kDocs + "series_snapshot.md") ==
        *example_snapshot(files));
  std::string chunk;
  encoding::append_float_chunk(chunk, std::vector<int64_t>{0, 15'000}, std::vector<double>{1, 1});
  CHECK(storage::testing::bytes_of_example(kDocs + "chunk.md") == chunk);
}

}  // namespace tsdb
