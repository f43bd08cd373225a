// Which blocks of a tenant to merge next. Pure: the same blocks give the same plan.
//
//   2 h  2 h  2 h ... 2 h      written from the head
//   └────────┬──────────┘
//          24 h                once, when the day is complete
//          24 h + patches      again, when nothing late can come any more
//
// There is no level in between: 8 hours would write every sample once more to save some
// ten files. Late data writes small blocks that overlap others ("patches"); where too many
// lie over one moment they are merged early, among themselves as long as they are small
// beside the block below them.
//
// Of the same sample the block of lower order counts. A merge gives its output the highest
// order of its inputs, so a block that stays outside must not overlap an input and stand
// between that input and the highest one.

#pragma once

#include "model/time_range.h"
#include "tsdb/manifest.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace tsdb {

struct PlanOptions {
  int64_t block_range_ms = 0;
  int64_t block_range_max_ms = 0;  // outputs are not longer, unless an input is
  int64_t out_of_order_window_ms = 0;
  int64_t retention_ms = 0;  // 0: for ever
};

struct PlanBlock {
  BlockMeta meta;
  // False: damaged. It stays where it is and is read as far as it can be.
  bool can_merge = true;
};

struct PlanTimes {
  int64_t newest_ms = 0;  // the tenant's newest sample
  // What is older has left the head for blocks.
  int64_t flushed_before_ms = std::numeric_limits<int64_t>::max();
};

struct MergePlan {
  std::vector<BlockMeta> inputs;  // lowest order first
  model::TimeRange range;         // of the output
  uint32_t level = 0;
};

// Level of a block that covers all of a complete day (block_range_max_ms, aligned).
inline constexpr uint32_t kDayLevel = 3;
// Level of other merged blocks.
inline constexpr uint32_t kMergedLevel = 2;
// So many blocks over one moment are merged without waiting for the window to pass.
inline constexpr size_t kOverlapMax = 4;

// `blocks` are those of one tenant, in any order. Nothing when there is nothing to do.
std::optional<MergePlan> plan_merge(std::span<const PlanBlock> blocks, PlanTimes times,
                                    const PlanOptions& options);

}  // namespace tsdb
