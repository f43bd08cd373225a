// One place that series of a time range come from: a Prometheus block, or its head.

#pragma once

#include "core/result.h"
#include "model/matcher.h"
#include "model/time_range.h"
#include "promtsdb/damage.h"
#include "storage/series_source.h"

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace promtsdb {

// What to read.
struct Filter {
  std::vector<model::Matchers> selectors;  // series that match any; none: all series
  model::TimeRange range{std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};

  bool wants(model::LabelsView labels) const {
    if (selectors.empty()) return true;
    for (const model::Matchers& one : selectors) {
      if (model::matches_all(one, labels)) return true;
    }
    return false;
  }
};

// What has been read so far, for the progress.
struct ReadCounts {
  uint64_t bytes = 0;  // of chunks and logs, each counted once
  uint64_t samples = 0;
};

// A label pair that a source has in the range, by the source's own number.
struct UsedPair {
  std::string_view name;
  std::string_view value;
  uint32_t own = 0;
};

// Confined to one thread. Series come in the order of their labels, twice: begin() walks over
// them for their label pairs; after set_ranks() advance() gives one after the other.
class Source {
 public:
  virtual ~Source() = default;

  virtual core::Result<void> begin(model::TimeRange range) = 0;
  virtual std::vector<UsedPair> used_pairs() const = 0;
  // ranks[own] is the place of the pair in the order of all pairs of all sources.
  virtual void set_ranks(std::vector<uint32_t> ranks) = 0;
  // False at the end.
  virtual core::Result<bool> advance() = 0;
  // The current series: ranks of its pairs, rising.
  virtual std::span<const uint32_t> pairs() const = 0;
  // Appends its samples in the range to the columns; they need not be sorted.
  virtual core::Result<void> read(storage::SeriesBatch& batch) = 0;
};

}  // namespace promtsdb
