// What readers take from the head: pointers under the lock, decoding outside of it.

#include "encoding/kernels.h"
#include "tsdb/head.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace tsdb {

using model::HistogramSample;
using model::TimeRange;

namespace {

// Series whose samples are brought into the caches together.
constexpr size_t kPrefetchSlice = 64;

// Chunks of a series from the newest one on, put in order of time. They do not overlap, so
// that nothing older is looked at than the chunk in which the range begins.
void collect(const Chunk* newest, TimeRange range, std::vector<const Chunk*>& out) {
  const auto begin = static_cast<ptrdiff_t>(out.size());
  for (const Chunk* chunk = newest; chunk != nullptr && chunk->max_time_ms >= range.start_ms;
       chunk = chunk->prev) {
    if (chunk->min_time_ms < range.end_ms) out.push_back(chunk);
    if (chunk->min_time_ms <= range.start_ms) break;
  }
  std::reverse(out.begin() + begin, out.end());
}

void prefetch_bytes(const void* begin, size_t size) {
  constexpr size_t kCacheLine = 64;
  for (size_t at = 0; at < size; at += kCacheLine) {
    __builtin_prefetch(static_cast<const char*>(begin) + at);
  }
  __builtin_prefetch(static_cast<const char*>(begin) + size - 1);
}

// Brings the chunks that collect() finds into the caches, those of all series at once: series
// by series, each chunk of each chain would be waited for.
void prefetch_chunks(std::span<const Chunk*> chains, TimeRange range) {
  while (!chains.empty()) {
    size_t left = 0;
    for (const Chunk* const chunk : chains) {
      if (chunk->max_time_ms < range.start_ms) continue;
      if (chunk->min_time_ms < range.end_ms) prefetch_bytes(chunk + 1, chunk->size);
      if (chunk->min_time_ms <= range.start_ms || chunk->prev == nullptr) continue;
      __builtin_prefetch(chunk->prev);
      chains[left++] = chunk->prev;
    }
    chains = chains.first(left);
  }
}

// Of the newest float only; false when it is not known without looking at chunks.
bool capture_newest(const Series& series, TimeRange range, HeadCapture& out) {
  int64_t time_ms = series.last_time_ms;
  double value = series.last_value;
  if (time_ms >= range.end_ms) {
    size_t count = series.open.size();
    while (count > 0 && series.open.time_ms(count - 1) >= range.end_ms) --count;
    if (count == 0) return false;
    time_ms = series.open.time_ms(count - 1);
    value = series.open.value(count - 1);
  }
  if (time_ms >= range.start_ms) {
    out.open_times_ms.push_back(time_ms);
    out.open_values.push_back(value);
  }
  return true;
}

bool may_have_samples(const Series& series, TimeRange range) {
  if (range.contains(series.last_time_ms)) return true;
  if (series.last_time_ms < range.start_ms) return series.extra != nullptr;
  if (!series.open.empty() && series.open.time_ms(0) < range.end_ms &&
      series.open.max_time_ms() >= range.start_ms) {
    return true;
  }
  for (const Chunk* chunk = series.chunks; chunk != nullptr; chunk = chunk->prev) {
    if (chunk->overlaps(range.start_ms, range.end_ms)) return true;
    if (chunk->max_time_ms < range.start_ms) break;
  }
  return series.extra != nullptr;  // rare: looked at when read
}

template <typename Value, typename Visit>
void for_patches(const std::map<int64_t, Patch<Value>>& patches, TimeRange range,
                 uint32_t flush_min, uint32_t flush_max, const Visit& visit) {
  for (auto at = patches.lower_bound(range.start_ms);
       at != patches.end() && at->first < range.end_ms; ++at) {
    if (at->second.flush >= flush_min && at->second.flush <= flush_max) {
      visit(at->first, at->second.value);
    }
  }
}

}  // namespace

void HeadCapture::clear() {
  ends.clear();
  groups.clear();
  label_bytes.clear();
  chunks.clear();
  open_times_ms.clear();
  open_values.clear();
  late.clear();
  histogram_chunks.clear();
  histograms.clear();
  patches.clear();
  histogram_patches.clear();
  pin = {};
}

std::string_view HeadCapture::labels_of(size_t i) const {
  const uint32_t begin = begin_of(i).labels;
  return std::string_view(label_bytes).substr(begin, ends[i].labels - begin);
}

void clip_samples(std::vector<int64_t>& times_ms, std::vector<double>& values, size_t begin,
                  TimeRange range) {
  const auto first = times_ms.begin() + static_cast<ptrdiff_t>(begin);
  if (first == times_ms.end()) return;
  if (times_ms.back() >= range.end_ms) {
    const auto end = std::lower_bound(first, times_ms.end(), range.end_ms);
    times_ms.erase(end, times_ms.end());
    values.resize(times_ms.size());
  }
  const auto again = times_ms.begin() + static_cast<ptrdiff_t>(begin);
  if (again == times_ms.end() || *again >= range.start_ms) return;
  const auto start = std::lower_bound(again, times_ms.end(), range.start_ms);
  const ptrdiff_t gone = start - again;
  times_ms.erase(again, start);
  const auto first_value = values.begin() + static_cast<ptrdiff_t>(begin);
  values.erase(first_value, first_value + gone);
}

void sort_samples(std::vector<int64_t>& times_ms, std::vector<double>& values, size_t begin) {
  const size_t size = times_ms.size();
  if (encoding::kernels().is_rising(times_ms.data() + begin, size - begin)) return;
  std::vector<model::Sample> samples(size - begin);
  for (size_t i = begin; i < size; ++i) samples[i - begin] = {times_ms[i], values[i]};
  std::stable_sort(samples.begin(), samples.end(),
                   [](const model::Sample& a, const model::Sample& b) {
                     return a.timestamp_ms < b.timestamp_ms;
                   });
  size_t at = begin;
  for (const model::Sample& sample : samples) {
    if (at > begin && times_ms[at - 1] == sample.timestamp_ms) continue;
    times_ms[at] = sample.timestamp_ms;
    values[at++] = sample.value;
  }
  times_ms.resize(at);
  values.resize(at);
}

void sort_histograms(std::vector<HistogramSample>& histograms, size_t begin) {
  const auto first = histograms.begin() + static_cast<ptrdiff_t>(begin);
  const auto earlier = [](const HistogramSample& a, const HistogramSample& b) {
    return a.timestamp_ms < b.timestamp_ms;
  };
  if (!std::is_sorted(first, histograms.end(), earlier)) {
    std::stable_sort(first, histograms.end(), earlier);
  }
  histograms.erase(std::unique(first, histograms.end(),
                               [](const HistogramSample& a, const HistogramSample& b) {
                                 return a.timestamp_ms == b.timestamp_ms;
                               }),
                   histograms.end());
}

void append_samples(const HeadCapture& capture, size_t i, TimeRange range,
                    storage::SeriesBatch& batch) {
  const HeadCapture::Ends begin = capture.begin_of(i);
  const HeadCapture::Ends end = capture.ends[i];
  std::vector<int64_t>& times = batch.timestamps_ms;
  std::vector<double>& values = batch.values;
  for (uint32_t at = begin.chunks; at < end.chunks; ++at) {
    const Chunk& chunk = *capture.chunks[at];
    const bool is_whole = chunk.min_time_ms >= range.start_ms && chunk.max_time_ms < range.end_ms;
    ENSURE((is_whole ? encoding::decode_float_chunk(chunk.bytes(), times, values)
                     : encoding::decode_float_chunk(chunk.bytes(), range.start_ms, range.end_ms,
                                                    times, values))
               .has_value());
  }
  const size_t before = times.size();
  const auto slice = [](const auto& column, uint32_t from, uint32_t to) {
    return std::pair(column.begin() + from, column.begin() + to);
  };
  const auto [open_times, open_times_end] = slice(capture.open_times_ms, begin.open, end.open);
  const auto [open_values, open_values_end] = slice(capture.open_values, begin.open, end.open);
  times.insert(times.end(), open_times, open_times_end);
  values.insert(values.end(), open_values, open_values_end);
  clip_samples(times, values, before, range);
  for (uint32_t at = begin.late; at < end.late; ++at) {
    if (!range.contains(capture.late[at].timestamp_ms)) continue;
    times.push_back(capture.late[at].timestamp_ms);
    values.push_back(capture.late[at].value);
  }
  for (uint32_t at = begin.patches; at < end.patches; ++at) {
    times.push_back(capture.patches[at].timestamp_ms);
    values.push_back(capture.patches[at].value);
  }

  const size_t histograms_before = batch.histograms.size();
  for (uint32_t at = begin.histogram_chunks; at < end.histogram_chunks; ++at) {
    ENSURE(encoding::decode_histogram_chunk(capture.histogram_chunks[at]->bytes(), batch.histograms)
               .has_value());
  }
  const auto [histograms, histograms_end] =
      slice(capture.histograms, begin.histograms, end.histograms);
  batch.histograms.insert(batch.histograms.end(), histograms, histograms_end);
  const auto first = batch.histograms.begin() + static_cast<ptrdiff_t>(histograms_before);
  batch.histograms.erase(
      std::remove_if(first, batch.histograms.end(),
                     [&](const HistogramSample& one) { return !range.contains(one.timestamp_ms); }),
      batch.histograms.end());
  const auto [patches, patches_end] =
      slice(capture.histogram_patches, begin.histogram_patches, end.histogram_patches);
  batch.histograms.insert(batch.histograms.end(), patches, patches_end);
}

std::vector<SeriesRef> Head::find(const model::Matchers& matchers, TimeRange range) const {
  const std::lock_guard data(data_mutex_);
  std::vector<SeriesRef> refs = find_series(index_, matchers);
  size_t kept = 0;
  for (size_t i = 0; i < refs.size(); ++i) {
    if (i + kPrefetchAhead < refs.size()) series_.prefetch_any(refs[i + kPrefetchAhead]);
    const SeriesRef ref = refs[i];
    if (may_have_samples(series_.at(ref), range)) refs[kept++] = ref;
  }
  refs.resize(kept);
  return refs;
}

void Head::capture(std::span<const SeriesRef> refs, HeadRange range, CaptureHow how,
                   HeadCapture& out) const {
  capture(refs, range, how, 0, UINT32_MAX, out);
}

void Head::prefetch(std::span<const SeriesRef> refs, TimeRange range, CaptureHow how) const {
  for (const SeriesRef ref : refs) series_.prefetch_any(ref);
  std::array<const Chunk*, kPrefetchSlice> chains;
  size_t count = 0;
  for (const SeriesRef ref : refs) {
    const Series* series = series_.find(ref);
    if (series == nullptr) continue;
    if (!series->pair_ids().empty()) __builtin_prefetch(series->pair_ids().data());
    if (how.newest_only && series->last_time_ms < range.end_ms) continue;
    series->open.prefetch_all();
    if (series->chunks == nullptr) continue;
    __builtin_prefetch(series->chunks);
    chains[count++] = series->chunks;
  }
  if (!how.newest_only) prefetch_chunks(std::span(chains).first(count), range);
}

void Head::capture(std::span<const SeriesRef> refs, HeadRange wanted, CaptureHow how,
                   uint32_t flush_min, uint32_t flush_max, HeadCapture& out) const {
  const TimeRange range = wanted.samples;
  out.clear();
  out.pin = ReaderEpochs::Pin(chunk_epochs_);
  const std::lock_guard data(data_mutex_);
  for (size_t i = 0; i < refs.size(); ++i) {
    if (i % kPrefetchSlice == 0) {
      prefetch(refs.subspan(i, std::min(kPrefetchSlice, refs.size() - i)), range, how);
    }
    const Series* found = series_.find(refs[i]);
    if (found == nullptr) {
      out.ends.push_back(out.ends.empty() ? HeadCapture::Ends{} : out.ends.back());
      if (how.groups != nullptr) out.groups.push_back(SeriesGroups::kNone);
      continue;
    }
    const Series& series = *found;
    if (how.groups != nullptr) {
      out.groups.push_back(how.groups->group_of(index_, series.pair_ids()));
    } else {
      for (const PairId pair : series.pair_ids()) out.label_bytes.append(index_.pair_bytes(pair));
    }
    if (!how.newest_only || !capture_newest(series, range, out)) {
      collect(series.chunks, range, out.chunks);
      if (!series.open.empty() && series.open.time_ms(0) < range.end_ms &&
          series.open.max_time_ms() >= range.start_ms) {
        series.open.copy_to(out.open_times_ms, out.open_values);
      }
    }
    if (series.extra != nullptr) {
      const SeriesExtra& extra = *series.extra;
      for (auto at = extra.late.lower_bound(range.start_ms);
           at != extra.late.end() && at->first < range.end_ms; ++at) {
        out.late.push_back({at->first, at->second});
      }
      collect(extra.histogram_chunks, range, out.histogram_chunks);
      out.histograms.insert(out.histograms.end(), extra.open_histograms.begin(),
                            extra.open_histograms.end());
      for (auto at = extra.late_histograms.lower_bound(range.start_ms);
           at != extra.late_histograms.end() && at->first < range.end_ms; ++at) {
        out.histograms.push_back({at->first, at->second});
      }
    }
    if (series.extra != nullptr && series.extra->has_patches()) {
      for_patches(series.extra->patches, wanted.patches, flush_min, flush_max,
                  [&](int64_t time, double value) { out.patches.push_back({time, value}); });
      for_patches(series.extra->histogram_patches, wanted.patches, flush_min, flush_max,
                  [&](int64_t time, const model::Histogram& value) {
                    out.histogram_patches.push_back({time, value});
                  });
    }
    out.ends.push_back({.labels = static_cast<uint32_t>(out.label_bytes.size()),
                        .chunks = static_cast<uint32_t>(out.chunks.size()),
                        .open = static_cast<uint32_t>(out.open_times_ms.size()),
                        .late = static_cast<uint32_t>(out.late.size()),
                        .patches = static_cast<uint32_t>(out.patches.size()),
                        .histogram_chunks = static_cast<uint32_t>(out.histogram_chunks.size()),
                        .histograms = static_cast<uint32_t>(out.histograms.size()),
                        .histogram_patches = static_cast<uint32_t>(out.histogram_patches.size())});
  }
}

std::vector<Identity> Head::identities(std::span<const SeriesRef> refs) const {
  std::vector<Identity> result;
  result.reserve(refs.size());
  const std::lock_guard data(data_mutex_);
  for (const SeriesRef ref : refs) {
    const Series* series = series_.find(ref);
    result.push_back(series == nullptr ? Identity{} : series->identity);
  }
  return result;
}

std::vector<std::string> Head::label_sets(std::span<const SeriesRef> refs) const {
  std::vector<std::string> result;
  result.reserve(refs.size());
  const std::lock_guard data(data_mutex_);
  for (const SeriesRef ref : refs) {
    if (const Series* series = series_.find(ref)) result.push_back(labels_of(*series));
  }
  return result;
}

uint64_t Head::chunk_count() const {
  const std::lock_guard data(data_mutex_);
  return chunk_count_;
}

void Head::for_each_label(std::span<const SeriesRef> refs,
                          const std::function<void(const LabelIndex&, PairId)>& visit) const {
  const std::lock_guard data(data_mutex_);
  visit_pairs_of(refs, visit);
}

void Head::visit_pairs_of(std::span<const SeriesRef> refs,
                          const std::function<void(const LabelIndex&, PairId)>& visit) const {
  if (refs.empty()) return;
  std::vector<bool> seen(index_.pair_slots());
  for (const SeriesRef ref : refs) {
    const Series* series = series_.find(ref);
    if (series == nullptr) continue;
    for (const PairId pair : series->pair_ids()) {
      if (seen[pair]) continue;
      seen[pair] = true;
      visit(index_, pair);
    }
  }
}

void Head::append_label_values(std::string_view name, const model::Matchers& matchers,
                               HeadRange range, std::vector<std::string>& values) const {
  const std::lock_guard data(data_mutex_);
  const bool all = may_overlap(range.samples);
  std::vector<SeriesRef> refs = all ? std::vector<SeriesRef>{} : patched_series(range.patches);
  if (!all && refs.empty()) return;
  if (!matchers.empty()) {
    std::vector<SeriesRef> matching = find_series(index_, matchers);
    if (!all) {
      std::erase_if(matching, [&](SeriesRef ref) {
        return !std::binary_search(refs.begin(), refs.end(), ref);
      });
    }
    refs = std::move(matching);
  }
  index_.for_each_value_in_order(name, [&](std::string_view value, Postings postings) {
    if ((all && matchers.empty()) || intersects(postings, refs)) values.emplace_back(value);
  });
}

bool Head::may_overlap(TimeRange range) const {
  return !range_positions_.empty() && newest_ms_ >= range.start_ms &&
         range_positions_.begin()->first < range.end_ms;
}

void Head::for_each_pair(HeadRange range,
                         const std::function<void(const LabelIndex&, PairId)>& visit) const {
  const std::lock_guard data(data_mutex_);
  if (!may_overlap(range.samples)) return visit_pairs_of(patched_series(range.patches), visit);
  for (const LabelIndex::Name& name : index_.names()) {
    for (const PairId pair : name.pairs) visit(index_, pair);
  }
}

std::vector<model::Metadata> Head::metadata(const std::string& metric) const {
  std::vector<model::Metadata> result;
  const std::lock_guard data(data_mutex_);
  if (!metric.empty()) {
    const auto found = metadata_.find(metric);
    if (found != metadata_.end()) result.push_back(found->second);
    return result;
  }
  for (const auto& [name, one] : metadata_) result.push_back(one);
  return result;
}

std::deque<ExemplarRing::Entry> Head::exemplars() const {
  const std::lock_guard data(data_mutex_);
  return exemplars_.entries();
}

size_t Head::series_count() const {
  const std::lock_guard data(data_mutex_);
  return index_.live_count();
}

}  // namespace tsdb
