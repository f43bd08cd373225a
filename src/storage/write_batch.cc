#include "storage/write_batch.h"

#include "core/result.h"

namespace storage {

void WriteBatch::begin_series(std::string_view label_bytes, SeriesNote* note) {
  const auto samples_end = static_cast<uint32_t>(samples.size());
  const auto histograms_end = static_cast<uint32_t>(histograms.size());
  const auto exemplars_end = static_cast<uint32_t>(exemplars.size());
  series.push_back({.labels = label_bytes,
                    .samples_begin = samples_end,
                    .samples_end = samples_end,
                    .histograms_begin = histograms_end,
                    .histograms_end = histograms_end,
                    .exemplars_begin = exemplars_end,
                    .exemplars_end = exemplars_end,
                    .note = note});
}

void WriteBatch::add_sample(int64_t timestamp_ms, double value) {
  samples.push_back({timestamp_ms, value});
  series.back().samples_end = static_cast<uint32_t>(samples.size());
}

void WriteBatch::add_histogram(int64_t timestamp_ms, model::Histogram histogram) {
  histograms.push_back({timestamp_ms, std::move(histogram)});
  series.back().histograms_end = static_cast<uint32_t>(histograms.size());
}

void WriteBatch::add_exemplar(model::Exemplar exemplar) {
  exemplars.push_back(std::move(exemplar));
  series.back().exemplars_end = static_cast<uint32_t>(exemplars.size());
}

void WriteBatch::add(const model::Labels& labels, int64_t timestamp_ms, double value) {
  begin_series(keep(labels.bytes()));
  add_sample(timestamp_ms, value);
}

std::string_view WriteBatch::keep(std::string_view bytes) {
  return arena_.emplace_back(bytes);
}

void WriteBatch::clear() {
  series.clear();
  samples.clear();
  histograms.clear();
  exemplars.clear();
  metadata.clear();
  arena_.clear();
}

}  // namespace storage
