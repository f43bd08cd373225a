#include "core/result.h"
#include "ingest/remote_write.h"

#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  storage::WriteBatch batch;
  storage::AppendSummary refused;
  const core::Result<void> result = ingest::decode_remote_write(message, {}, batch, refused);
  if (!result) ENSURE(batch.empty());
  for (const storage::BatchSeries& series : batch.series) {
    ENSURE(series.samples_end <= batch.samples.size());
    ENSURE(series.histograms_end <= batch.histograms.size());
    ENSURE(series.exemplars_end <= batch.exemplars.size());
    // Reads every byte and judges it as the sink will.
    static_cast<void>(model::canonical(model::LabelsView(series.labels)));
  }
  return 0;
}
