#include "tsdb/compaction_plan.h"

#include "core/rng.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <map>

namespace tsdb {
namespace {

constexpr int64_t kHour = 3'600'000;
constexpr PlanOptions kOptions{.block_range_ms = 2 * kHour,
                               .block_range_max_ms = 24 * kHour,
                               .out_of_order_window_ms = kHour,
                               .retention_ms = 0};

// In hours. Orders rise with the numbers unless given.
PlanBlock block(uint64_t number, int64_t start, int64_t end, uint32_t level = 1,
                uint64_t bytes = 100) {
  BlockMeta meta;
  meta.number = number;
  meta.order = number;
  meta.level = level;
  meta.start_ms = start * kHour;
  meta.end_ms = end * kHour;
  meta.min_time_ms = meta.start_ms;
  meta.max_time_ms = meta.end_ms - 1;
  meta.size_bytes = bytes;
  return {meta};
}

std::vector<PlanBlock> slots(int64_t from, int64_t to) {
  std::vector<PlanBlock> blocks;
  for (int64_t hour = from; hour < to; hour += 2) {
    blocks.push_back(block(blocks.size() + 1, hour, hour + 2));
  }
  return blocks;
}

struct Times {
  double newest = 0;  // hours
  double flushed = 1e6;
};

std::optional<MergePlan> plan(const std::vector<PlanBlock>& blocks, Times times,
                              const PlanOptions& options = kOptions) {
  return plan_merge(blocks,
                    {.newest_ms = static_cast<int64_t>(times.newest * kHour),
                     .flushed_before_ms = static_cast<int64_t>(times.flushed * kHour)},
                    options);
}

std::vector<uint64_t> numbers(const std::optional<MergePlan>& plan) {
  std::vector<uint64_t> result;
  if (!plan) return result;
  for (const BlockMeta& meta : plan->inputs) result.push_back(meta.number);
  return result;
}

using Numbers = std::vector<uint64_t>;

}  // namespace

TEST_CASE("a day is merged once, when it is complete and in blocks") {
  const auto blocks = slots(0, 24);
  CHECK_FALSE(plan(blocks, {.newest = 24.9}));
  CHECK_FALSE(plan(blocks, {.newest = 30, .flushed = 22}));
  const auto merged = plan(blocks, {.newest = 25});
  REQUIRE(merged);
  CHECK(merged->inputs.size() == 12);
  CHECK(merged->range == model::TimeRange{0, 24 * kHour});
  CHECK(merged->level == kDayLevel);
  // Nor is it merged with the next day, or again.
  CHECK_FALSE(
      plan({block(20, 0, 24, kDayLevel), block(21, 24, 26), block(22, 26, 28)}, {.newest = 40}));
  CHECK_FALSE(plan({block(1, 0, 2)}, {.newest = 100}));
}

TEST_CASE("times before 1970 have days too") {
  const auto merged = plan({block(1, -24, -22), block(2, -2, 0)}, {.newest = 3});
  REQUIRE(merged);
  CHECK(merged->range == model::TimeRange{-24 * kHour, 0});
}

TEST_CASE("patches of a day are merged when nothing late can come, or when they are many") {
  PlanOptions wide = kOptions;
  wide.out_of_order_window_ms = 48 * kHour;
  std::vector<PlanBlock> blocks = {block(20, 0, 24, kDayLevel, 10'000), block(21, 2, 4)};
  CHECK_FALSE(plan(blocks, {.newest = 30}, wide));
  CHECK(numbers(plan(blocks, {.newest = 72}, wide)) == Numbers{20, 21});
  blocks.push_back(block(22, 2, 4));
  CHECK_FALSE(plan(blocks, {.newest = 30}, wide));
  blocks.push_back(block(23, 2, 4));
  // Small beside the day: among themselves.
  auto merged = plan(blocks, {.newest = 30}, wide);
  CHECK(numbers(merged) == Numbers{21, 22, 23});
  CHECK(merged->range == model::TimeRange{2 * kHour, 4 * kHour});
  CHECK(merged->level == kMergedLevel);
  // Not so small: with the day.
  blocks[1] = block(21, 2, 4, 2, 5'000);
  merged = plan(blocks, {.newest = 30}, wide);
  CHECK(numbers(merged) == Numbers{20, 21, 22, 23});
  CHECK(merged->level == kDayLevel);
}

TEST_CASE("overlapping blocks of a slot are merged when the window has passed") {
  std::vector<PlanBlock> blocks = {block(1, 0, 2), block(2, 0, 2), block(3, 2, 4)};
  CHECK_FALSE(plan(blocks, {.newest = 2.9}));
  CHECK(numbers(plan(blocks, {.newest = 3})) == Numbers{1, 2});
  CHECK(plan(blocks, {.newest = 3})->level == kMergedLevel);
}

TEST_CASE("a block that stays outside must not stand between the inputs in order") {
  PlanOptions wide = kOptions;
  wide.out_of_order_window_ms = 48 * kHour;
  std::vector<PlanBlock> blocks = {block(1, 0, 2), block(2, 0, 2), block(3, 0, 2), block(4, 0, 2)};
  CHECK(numbers(plan(blocks, {.newest = 2}, wide)) == Numbers{1, 2, 3, 4});
  blocks[1].can_merge = false;
  CHECK_FALSE(plan(blocks, {.newest = 100}, wide));
  blocks[1].can_merge = true;
  blocks[0].can_merge = false;
  CHECK(numbers(plan(blocks, {.newest = 2}, wide)) == Numbers{2, 3, 4});
}

TEST_CASE("a damaged block does not keep the others of its day from being merged") {
  std::vector<PlanBlock> blocks = slots(0, 24);
  blocks[3].can_merge = false;
  const auto merged = plan(blocks, {.newest = 25});
  REQUIRE(merged);
  CHECK(merged->inputs.size() == 11);
  // Afterwards it stays beside the day for good.
  CHECK_FALSE(plan({block(20, 0, 24, kDayLevel), blocks[3]}, {.newest = 100}));
}

TEST_CASE("blocks with odd ranges are merged where they overlap, up to a day") {
  auto merged = plan({block(1, 21, 27), block(2, 23, 29)}, {.newest = 100});
  CHECK(numbers(merged) == Numbers{1, 2});
  CHECK(merged->range == model::TimeRange{20 * kHour, 30 * kHour});
  CHECK_FALSE(plan({block(1, 0, 20), block(2, 10, 30)}, {.newest = 100}));
  // Unless one is larger already.
  merged = plan({block(1, 0, 48), block(2, 10, 30)}, {.newest = 100});
  CHECK(merged->range == model::TimeRange{0, 48 * kHour});
  CHECK_FALSE(plan({block(1, 20, 26), block(2, 26, 30)}, {.newest = 100}));
}

TEST_CASE("what is about to be deleted is not merged") {
  PlanOptions short_lived = kOptions;
  short_lived.retention_ms = 24 * kHour;
  std::vector<PlanBlock> blocks = slots(0, 24);
  CHECK(plan(blocks, {.newest = 25}, short_lived));
  blocks.push_back(block(30, 48, 50));
  CHECK_FALSE(plan(blocks, {.newest = 50}, short_lived));
}

// Whatever the blocks: merging comes to an end, and of two overlapping blocks the one whose
// samples count never changes sides.
TEST_CASE("merges end and keep the order of what overlaps") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    core::SeededRng rng(seed);
    std::vector<PlanBlock> blocks;
    std::map<uint64_t, std::vector<BlockMeta>> parts;  // what a block was at first, by number
    for (uint64_t i = 1; i <= 1 + rng.next() % 30; ++i) {
      const auto start = static_cast<int64_t>(rng.next() % 60);
      const int64_t size = rng.next() % 4 == 0 ? static_cast<int64_t>(1 + rng.next() % 30) : 2;
      blocks.push_back(block(i, start / 2 * 2, start / 2 * 2 + size, 1, 1 + rng.next() % 1000));
      blocks.back().can_merge = rng.next() % 8 != 0;
      parts[i] = {blocks.back().meta};
    }
    uint64_t next_number = 100;
    for (int step = 0;; ++step) {
      REQUIRE(step < 100);
      const auto merged = plan(blocks, {.newest = 200});
      if (!merged) break;
      PlanBlock output = block(next_number++, 0, 0, merged->level, 500);
      output.meta.start_ms = merged->range.start_ms;
      output.meta.end_ms = merged->range.end_ms;
      output.meta.order = merged->inputs.back().order;
      for (const BlockMeta& meta : merged->inputs) {
        const auto found = std::find_if(blocks.begin(), blocks.end(), [&](const PlanBlock& one) {
          return one.meta.number == meta.number;
        });
        REQUIRE(found != blocks.end());
        CHECK(found->can_merge);
        blocks.erase(found);
      }
      for (const BlockMeta& meta : merged->inputs) {
        auto& of_output = parts[output.meta.number];
        of_output.insert(of_output.end(), parts[meta.number].begin(), parts[meta.number].end());
      }
      for (const PlanBlock& left : blocks) {
        for (const BlockMeta& a : parts[left.meta.number]) {
          for (const BlockMeta& b : parts[output.meta.number]) {
            if (a.start_ms >= b.end_ms || b.start_ms >= a.end_ms) continue;
            CHECK((a.order < b.order) == (left.meta.order < output.meta.order));
          }
        }
      }
      blocks.push_back(output);
    }
  }
}

}  // namespace tsdb
