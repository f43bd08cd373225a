// The samples of several scrapes on their way to the sink, and what keeps their labels.

#pragma once

#include "storage/write_batch.h"

#include <memory>
#include <vector>

namespace scrape {

struct ScrapeBatch {
  storage::WriteBatch batch;
  // Own what the batch borrows.
  std::vector<std::shared_ptr<const void>> owners;

  size_t size() const { return batch.samples.size() + batch.histograms.size(); }
  void clear() {
    batch.clear();
    owners.clear();
  }
};

// Where a scrape began in a batch: what is cut off again when it fails.
struct BatchMark {
  size_t series = 0;
  size_t samples = 0;
  size_t histograms = 0;
  size_t exemplars = 0;

  static BatchMark of(const storage::WriteBatch& batch) {
    return {batch.series.size(), batch.samples.size(), batch.histograms.size(),
            batch.exemplars.size()};
  }
  void roll_back(storage::WriteBatch& batch) const {
    batch.series.resize(series);
    batch.samples.resize(samples);
    batch.histograms.resize(histograms);
    batch.exemplars.resize(exemplars);
  }
};

}  // namespace scrape
