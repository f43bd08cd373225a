// What was deleted in a Prometheus block: intervals of its series, in a file of their own
// (prometheus/tsdb/docs/format/tombstones.md).

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace promtsdb {

// Both ends are deleted, as Prometheus writes them.
struct Interval {
  int64_t min_ms = 0;
  int64_t max_ms = 0;
};

// By the series' reference in the index.
using Tombstones = std::unordered_map<uint64_t, std::vector<Interval>>;

core::Result<Tombstones> parse_tombstones(std::string_view file);

inline bool is_deleted(const std::vector<Interval>& intervals, int64_t time_ms) {
  for (const Interval& one : intervals) {
    if (one.min_ms <= time_ms && time_ms <= one.max_ms) return true;
  }
  return false;
}

}  // namespace promtsdb
