#include "storage/series_source.h"

namespace storage {

void SeriesBatch::clear() {
  labels.clear();
  groups.clear();
  sample_ends.clear();
  timestamps_ms.clear();
  values.clear();
  histogram_ends.clear();
  histograms.clear();
}

const model::Labels& SeriesSet::group_labels(uint32_t) const {
  static const model::Labels kNone;
  return kNone;
}

}  // namespace storage
