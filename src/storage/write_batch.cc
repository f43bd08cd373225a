#include "storage/write_batch.h"

#include <algorithm>

namespace storage {

namespace {

constexpr size_t kBlockMin = size_t{4} << 10;
constexpr size_t kBlockMax = size_t{1} << 20;

}  // namespace

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

char* WriteBatch::allocate(size_t size) {
  while (block_ < blocks_.size() && blocks_[block_].size - block_used_ < size) {
    ++block_;
    block_used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t grown = blocks_.empty() ? kBlockMin : std::min(blocks_.back().size * 2, kBlockMax);
    const size_t block_size = std::max(size, grown);
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(block_size), block_size});
  }
  char* const begin = blocks_[block_].bytes.get() + block_used_;
  block_used_ += size;
  return begin;
}

std::string_view WriteBatch::keep(std::string_view bytes) {
  char* const copy = allocate(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy);
  return {copy, bytes.size()};
}

size_t WriteBatch::memory_size() const {
  size_t size = series.capacity() * sizeof(BatchSeries) +
                samples.capacity() * sizeof(model::Sample) +
                histograms.capacity() * sizeof(model::HistogramSample) +
                exemplars.capacity() * sizeof(model::Exemplar) +
                metadata.capacity() * sizeof(model::Metadata);
  for (const Block& block : blocks_) size += block.size;
  return size;
}

void WriteBatch::clear() {
  series.clear();
  samples.clear();
  histograms.clear();
  exemplars.clear();
  metadata.clear();
  block_ = 0;
  block_used_ = 0;
}

}  // namespace storage
