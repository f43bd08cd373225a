#include "storage/series_source.h"

namespace storage {

void SeriesBatch::clear() {
  labels.clear();
  sample_ends.clear();
  timestamps_ms.clear();
  values.clear();
  histogram_ends.clear();
  histograms.clear();
}

}  // namespace storage
