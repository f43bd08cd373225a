// What producers hand to a SampleSink: the samples of one tenant, flat, so that a
// request of ten thousand series is a few large arrays.

#pragma once

#include "model/sample.h"
#include "model/tenant.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace storage {

// Where a sink notes how it finds a series again: a producer that writes the same labels
// over and over spares it the look-up. Zero: nothing noted.
struct SeriesNote {
  uint32_t ref = 0;
  uint32_t id_low = 0;
  uint32_t id_high = 0;

  uint64_t id() const { return (uint64_t{id_high} << 32) | id_low; }
};

// One series of a batch: ranges [begin, end) into the batch's arrays.
struct BatchSeries {
  // Label bytes (model/labels.h), not necessarily canonical: the sink canonicalises
  // what it has not seen before. Borrowed from the request or from the batch's arena.
  std::string_view labels;
  uint32_t samples_begin = 0;
  uint32_t samples_end = 0;
  uint32_t histograms_begin = 0;
  uint32_t histograms_end = 0;
  uint32_t exemplars_begin = 0;
  uint32_t exemplars_end = 0;
  // When the counter or histogram began to count (milliseconds), 0: not said. A sample of
  // zero is stored there if the series has nothing as new yet.
  int64_t created_ms = 0;
  // Null, or the note that belongs to these very label bytes and this sink. It is the
  // producer's memory; only one append at a time may have it.
  SeriesNote* note = nullptr;
};

// Reusable: clear() keeps the memory. Whoever fills it keeps the bytes behind
// `labels` alive until append() has returned, or puts them into keep().
struct WriteBatch {
  model::TenantId tenant{model::kDefaultTenant};
  // From outside: the tenant's write_relabel_configs apply.
  bool is_pushed = false;
  std::vector<BatchSeries> series;
  std::vector<model::Sample> samples;
  std::vector<model::HistogramSample> histograms;
  std::vector<model::Exemplar> exemplars;
  std::vector<model::Metadata> metadata;

  // A series with one float sample: what collectors, rules and tests write.
  void add(const model::Labels& labels, int64_t timestamp_ms, double value);
  // Starts a series; samples added by add_sample() belong to the newest one.
  void begin_series(std::string_view label_bytes, SeriesNote* note = nullptr);
  void add_sample(int64_t timestamp_ms, double value);
  void add_histogram(int64_t timestamp_ms, model::Histogram histogram);
  void add_exemplar(model::Exemplar exemplar);

  // Memory for bytes that the batch's series borrow; valid until clear().
  char* allocate(size_t size);
  std::string_view keep(std::string_view bytes);
  void clear();
  // What clear() keeps, without what the elements point to.
  size_t memory_size() const;
  bool empty() const { return series.empty() && metadata.empty(); }

  std::span<const model::Sample> samples_of(const BatchSeries& one) const {
    return std::span(samples).subspan(one.samples_begin, one.samples_end - one.samples_begin);
  }
  std::span<const model::HistogramSample> histograms_of(const BatchSeries& one) const {
    return std::span(histograms)
        .subspan(one.histograms_begin, one.histograms_end - one.histograms_begin);
  }
  std::span<const model::Exemplar> exemplars_of(const BatchSeries& one) const {
    return std::span(exemplars).subspan(one.exemplars_begin,
                                        one.exemplars_end - one.exemplars_begin);
  }

 private:
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0;       // the one being filled
  size_t block_used_ = 0;  // bytes of it
};

}  // namespace storage
