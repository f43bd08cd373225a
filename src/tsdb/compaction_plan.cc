#include "tsdb/compaction_plan.h"

#include <algorithm>

namespace tsdb {

using model::TimeRange;

namespace {

// A merge of patches takes the block below them too when that is not larger than so many
// times the patches: every sample is then written anew a bounded number of times.
constexpr uint64_t kPatchFactor = 4;

int64_t align_down(int64_t time_ms, int64_t step_ms) {
  const int64_t rest = ((time_ms % step_ms) + step_ms) % step_ms;
  return time_ms - rest;
}

int64_t align_up(int64_t time_ms, int64_t step_ms) {
  const int64_t down = align_down(time_ms, step_ms);
  return down == time_ms ? down : down + step_ms;
}

TimeRange range_of(const PlanBlock& block) {
  return {block.meta.start_ms, block.meta.end_ms};
}

using Group = std::vector<const PlanBlock*>;

TimeRange hull_of(const Group& group) {
  TimeRange hull = range_of(*group.front());
  for (const PlanBlock* one : group) {
    hull.start_ms = std::min(hull.start_ms, one->meta.start_ms);
    hull.end_ms = std::max(hull.end_ms, one->meta.end_ms);
  }
  return hull;
}

// The most blocks of the group over one moment.
size_t depth_of(const Group& group) {
  size_t most = 0;
  for (const PlanBlock* at : group) {
    size_t here = 0;
    for (const PlanBlock* other : group) {
      here += range_of(*other).contains(at->meta.start_ms) ? 1 : 0;
    }
    most = std::max(most, here);
  }
  return most;
}

class Planner {
 public:
  Planner(std::span<const PlanBlock> blocks, PlanTimes times, const PlanOptions& options)
      : times_(times), options_(options) {
    for (const PlanBlock& block : blocks) {
      sorted_.push_back(&block);
      if (newest_block_ms_ < block.meta.max_time_ms) newest_block_ms_ = block.meta.max_time_ms;
    }
    std::sort(sorted_.begin(), sorted_.end(), [](const PlanBlock* a, const PlanBlock* b) {
      return std::pair(a->meta.start_ms, a->meta.number) <
             std::pair(b->meta.start_ms, b->meta.number);
    });
  }

  std::optional<MergePlan> next() const {
    const std::vector<Group> overlapping = overlapping_groups();
    // Deep overlaps slow down reads: first.
    for (const Group& group : overlapping) {
      if (depth_of(group) < kOverlapMax) continue;
      if (auto plan = plan_deep(group)) return plan;
    }
    // A chain of overlaps over several days is too long to be merged as a whole.
    for (const Group& day : day_groups()) {
      if (depth_of(day) < kOverlapMax) continue;
      if (auto plan = plan_deep(day)) return plan;
    }
    for (const Group& day : day_groups()) {
      if (auto plan = plan_day(day)) return plan;
    }
    for (const Group& group : overlapping) {
      if (group.size() < 2 || !is_settled(hull_of(group).end_ms)) continue;
      if (is_inside_one_day(group) && has_whole_day(group)) continue;  // plan_day()'s
      if (auto plan = merge(group, kMergedLevel)) return plan;
    }
    return std::nullopt;
  }

 private:
  int64_t half_range() const { return options_.block_range_ms / 2; }
  bool is_flushed(int64_t end_ms) const { return times_.flushed_before_ms >= end_ms; }
  // All of it is in blocks, and what comes now belongs to later times, mostly.
  bool is_complete(int64_t end_ms) const {
    return is_flushed(end_ms) && times_.newest_ms - half_range() >= end_ms;
  }
  // Nothing late can come any more.
  bool is_settled(int64_t end_ms) const {
    const int64_t wait_ms = std::max(half_range(), options_.out_of_order_window_ms);
    return is_flushed(end_ms) && times_.newest_ms - wait_ms >= end_ms;
  }
  TimeRange day_of(int64_t time_ms) const {
    const int64_t start_ms = align_down(time_ms, options_.block_range_max_ms);
    return {start_ms, start_ms + options_.block_range_max_ms};
  }
  bool is_inside_one_day(const Group& group) const {
    const TimeRange hull = hull_of(group);
    return hull.end_ms <= day_of(hull.start_ms).end_ms;
  }
  static bool has_whole_day(const Group& group) {
    return std::any_of(group.begin(), group.end(),
                       [](const PlanBlock* one) { return one->meta.level >= kDayLevel; });
  }

  // Blocks that are connected by overlaps, oldest first.
  std::vector<Group> overlapping_groups() const {
    std::vector<Group> groups;
    int64_t end_ms = 0;
    for (const PlanBlock* block : sorted_) {
      if (groups.empty() || block->meta.start_ms >= end_ms) {
        groups.emplace_back();
        end_ms = block->meta.end_ms;
      }
      groups.back().push_back(block);
      end_ms = std::max(end_ms, block->meta.end_ms);
    }
    return groups;
  }

  // Blocks that lie in the same day, oldest day first. Those over a border are left out.
  std::vector<Group> day_groups() const {
    std::vector<Group> groups;
    for (const PlanBlock* block : sorted_) {
      const TimeRange day = day_of(block->meta.start_ms);
      if (block->meta.end_ms > day.end_ms) continue;
      if (groups.empty() || day_of(groups.back().front()->meta.start_ms) != day) {
        groups.emplace_back();
      }
      groups.back().push_back(block);
    }
    return groups;
  }

  std::optional<MergePlan> plan_day(const Group& group) const {
    const int64_t end_ms = day_of(group.front()->meta.start_ms).end_ms;
    const bool again = has_whole_day(group);
    if (again ? !is_settled(end_ms) : !is_complete(end_ms)) return std::nullopt;
    return merge(group, kDayLevel);
  }

  std::optional<MergePlan> plan_deep(const Group& group) const {
    // The large block below small ones is left alone while they are small.
    const PlanBlock* largest =
        *std::max_element(group.begin(), group.end(), [](const PlanBlock* a, const PlanBlock* b) {
          return a->meta.size_bytes < b->meta.size_bytes;
        });
    Group others;
    uint64_t others_bytes = 0;
    for (const PlanBlock* one : group) {
      if (one == largest) continue;
      others.push_back(one);
      others_bytes += one->meta.size_bytes;
    }
    if (largest->meta.size_bytes / kPatchFactor > others_bytes) {
      if (auto plan = merge(others, kMergedLevel)) return plan;
    }
    const bool day = is_inside_one_day(group) && has_whole_day(group);
    return merge(group, day ? kDayLevel : kMergedLevel);
  }

  // The merge of those blocks of the group that can be merged, if it is allowed.
  std::optional<MergePlan> merge(const Group& group, uint32_t level) const {
    Group inputs;
    for (const PlanBlock* one : group) {
      if (one->can_merge) inputs.push_back(one);
    }
    if (inputs.size() < 2) return std::nullopt;
    const TimeRange hull = hull_of(inputs);
    const TimeRange range{align_down(hull.start_ms, options_.block_range_ms),
                          align_up(hull.end_ms, options_.block_range_ms)};
    int64_t size_max_ms = options_.block_range_max_ms;
    for (const PlanBlock* one : inputs) {
      size_max_ms = std::max(size_max_ms, one->meta.end_ms - one->meta.start_ms);
    }
    if (range.end_ms - range.start_ms > size_max_ms) return std::nullopt;
    if (options_.retention_ms != 0 && range.end_ms <= newest_block_ms_ - options_.retention_ms) {
      return std::nullopt;  // about to be deleted
    }
    std::sort(inputs.begin(), inputs.end(), [](const PlanBlock* a, const PlanBlock* b) {
      return std::pair(a->meta.order, a->meta.number) < std::pair(b->meta.order, b->meta.number);
    });
    if (stands_between(inputs)) return std::nullopt;
    MergePlan plan{.inputs = {}, .range = range, .level = level};
    for (const PlanBlock* one : inputs) {
      plan.inputs.push_back(one->meta);
      plan.level = std::max(plan.level, one->meta.level);
    }
    return plan;
  }

  // Whether a block outside overlaps an input and would change sides with it.
  bool stands_between(const Group& inputs) const {
    const uint64_t output_order = inputs.back()->meta.order;
    const auto is_input = [&](const PlanBlock* one) {
      return std::find(inputs.begin(), inputs.end(), one) != inputs.end();
    };
    return std::any_of(sorted_.begin(), sorted_.end(), [&](const PlanBlock* one) {
      const uint64_t order = one->meta.order;
      return !is_input(one) &&
             std::any_of(inputs.begin(), inputs.end(), [&](const PlanBlock* input) {
               return range_of(*one).overlaps(range_of(*input)) &&
                      (input->meta.order < order) != (output_order < order);
             });
    });
  }

  const PlanTimes times_;
  const PlanOptions& options_;
  std::vector<const PlanBlock*> sorted_;  // by start
  int64_t newest_block_ms_ = std::numeric_limits<int64_t>::min();
};

}  // namespace

std::optional<MergePlan> plan_merge(std::span<const PlanBlock> blocks, PlanTimes times,
                                    const PlanOptions& options) {
  return Planner(blocks, times, options).next();
}

}  // namespace tsdb
