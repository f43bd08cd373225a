#include "core/result.h"
#include "ingest/histogram_decoder.h"
#include "ingest/remote_write_v2.h"

#include <cstdint>
#include <string>

namespace {

void decode(const std::string& message, ingest::StartTimes start_times,
            const ingest::Limits& limits) {
  storage::WriteBatch batch;
  storage::AppendSummary refused;
  const core::Result<void> result =
      ingest::decode_remote_write_v2(message, start_times, limits, batch, refused);
  if (!result) ENSURE(batch.empty());
  ENSURE(batch.samples.size() + batch.histograms.size() + batch.exemplars.size() +
             batch.metadata.size() <=
         limits.samples_max);
  size_t labels_size = 0;
  uint32_t samples_end = 0;
  uint32_t histograms_end = 0;
  uint32_t exemplars_end = 0;
  for (const storage::BatchSeries& series : batch.series) {
    // Every sample belongs to one series.
    ENSURE(series.samples_begin == samples_end);
    ENSURE(series.histograms_begin == histograms_end);
    ENSURE(series.exemplars_begin == exemplars_end);
    samples_end = series.samples_end;
    histograms_end = series.histograms_end;
    exemplars_end = series.exemplars_end;
    ENSURE(start_times == ingest::StartTimes::Kept || series.created_ms == 0);
    labels_size += series.labels.size();
    // Reads every byte and judges it as the sink will.
    static_cast<void>(model::canonical(model::LabelsView(series.labels)));
    // They must be labels to the last byte.
    size_t count = 0;
    const model::LabelsView labels(series.labels);
    for (auto at = labels.begin(); at != labels.end(); ++at) ++count;
    ENSURE(count <= limits.labels_max);
  }
  ENSURE(samples_end == batch.samples.size());
  ENSURE(histograms_end == batch.histograms.size());
  ENSURE(exemplars_end == batch.exemplars.size());
  for (const model::HistogramSample& sample : batch.histograms) {
    ENSURE(ingest::contradiction(sample.histogram).empty());
  }
  // One label set may stand for several series of the batch: those of one TimeSeries.
  ENSURE(start_times == ingest::StartTimes::Kept || labels_size <= limits.decoded_size_max);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  decode(message, ingest::StartTimes::Ignored, {});
  decode(message, ingest::StartTimes::Kept, {});
  ingest::Limits tight;
  tight.labels_max = 3;
  tight.metric_name_size_max = 8;
  tight.label_name_size_max = 8;
  tight.label_value_size_max = 8;
  tight.histogram_buckets_max = 2;
  tight.samples_max = 4;
  tight.symbols_max = 6;
  tight.decoded_size_max = 64;
  decode(message, ingest::StartTimes::Kept, tight);
  return 0;
}
