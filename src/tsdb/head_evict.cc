// Series that stopped leave the head long before their range is closed: where targets come and go
// all the time, most of the memory would be theirs.
//
// Their samples are written to a block like those of a flush. The log keeps them until the range
// is flushed, and a start that replays them has the same samples twice, of which those of the
// block count.

#include "core/mutation.h"
#include "tsdb/head.h"

#include <algorithm>
#include <utility>

namespace tsdb {

namespace {

constexpr size_t kSliceSize = 1024;  // series looked at per hold of the locks

// What is late or a histogram stays with the others of its range.
bool is_plain(const Series& series) {
  return series.extra == nullptr && series.has_samples();
}

}  // namespace

std::vector<Head::Stale> Head::stale_series(int64_t before_ms) const {
  const int64_t from = read_from_ms_;
  std::vector<Stale> stale;
  const std::vector<SeriesRef> refs = all_series();
  for (size_t at = 0; at < refs.size(); at += kSliceSize) {
    const std::lock_guard data(data_mutex_);
    for (size_t i = at; i < std::min(at + kSliceSize, refs.size()); ++i) {
      const Series* const series = series_.find(refs[i]);
      if (series == nullptr || !is_plain(*series)) continue;
      if (series->last_time_ms < from || series->last_time_ms >= before_ms) continue;
      stale.push_back({.ref = refs[i], .last_time_ms = series->last_time_ms});
    }
  }
  return stale;
}

HeadFlush Head::eviction_of(int64_t before_ms) const {
  return {.from_ms = read_from_ms_, .to_ms = before_ms};
}

void Head::begin_eviction(std::vector<Stale> stale) {
  evicting_ = std::move(stale);
  eviction_epoch_ = view_epochs_.close();
}

bool Head::finish_eviction(int64_t now_ms, uint64_t& series_evicted) {
  if (!eviction_epoch_) return true;
  if (!view_epochs_.is_over(*eviction_epoch_)) return false;
  const std::vector<Stale> stale = std::exchange(evicting_, {});
  eviction_epoch_.reset();
  std::vector<SeriesRef> empty;
  for (size_t at = 0; at < stale.size(); at += kSliceSize) {
    const std::lock_guard write(write_mutex_);
    const std::lock_guard data(data_mutex_);
    for (size_t i = at; i < std::min(at + kSliceSize, stale.size()); ++i) {
      if (series_.find(stale[i].ref) == nullptr) continue;
      Series& series = series_.at(stale[i].ref);
      // What came since is in no block.
      const bool is_as_it_was = is_plain(series) && series.last_time_ms == stale[i].last_time_ms;
      if (!is_as_it_was && !PETREL_MUTATED("evict-takes-new-samples")) continue;
      while (series.chunks != nullptr) {
        Chunk* const newest = std::exchange(series.chunks, series.chunks->prev);
        retire(newest);
      }
      series.open.clear();
      if (series.has_samples()) continue;
      empty.push_back(stale[i].ref);
      const std::string labels = labels_of(series);
      churn_.note_gone(model::LabelsView(labels), now_ms);
    }
  }
  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  remove_series(empty);
  free_retired();
  series_evicted += empty.size();
  return true;
}

}  // namespace tsdb
