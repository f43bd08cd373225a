#include "core/result.h"
#include "ingest/histogram_decoder.h"
#include "ingest/remote_write.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace {

void decode(const std::string& message, const ingest::Limits& limits) {
  storage::WriteBatch batch;
  storage::AppendSummary refused;
  const core::Result<void> result = ingest::decode_remote_write(message, limits, batch, refused);
  if (!result) ENSURE(batch.empty());
  ENSURE(batch.samples.size() + batch.histograms.size() <= limits.samples_max);
  for (const storage::BatchSeries& series : batch.series) {
    ENSURE(series.samples_end <= batch.samples.size());
    ENSURE(series.histograms_end <= batch.histograms.size());
    ENSURE(series.exemplars_end <= batch.exemplars.size());
    // Reads every byte and judges it as the sink will.
    static_cast<void>(model::canonical(model::LabelsView(series.labels)));
  }
  for (const model::HistogramSample& sample : batch.histograms) {
    ENSURE(ingest::contradiction(sample.histogram).empty());
    ENSURE(sample.histogram.positive_counts.size() + sample.histogram.negative_counts.size() <=
           limits.histogram_buckets_max);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  decode(message, {});
  ingest::Limits tight;
  tight.histogram_buckets_max = 2;
  tight.samples_max = 4;
  decode(message, tight);
  return 0;
}
