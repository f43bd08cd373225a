// What Engine::import_block() takes: series from outside with all their samples of a range.

#pragma once

#include "core/result.h"
#include "storage/series_source.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tsdb {

// Confined to one thread.
class ImportSeries {
 public:
  virtual ~ImportSeries() = default;
  // The distinct label pairs of the series, sorted by name and value, each as label bytes.
  // Asked once, first.
  virtual std::vector<std::string> take_pair_bytes() = 0;
  // The next series, in the order of labels: its pairs as indexes into those, rising, and its
  // columns, in rising time and within the range. False at the end.
  virtual core::Result<bool> next(std::vector<uint32_t>& pairs, storage::SeriesBatch& samples) = 0;
};

struct ImportedBlock {
  uint64_t number = 0;  // 0: there was nothing new, so there is no block
  uint64_t series = 0;
  uint64_t samples = 0;  // floats and histograms
  uint64_t histograms = 0;
  uint64_t size_bytes = 0;
  // Samples left out because the same series had one at that time: the same, or another.
  uint64_t same = 0;
  uint64_t conflicting = 0;
};

}  // namespace tsdb
