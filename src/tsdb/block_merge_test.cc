#include "tsdb/block_merge.h"

#include "core/rng.h"
#include "tsdb/testing/blocks.h"

#include <doctest/doctest.h>

namespace tsdb {
namespace {

using testing::Point;
using testing::SeriesPoints;

std::string labels_of(uint64_t metric, uint64_t instance) {
  std::string labels;
  model::append_label(labels, "__name__", fmt::format("m{}", metric));
  if (instance % 3 != 0) model::append_label(labels, "a", fmt::format("{}", instance % 5));
  model::append_label(labels, "instance", fmt::format("{}", instance));
  return labels;
}

// Blocks, tombstones, and what is left of them by the rules.
struct Case {
  core::testing::SimFileSystem files;
  BlockCache cache{1 << 20U};
  std::vector<std::shared_ptr<Block>> blocks;
  Tombstones tombstones;
  SeriesPoints expected;
  uint64_t duplicates = 0;
  uint64_t deleted = 0;

  void add_block(uint64_t number, const SeriesPoints& series) {
    BlockMeta meta;
    meta.number = number;
    meta.tenant = "default";
    meta.order = number;
    const std::string path = meta.file_name();
    REQUIRE(testing::write_block(files, path, series, meta));
    blocks.push_back(Block::open(files, path, meta, cache));
    for (const auto& [labels, points] : series) {
      for (const auto& [time_ms, point] : points) {
        const bool gone = std::any_of(tombstones.begin(), tombstones.end(), [&](const auto& one) {
          return number < one.blocks_before && one.range.contains(time_ms) &&
                 model::matches_all(one.matchers, model::LabelsView(labels));
        });
        if (gone) {
          ++deleted;
        } else if (!expected[labels].emplace(time_ms, point).second) {
          ++duplicates;
        }
      }
    }
    std::erase_if(expected, [](const auto& one) { return one.second.empty(); });
  }

  MergeRequest request() const {
    MergeRequest request{.inputs = blocks, .tombstones = tombstones, .output = {}, .path = "out"};
    request.output.number = 1000;
    request.output.tenant = "default";
    return request;
  }
};

void fill(Case& one, uint64_t seed) {
  core::SeededRng rng(seed);
  const uint64_t instances = 1 + rng.below(20);
  for (uint64_t i = rng.below(4); i > 0; --i) {
    Tombstone tombstone;
    tombstone.tenant = rng.below(8) == 0 ? "other" : "default";
    tombstone.matchers = {model::Matcher::equal("a", fmt::format("{}", rng.below(5)))};
    if (rng.below(3) == 0) tombstone.matchers = {model::Matcher::equal("__name__", "m1")};
    tombstone.range.start_ms = static_cast<int64_t>(rng.below(4'000));
    tombstone.range.end_ms = tombstone.range.start_ms + static_cast<int64_t>(rng.below(4'000));
    tombstone.blocks_before = rng.below(8);
    if (tombstone.tenant == "other") tombstone.blocks_before = 0;
    one.tombstones.push_back(tombstone);
  }
  for (uint64_t number = 1; number <= 1 + rng.below(6); ++number) {
    SeriesPoints series;
    for (uint64_t i = 1 + rng.below(30); i > 0; --i) {
      const uint64_t instance = rng.below(instances);
      auto& points = series[labels_of(rng.below(3), instance)];
      auto time_ms = static_cast<int64_t>(rng.below(5'000));
      const bool histograms = rng.below(6) == 0;
      const uint64_t step = 1 + rng.below(20);
      for (uint64_t j = 1 + rng.below(rng.below(10) == 0 ? 2'000 : 40); j > 0; --j) {
        Point point;
        if (histograms) {
          point.histogram = testing::small_histogram(static_cast<double>(rng.below(100)));
        } else {
          point.value = static_cast<double>(rng.below(1000)) / 8;
        }
        points.emplace(time_ms, point);
        time_ms += static_cast<int64_t>(step);
      }
    }
    one.add_block(number, series);
  }
}

}  // namespace

TEST_CASE("a merge keeps of every sample the one that counts, and nothing that is deleted") {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    Case one;
    fill(one, seed);
    std::optional<size_t> damaged;
    const auto merged = merge_blocks(one.files, one.request(), damaged);
    REQUIRE_MESSAGE(merged.has_value(), merged.error().message);
    CHECK_FALSE(damaged);
    CHECK(merged->deleted == one.deleted);
    CHECK(merged->duplicates == one.duplicates);
    const auto block = Block::open(one.files, "out", merged->output, one.cache);
    const auto back = testing::read_block(*block);
    REQUIRE_MESSAGE(back.has_value(), back.error().message);
    CHECK(*back == one.expected);
    CHECK(merged->output.series == one.expected.size());
    CHECK(merged->output.size_bytes == (*one.files.open("out", core::OpenMode::Read))->size());
    if (one.expected.empty()) continue;
    int64_t oldest = std::numeric_limits<int64_t>::max();
    int64_t newest = std::numeric_limits<int64_t>::min();
    uint64_t samples = 0;
    std::set<std::string> names;
    for (const auto& [labels, points] : one.expected) {
      oldest = std::min(oldest, points.begin()->first);
      newest = std::max(newest, points.rbegin()->first);
      samples += points.size();
    }
    CHECK(merged->output.min_time_ms == oldest);
    CHECK(merged->output.max_time_ms == newest);
    CHECK(merged->output.samples == samples);
    // No pair is left without a series.
    const auto index = *block->index();
    for (uint32_t name = 0; name < index->name_count(); ++name) {
      index->for_each_value(index->name(name), [&](std::string_view, Postings postings) {
        CHECK_FALSE(postings.empty());
      });
    }
  }
}

TEST_CASE("a merge says which input is damaged") {
  Case one;
  one.add_block(1, {{labels_of(1, 1), {{10, {1, {}}}, {20, {2, {}}}}}});
  one.add_block(2, {{labels_of(1, 1), {{30, {1, {}}}, {40, {2, {}}}}}});
  const std::string path = one.blocks[1]->path();
  std::string bytes = *one.files.read_file(path);
  bytes[kBlockHeaderSize + 6] = static_cast<char>(bytes[kBlockHeaderSize + 6] ^ 1);
  REQUIRE(one.files.write_file_atomically(path, bytes));
  one.blocks[1] = Block::open(one.files, path, one.blocks[1]->meta(), one.cache);
  std::optional<size_t> damaged;
  const auto merged = merge_blocks(one.files, one.request(), damaged);
  REQUIRE_FALSE(merged.has_value());
  CHECK(damaged == 1);
  CHECK(merged.error().code == core::ErrorCode::Corruption);
  CHECK(merged.error().message.find(path) != std::string::npos);
  CHECK(merged.error().message.find("offset 8") != std::string::npos);
}

TEST_CASE("a merge that is stopped ends early") {
  Case one;
  one.add_block(1, {{labels_of(1, 1), {{10, {1, {}}}}}});
  const std::atomic<bool> stop = true;
  MergeRequest request = one.request();
  request.stop = &stop;
  std::optional<size_t> damaged;
  const auto merged = merge_blocks(one.files, request, damaged);
  REQUIRE_FALSE(merged.has_value());
  CHECK(merged.error().code == core::ErrorCode::Cancelled);
}

TEST_CASE("a mask says which series of a block are deleted as a whole") {
  Case one;
  SeriesPoints series;
  series[labels_of(1, 1)] = {{10, {1, {}}}, {20, {2, {}}}};
  series[labels_of(1, 2)] = {{10, {1, {}}}, {90, {2, {}}}};
  series[labels_of(2, 1)] = {{50, {1, {}}}};
  one.add_block(1, series);
  auto tombstones = std::make_shared<Tombstones>();
  Tombstone tombstone;
  tombstone.tenant = "default";
  tombstone.matchers = {model::Matcher::equal("__name__", "m1")};
  tombstone.range = {0, 15};
  tombstone.blocks_before = 2;
  tombstones->push_back(tombstone);
  tombstone.range = {15, 40};
  tombstones->push_back(tombstone);
  Block& block = *one.blocks[0];
  const auto index = *block.index();
  const auto mask = block.mask(*index, tombstones);
  CHECK(std::vector(mask->ordinals().begin(), mask->ordinals().end()) ==
        std::vector<uint32_t>{0, 1});
  REQUIRE(mask->ranges_of(0).size() == 1);
  CHECK(mask->ranges_of(0)[0] == model::TimeRange{0, 40});
  CHECK(mask->ranges_of(2).empty());
  CHECK(*block.hidden_series(*index, mask) == std::vector<uint32_t>{0});
  CHECK(block.mask(*index, tombstones) == mask);
  // A block that was written after the deletion has nothing to hide.
  tombstones = std::make_shared<Tombstones>(*tombstones);
  for (Tombstone& at : *tombstones) at.blocks_before = 1;
  CHECK(block.mask(*index, tombstones)->empty());
}

}  // namespace tsdb
