#include "tsdb/block.h"

#include "core/testing/sim_file_system.h"
#include "encoding/chunk.h"
#include "storage/testing/hex_example.h"
#include "tsdb/block_writer.h"
#include "tsdb/manifest.h"
#include "tsdb/series_snapshot.h"

#include <doctest/doctest.h>

namespace tsdb {
namespace {

const std::string kDocs = std::string(TESTDATA_DIR) + "/../../../docs/formats/";

// The block of docs/formats/block.md: up{job="a"} with 1 at 0 s and 15 s, up{job="b"}
// with 0 at 0 s.
core::Result<std::string> example_block(core::FileSystem& files) {
  std::vector<std::string> pairs(3);
  model::append_label(pairs[0], "__name__", "up");
  model::append_label(pairs[1], "job", "a");
  model::append_label(pairs[2], "job", "b");
  auto writer = TRY(BlockWriter::create(files, "b", pairs));
  storage::SeriesBatch samples;
  samples.timestamps_ms = {0, 15'000};
  samples.values = {1, 1};
  const std::vector<uint32_t> first = {0, 1};
  TRY(writer->add_series(first, samples));
  samples.timestamps_ms = {0};
  samples.values = {0};
  const std::vector<uint32_t> second = {0, 2};
  TRY(writer->add_series(second, samples));
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
  REQUIRE(append_region(region_bytes, {0, 15'000}, batch));
  CHECK(batch.values == std::vector<double>{1});
  CHECK(block->index() == index);  // from the cache
}

TEST_CASE("a block cut or bent anywhere is an error where it is read, never a crash") {
  core::testing::SimFileSystem files;
  const std::string whole = *example_block(files);
  const auto read_all = [&](const std::string& bytes) {
    REQUIRE(files.write_file_atomically("c", bytes));
    BlockCache cache(1 << 20U);
    const auto block = Block::open(files, "c", {}, cache);
    const auto index = block->index();
    if (!index) return false;
    storage::SeriesBatch batch;
    for (uint32_t i = 0; i < (*index)->series_count(); ++i) {
      const auto region = (*index)->region_of(i);
      const auto stored = block->read(region.offset, region.size);
      if (!append_region(*stored, {0, 100'000}, batch)) return false;
    }
    return batch.values.size() == 3;
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
