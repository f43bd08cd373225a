// Deleting samples from the head, as if they had never come.

#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using core::Result;
using model::HistogramSample;
using model::TimeRange;
using storage::LogPosition;

namespace {

// Series changed per hold of the data lock: readers wait for that, appends for all of it.
constexpr size_t kSliceSize = 256;

template <typename Value>
size_t erase_in(std::map<int64_t, Value>& samples, TimeRange range) {
  const size_t size = samples.size();
  samples.erase(samples.lower_bound(range.start_ms), samples.lower_bound(range.end_ms));
  return size - samples.size();
}

}  // namespace

Result<void> Head::delete_samples(const storage::Log& log,
                                  std::span<const model::Matchers> selectors, TimeRange range,
                                  const std::function<Result<void>(LogPosition)>& publish) {
  const std::lock_guard write(write_mutex_);
  TRY(publish(log.high()));
  // What is sent again now may look like what a block has, where it is deleted.
  eviction_epoch_.reset();
  evicting_.clear();
  std::vector<SeriesRef> refs;
  {
    const std::lock_guard data(data_mutex_);
    for (const model::Matchers& matchers : selectors) {
      const std::vector<SeriesRef> found = find_series(index_, matchers);
      refs.insert(refs.end(), found.begin(), found.end());
    }
  }
  std::sort(refs.begin(), refs.end());
  refs.erase(std::unique(refs.begin(), refs.end()), refs.end());
  for (size_t at = 0; at < refs.size(); at += kSliceSize) {
    const std::lock_guard data(data_mutex_);
    for (size_t i = at; i < std::min(at + kSliceSize, refs.size()); ++i) {
      Series& series = series_.at(refs[i]);
      delete_floats(series, refs[i], range);
      if (series.extra == nullptr) continue;
      delete_histograms(series, range);
      delete_patches(*series.extra, range);
      if (series.extra->empty()) series.extra.reset();
    }
  }
  const std::lock_guard data(data_mutex_);
  if (unflushed_weight_ == 0) patch_positions_.clear();
  // Series without samples leave with what blocks hold.
  hidden_epoch_ = view_epochs_.close();
  free_retired();
  return {};
}

// Replaces the chunks of a chain that have samples in the range by shorter ones.
// `shorten` gives the chunk itself when nothing changes, null when nothing is left.
template <typename ShortenChunk>
void Head::shorten_chunks(Chunk*& newest, TimeRange range, const ShortenChunk& shorten) {
  Chunk** link = &newest;
  while (*link != nullptr && (*link)->max_time_ms >= range.start_ms) {
    Chunk* const chunk = *link;
    Chunk* rest = chunk;
    if (chunk->overlaps(range.start_ms, range.end_ms)) rest = shorten(*chunk);
    if (rest == chunk) {
      link = &chunk->prev;
      continue;
    }
    *link = chunk->prev;
    if (rest != nullptr) {
      rest->prev = chunk->prev;
      *link = rest;
      link = &rest->prev;
      ++chunk_count_;
    }
    retire(chunk);
  }
}

void Head::delete_floats(Series& series, SeriesRef ref, TimeRange range) {
  std::vector<int64_t>& times = work_.times_ms;
  std::vector<double>& values = work_.values;
  const auto keep_rest = [&] {
    size_t kept = 0;
    for (size_t i = 0; i < times.size(); ++i) {
      if (range.contains(times[i])) continue;
      times[kept] = times[i];
      values[kept++] = values[i];
    }
    const bool changed = kept != times.size();
    times.resize(kept);
    values.resize(kept);
    return changed;
  };
  shorten_chunks(series.chunks, range, [&](Chunk& chunk) -> Chunk* {
    times.clear();
    values.clear();
    ENSURE(encoding::decode_float_chunk(chunk.bytes(), times, values).has_value());
    if (!keep_rest()) return &chunk;
    if (times.empty()) return nullptr;
    work_.bytes.clear();
    encoding::append_float_chunk(work_.bytes, times, values);
    return Chunk::create(work_.bytes, times.front(), times.back(), times.size());
  });
  if (!series.open.empty() && series.open.max_time_ms() >= range.start_ms &&
      series.open.time_ms(0) < range.end_ms) {
    times.clear();
    values.clear();
    series.open.copy_to(times, values);
    if (keep_rest()) {
      series.open.clear();
      for (size_t i = 0; i < times.size(); ++i) series.open.add(times[i], values[i]);
    }
  }
  if (series.extra != nullptr) {
    late_weight_ -= erase_in(series.extra->late, range) * kFloatWeight;
  }
  if (!range.contains(series.last_time_ms)) return;

  // The newest one has gone: one that is sent again is no duplicate.
  series.last_time_ms = kNoTime;
  series.last_value = 0;
  if (!series.open.empty()) {
    series.last_time_ms = series.open.max_time_ms();
    series.last_value = series.open.value(series.open.size() - 1);
  } else if (series.chunks != nullptr) {
    times.clear();
    values.clear();
    ENSURE(encoding::decode_float_chunk(series.chunks->bytes(), times, values).has_value());
    series.last_time_ms = times.back();
    series.last_value = values.back();
  }
  if (series.extra == nullptr) return;
  // Late ones that are now the newest are not late: equal times are looked for among those.
  std::map<int64_t, double>& late = series.extra->late;
  for (auto at = late.upper_bound(series.last_time_ms); at != late.end();) {
    const model::Sample sample{at->first, at->second};
    at = late.erase(at);
    late_weight_ -= kFloatWeight;
    apply_float(series, ref, sample);
  }
}

void Head::delete_histograms(Series& series, TimeRange range) {
  SeriesExtra& extra = *series.extra;
  std::vector<HistogramSample>& open = extra.open_histograms;
  std::vector<HistogramSample> samples;
  const auto is_deleted = [&](const HistogramSample& one) {
    return range.contains(one.timestamp_ms);
  };
  shorten_chunks(extra.histogram_chunks, range, [&](Chunk& chunk) -> Chunk* {
    samples.clear();
    ENSURE(encoding::decode_histogram_chunk(chunk.bytes(), samples).has_value());
    if (std::erase_if(samples, is_deleted) == 0) return &chunk;
    if (samples.empty()) return nullptr;
    work_.bytes.clear();
    encoding::append_histogram_chunk(work_.bytes, samples);
    return Chunk::create(work_.bytes, samples.front().timestamp_ms, samples.back().timestamp_ms,
                         samples.size());
  });
  std::erase_if(open, is_deleted);
  late_weight_ -= erase_in(extra.late_histograms, range) * kHistogramWeight;
  if (!range.contains(extra.last_histogram_ms)) return;

  if (open.empty() && extra.histogram_chunks != nullptr) {  // the newest is never sealed
    Chunk* const chunk = std::exchange(extra.histogram_chunks, extra.histogram_chunks->prev);
    ENSURE(encoding::decode_histogram_chunk(chunk->bytes(), open).has_value());
    retire(chunk);
  }
  extra.last_histogram_ms = open.empty() ? kNoTime : open.back().timestamp_ms;
  auto& late = extra.late_histograms;
  for (auto at = late.upper_bound(extra.last_histogram_ms); at != late.end();) {
    const HistogramSample sample{at->first, std::move(at->second)};
    at = late.erase(at);
    late_weight_ -= kHistogramWeight;
    apply_histogram(series, sample);
  }
}

void Head::delete_patches(SeriesExtra& extra, TimeRange range) {
  const auto erase = [&](auto& patches, uint64_t weight) {
    auto at = patches.lower_bound(range.start_ms);
    while (at != patches.end() && at->first < range.end_ms) {
      patch_weight_ -= weight;
      if (at->second.flush > published_flush_) unflushed_weight_ -= weight;
      at = patches.erase(at);
    }
  };
  erase(extra.patches, kFloatWeight);
  erase(extra.histogram_patches, kHistogramWeight);
}

}  // namespace tsdb
