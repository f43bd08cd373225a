#include "promtsdb/slot_reader.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace promtsdb {

using core::Result;
using storage::SeriesBatch;

namespace {

bool is_rising(const std::vector<int64_t>& times) {
  return std::adjacent_find(times.begin(), times.end(), std::greater_equal<>()) == times.end();
}

uint64_t sort_floats(SeriesBatch& samples) {
  if (is_rising(samples.timestamps_ms)) return 0;
  std::vector<uint32_t> order(samples.timestamps_ms.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](uint32_t i) { return samples.timestamps_ms[i]; });
  std::vector<int64_t> times;
  std::vector<double> values;
  for (const uint32_t i : order) {
    if (!times.empty() && times.back() == samples.timestamps_ms[i]) continue;
    times.push_back(samples.timestamps_ms[i]);
    values.push_back(samples.values[i]);
  }
  const uint64_t repeated = order.size() - times.size();
  samples.timestamps_ms = std::move(times);
  samples.values = std::move(values);
  return repeated;
}

}  // namespace

uint64_t sort_columns(SeriesBatch& samples) {
  uint64_t repeated = sort_floats(samples);
  auto& histograms = samples.histograms;
  if (histograms.empty()) return repeated;
  const size_t before = histograms.size();
  std::ranges::stable_sort(histograms, {}, &model::HistogramSample::timestamp_ms);
  const auto [gone, end] =
      std::ranges::unique(histograms, {}, &model::HistogramSample::timestamp_ms);
  histograms.erase(gone, end);
  // A time has a float or a histogram.
  std::erase_if(histograms, [&](const model::HistogramSample& one) {
    return std::ranges::binary_search(samples.timestamps_ms, one.timestamp_ms);
  });
  return repeated + before - histograms.size();
}

Result<SlotReader> SlotReader::open(std::vector<Source*> sources, model::TimeRange range) {
  SlotReader reader;
  struct Pair {
    UsedPair pair;
    size_t source = 0;
  };
  std::vector<Pair> pairs;
  std::vector<std::vector<uint32_t>> ranks(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    TRY(sources[i]->begin(range));
    for (const UsedPair& pair : sources[i]->used_pairs()) {
      if (pair.own >= ranks[i].size()) ranks[i].resize(pair.own + 1);
      pairs.push_back({pair, i});
    }
  }
  std::ranges::sort(pairs, [](const Pair& a, const Pair& b) {
    const int by_name = a.pair.name.compare(b.pair.name);
    return by_name != 0 ? by_name < 0 : a.pair.value < b.pair.value;
  });
  for (size_t i = 0; i < pairs.size(); ++i) {
    const UsedPair& pair = pairs[i].pair;
    if (i == 0 || pair.name != pairs[i - 1].pair.name || pair.value != pairs[i - 1].pair.value) {
      model::append_label(reader.pair_bytes_.emplace_back(), pair.name, pair.value);
    }
    ranks[pairs[i].source][pair.own] = static_cast<uint32_t>(reader.pair_bytes_.size() - 1);
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    sources[i]->set_ranks(std::move(ranks[i]));
    reader.has_series_.push_back(TRY(sources[i]->advance()));
  }
  reader.sources_ = std::move(sources);
  return reader;
}

Result<bool> SlotReader::next(std::vector<uint32_t>& pairs, SeriesBatch& samples) {
  for (;;) {
    samples.clear();
    const Source* first = nullptr;
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (!has_series_[i]) continue;
      if (first == nullptr ||
          std::ranges::lexicographical_compare(sources_[i]->pairs(), first->pairs())) {
        first = sources_[i];
      }
    }
    if (first == nullptr) return false;
    pairs.assign(first->pairs().begin(), first->pairs().end());
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (!has_series_[i] || !std::ranges::equal(sources_[i]->pairs(), pairs)) continue;
      TRY(sources_[i]->read(samples));
      has_series_[i] = TRY(sources_[i]->advance());
    }
    repeated_ += sort_columns(samples);
    if (!samples.timestamps_ms.empty() || !samples.histograms.empty()) return true;
  }
}

}  // namespace promtsdb
