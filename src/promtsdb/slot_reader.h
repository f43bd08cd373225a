// The series of one time range from several sources, merged: in the order of their labels,
// each once, its samples in rising time. Of the same time the first source's sample stays.

#pragma once

#include "core/result.h"
#include "model/time_range.h"
#include "promtsdb/source.h"
#include "storage/series_source.h"

#include <cstdint>
#include <string>
#include <vector>

namespace promtsdb {

// Confined to one thread. Borrows the sources.
class SlotReader {
 public:
  static core::Result<SlotReader> open(std::vector<Source*> sources, model::TimeRange range);

  // The distinct label pairs of the series, sorted; each as label bytes.
  std::vector<std::string> take_pair_bytes() { return std::move(pair_bytes_); }
  // The next series with a sample: the places of its pairs in those bytes, and its columns
  // (no labels, no ends). False at the end.
  core::Result<bool> next(std::vector<uint32_t>& pairs, storage::SeriesBatch& samples);
  // Left out because an earlier source had the same series and time.
  uint64_t repeated() const { return repeated_; }

 private:
  std::vector<Source*> sources_;
  std::vector<bool> has_series_;
  std::vector<std::string> pair_bytes_;
  uint64_t repeated_ = 0;
};

// Puts the columns of one series in rising time; of equal times the first stays. Gives how
// many were left out.
uint64_t sort_columns(storage::SeriesBatch& samples);

}  // namespace promtsdb
