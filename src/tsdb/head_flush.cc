// Making room: what blocks hold is forgotten.

#include "core/metrics.h"
#include "core/mutation.h"
#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using model::TimeRange;

namespace {

// Series looked at per hold of the locks, so that appends wait for microseconds.
constexpr size_t kSliceSize = 1024;

void destroy_chain(Chunk* newest) {
  while (newest != nullptr) Chunk::destroy(std::exchange(newest, newest->prev));
}

// Cuts the chunks that end before `before_ms` off the chain.
size_t cut_chain(Chunk*& newest, int64_t before_ms) {
  Chunk** link = &newest;
  while (*link != nullptr && (*link)->max_time_ms >= before_ms) link = &(*link)->prev;
  Chunk* gone = std::exchange(*link, nullptr);
  size_t count = 0;
  while (gone != nullptr) {
    Chunk::destroy(std::exchange(gone, gone->prev));
    ++count;
  }
  return count;
}

template <typename Value>
size_t cut_samples(std::map<int64_t, Value>& samples, int64_t before_ms) {
  const size_t size = samples.size();
  samples.erase(samples.begin(), samples.lower_bound(before_ms));
  return size - samples.size();
}

template <typename Value>
size_t cut_patches(std::map<int64_t, Patch<Value>>& patches, uint32_t flush_max) {
  return std::erase_if(patches, [&](const auto& one) { return one.second.flush <= flush_max; });
}

core::Counter& removed_counter() {
  static core::Counter& counter = core::counter(
      "petrel_tsdb_series_removed_total", "Series that left the memory, all tenants together.");
  return counter;
}

}  // namespace

Head::~Head() {
  for (const SeriesRef ref : index_.all()) {
    Series& series = series_.at(ref);
    destroy_chain(series.chunks);
    if (series.extra != nullptr) destroy_chain(series.extra->histogram_chunks);
  }
  for (const RetiredChunk& one : retired_) Chunk::destroy(one.chunk);
}

int64_t Head::newest_ms(int64_t now_ms) const {
  const int64_t newest = newest_ms_;
  return newest == kNoTime ? kNoTime : std::min(newest, now_ms + options_.ahead_max_ms);
}

void Head::set_newest_at_least(int64_t time_ms) {
  const std::lock_guard write(write_mutex_);
  newest_ms_ = std::max(newest_ms_.load(), time_ms);
}

std::optional<TimeRange> Head::next_range(std::optional<int64_t> after_start_ms) const {
  const std::lock_guard data(data_mutex_);
  const auto found =
      after_start_ms ? range_positions_.upper_bound(*after_start_ms) : range_positions_.begin();
  if (found == range_positions_.end()) return std::nullopt;
  return TimeRange{found->first, found->first + options_.block_range_ms};
}

std::vector<std::string> Head::copy_labels(std::span<const SeriesRef> refs,
                                           std::vector<PairId>& pairs,
                                           std::vector<uint64_t>& begins) const {
  std::vector<std::string> texts;
  begins.assign(1, 0);
  for (size_t at = 0; at < refs.size(); at += kSliceSize) {
    const std::lock_guard data(data_mutex_);
    texts.resize(std::max(texts.size(), index_.pair_slots()));
    for (size_t i = at; i < std::min(at + kSliceSize, refs.size()); ++i) {
      for (const PairId pair : series_.at(refs[i]).pair_ids()) {
        if (texts[pair].empty()) texts[pair] = index_.pair_bytes(pair);
        pairs.push_back(pair);
      }
      begins.push_back(pairs.size());
    }
  }
  return texts;
}

std::vector<SeriesRef> Head::all_series() const {
  const std::lock_guard data(data_mutex_);
  return index_.all();
}

void Head::for_each_series(
    const std::function<void(uint64_t id, const std::string& labels)>& visit) const {
  std::vector<std::pair<uint64_t, std::string>> slice;
  const std::vector<SeriesRef> refs = all_series();
  for (size_t at = 0; at < refs.size(); at += kSliceSize) {
    slice.clear();
    {
      const std::lock_guard data(data_mutex_);
      for (size_t i = at; i < std::min(at + kSliceSize, refs.size()); ++i) {
        const Series* series = series_.find(refs[i]);
        if (series != nullptr) slice.emplace_back(series->id, labels_of(*series));
      }
    }
    for (const auto& [id, labels] : slice) visit(id, labels);
  }
}

void Head::forget_samples(Series& series, int64_t before_ms) {
  chunk_count_ -= cut_chain(series.chunks, before_ms);
  if (!series.open.empty() && series.open.max_time_ms() < before_ms) series.open.clear();
  if (series.extra == nullptr) return;
  SeriesExtra& extra = *series.extra;
  late_weight_ -= cut_samples(extra.late, before_ms) * kFloatWeight;
  late_weight_ -= cut_samples(extra.late_histograms, before_ms) * kHistogramWeight;
  patch_weight_ -= cut_patches(extra.patches, published_flush_) * kFloatWeight;
  patch_weight_ -= cut_patches(extra.histogram_patches, published_flush_) * kHistogramWeight;
  chunk_count_ -= cut_chain(extra.histogram_chunks, before_ms);
  // The newest histogram stays while others do: duplicates are judged against it.
  if (!extra.open_histograms.empty() && extra.last_histogram_ms < before_ms) {
    extra.open_histograms = {};
    extra.last_histogram_ms = kNoTime;
  }
  if (extra.empty()) series.extra.reset();
}

bool Head::forget_hidden(int64_t now_ms, uint64_t& series_dropped) {
  if (!hidden_epoch_) return true;
  if (!view_epochs_.is_over(*hidden_epoch_)) return false;
  const int64_t before = read_from_ms_;
  const std::vector<SeriesRef> refs = all_series();
  std::vector<SeriesRef> empty;
  // Chunks may still be pinned by readers that decode: those before `before` are not,
  // readers of today's view do not capture them.
  for (size_t at = 0; at < refs.size(); at += kSliceSize) {
    const std::lock_guard write(write_mutex_);
    const std::lock_guard data(data_mutex_);
    for (size_t i = at; i < std::min(at + kSliceSize, refs.size()); ++i) {
      Series& series = series_.at(refs[i]);
      forget_samples(series, before);
      if (series.has_samples()) continue;
      empty.push_back(refs[i]);
      // Here and not below, where the locks are held for all at once; hardly any comes back.
      const std::string labels = labels_of(series);
      churn_.note_gone(model::LabelsView(labels), now_ms);
    }
  }
  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  std::erase_if(patched_, [&](SeriesRef ref) {
    const SeriesExtra* const extra = series_.at(ref).extra.get();
    return extra == nullptr || !extra->has_patches();
  });
  remove_series(empty);
  free_retired();
  series_dropped += empty.size();
  hidden_epoch_.reset();
  return true;
}

// Sorted ones without samples, under both locks. Leaves those in `empty` that went: some may have
// been written to meanwhile.
void Head::remove_series(std::vector<SeriesRef>& empty) {
  std::erase_if(empty, [&](SeriesRef ref) { return series_.at(ref).has_samples(); });
  index_.remove(empty, [&](SeriesRef ref) { return series_.at(ref).pair_ids(); });
  if (!empty.empty()) {
    std::erase_if(aliases_, [&](const auto& alias) {
      return std::binary_search(empty.begin(), empty.end(), alias.second);
    });
  }
  for (const SeriesRef ref : empty) {
    table_.erase(series_.at(ref).identity, ref);
    series_.remove(ref);
  }
  share_.series -= empty.size();
  removed_counter().add(static_cast<double>(empty.size()));
}

storage::LogPosition Head::needed_from(const storage::Log& log, int64_t starts_until_ms) const {
  const std::lock_guard write(write_mutex_);
  storage::LogPosition needed = log.high();
  for (const auto& [start, position] : range_positions_) {
    if (start <= starts_until_ms) needed = std::min(needed, position);
  }
  if (!patch_positions_.empty() && !PETREL_MUTATED("flush-cuts-patches")) {
    needed = std::min(needed, patch_positions_.begin()->second);
  }
  return needed;
}

storage::LogPosition Head::applied_to(const storage::Log& log) const {
  const std::lock_guard write(write_mutex_);
  return log.high();
}

}  // namespace tsdb
