#include "storage/log.h"

namespace storage {

void LogBatch::clear() {
  tenant = {};
  accepted_at_ms = 0;
  series.clear();
  samples.clear();
  histograms.clear();
  exemplars.clear();
  metadata.clear();
}

}  // namespace storage
