// What a walk over the head counts (head_cardinality.cc).

#pragma once

#include "model/matcher.h"
#include "storage/cardinality.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tsdb {

// The lists of a walk, each the largest first and with at most as many as were asked for.
struct HeadCounts {
  storage::HeadTotals totals;
  std::vector<storage::NamedCount> metrics;  // series
  std::vector<storage::NamedCount> labels;   // values
  std::vector<storage::NamedCount> label_bytes;
  std::vector<storage::NamedCount> pairs;    // series
  std::vector<storage::NamedCount> targets;  // series; by storage::target_name()
  uint64_t slices = 0;                       // of the walk, for its tests
};

struct CountOptions {
  size_t top = 10;
  bool with_targets = false;  // looks at every posting of the label `instance`
};

// Which series are looked at.
struct SeriesScope {
  std::optional<model::Matchers> matchers;  // nothing: all
  int64_t active_from_ms = INT64_MIN;       // the newest sample is not older

  bool is_all() const { return !matchers && active_from_ms == INT64_MIN; }
};

}  // namespace tsdb
