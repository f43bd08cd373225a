// What a start brings back into the head: the series snapshot, then the log.

#include "core/mutation.h"
#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using model::HistogramSample;
using model::Sample;
using storage::LogBatch;
using storage::LogPosition;

void Head::restore_series(uint64_t id, std::string_view labels) {
  const std::lock_guard write(write_mutex_);
  const Identity identity = hasher_(labels);
  std::optional<SeriesRef> ref = ref_of(identity);
  if (!ref) ref = create_series(labels, identity, id < kOwnIdEnd ? id : share_.next_series_id++);
  const std::lock_guard data(data_mutex_);
  Series& series = series_.at(*ref);
  // Of two lives the later one goes on.
  if (id < kOwnIdEnd && !PETREL_MUTATED("replay-keeps-first-id")) {
    series.id = std::max(series.id, id);
  }
  series.logged = true;
  by_id_.set(id, *ref, kOwnIdEnd);
}

void Head::restore_metadata(const model::Metadata& metadata) {
  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  metadata_[metadata.metric] = metadata;
}

void Head::restore_exemplar(std::string_view labels, const model::Exemplar& exemplar) {
  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  exemplars_.add(labels, exemplar);
}

// Whether a sample of the log is not in blocks already and was not deleted.
bool Head::replays(SeriesRef ref, int64_t time_ms, LogPosition position) {
  const bool ignores_position = PETREL_MUTATED("replay-ignores-position");
  if (time_ms < closed_before_ms_ && (position < closed_log_before_ || ignores_position)) {
    return PETREL_MUTATED("replay-ignores-closed");
  }
  if (deleted_.empty() || PETREL_MUTATED("replay-ignores-tombstones")) return true;
  if (deleted_of_.size() <= ref) deleted_of_.resize(series_.next());
  std::optional<std::vector<uint32_t>>& deleted = deleted_of_[ref];
  if (!deleted) {
    deleted.emplace();
    const std::string labels = labels_of(series_.at(ref));
    for (uint32_t i = 0; i < deleted_.size(); ++i) {
      if (model::matches_all(deleted_[i].matchers, model::LabelsView(labels))) {
        deleted->push_back(i);
      }
    }
  }
  return std::none_of(deleted->begin(), deleted->end(), [&](uint32_t i) {
    const bool concerns =
        position < deleted_[i].log_before || PETREL_MUTATED("replay-deletes-later-samples");
    return concerns && deleted_[i].range.contains(time_ms);
  });
}

void Head::count_unknown(int64_t time_ms, LogPosition position, Unknown& unknown) const {
  // What blocks hold may well be unknown: the series has left with the range.
  if (time_ms < closed_before_ms_ && position < closed_log_before_) return;
  const bool may_be_deleted =
      std::any_of(deleted_.begin(), deleted_.end(), [&](const Tombstone& one) {
        return position < one.log_before && one.range.contains(time_ms);
      });
  const bool may_be_evicted =
      position < evicted_log_before_ && !PETREL_MUTATED("evict-forgets-position");
  ++(may_be_deleted || may_be_evicted ? unknown.perhaps_gone : unknown.lost);
}

Head::Unknown Head::replay(LogPosition position, const LogBatch& batch) {
  refs_.clear();
  Unknown unknown;
  uint32_t begin = 0;
  uint32_t histograms_begin = 0;
  for (const storage::LogSeries& one : batch.series) {
    if (!one.labels.empty()) restore_series(one.id, one.labels);
    refs_.push_back(by_id_.find(one.id).value_or(kNoSeries));
    const bool is_unknown = refs_.back() == kNoSeries;
    for (; begin < one.samples_end; ++begin) {
      if (is_unknown) count_unknown(batch.samples[begin].timestamp_ms, position, unknown);
    }
    for (; histograms_begin < one.histograms_end; ++histograms_begin) {
      const int64_t time_ms = batch.histograms[histograms_begin].timestamp_ms;
      if (is_unknown) count_unknown(time_ms, position, unknown);
    }
  }

  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  // A repeated sample is acknowledged once this record is durable, which a start on a
  // broken disk leaves open.
  last_position_ = position;
  // What an earlier record holds already is left out too. Of patches apply() sees to that.
  const int64_t closed = closed_before_ms_;
  LogBatch& kept = piece_;
  kept.clear();
  kept.metadata = batch.metadata;
  uint32_t sample = 0;
  uint32_t histogram = 0;
  uint32_t exemplar = 0;
  const auto prefetch = [&](size_t i) {
    if (i >= refs_.size() || refs_[i] == kNoSeries) return;
    series_.prefetch(refs_[i]);
  };
  for (size_t i = 0; i < kPrefetchAhead; ++i) prefetch(i);
  for (size_t i = 0; i < batch.series.size(); ++i) {
    prefetch(i + kPrefetchAhead);
    storage::LogSeries one = batch.series[i];
    for (; sample < one.samples_end; ++sample) {
      const Sample& given = batch.samples[sample];
      if (refs_[i] == kNoSeries || !replays(refs_[i], given.timestamp_ms, position)) continue;
      const Series& series = series_.at(refs_[i]);
      const bool is_late =
          given.timestamp_ms <= series.last_time_ms && given.timestamp_ms >= closed;
      if (is_late && find_float(series, given.timestamp_ms) &&
          !PETREL_MUTATED("replay-keeps-duplicates")) {
        continue;
      }
      kept.samples.push_back(given);
    }
    for (; histogram < one.histograms_end; ++histogram) {
      const HistogramSample& given = batch.histograms[histogram];
      if (refs_[i] == kNoSeries || !replays(refs_[i], given.timestamp_ms, position)) continue;
      const SeriesExtra* extra = series_.at(refs_[i]).extra.get();
      if (extra != nullptr && find_histogram(*extra, given.timestamp_ms) != nullptr &&
          !PETREL_MUTATED("replay-keeps-duplicates")) {
        continue;
      }
      kept.histograms.push_back(given);
    }
    for (; exemplar < one.exemplars_end; ++exemplar) {
      kept.exemplars.push_back(batch.exemplars[exemplar]);
    }
    one.samples_end = static_cast<uint32_t>(kept.samples.size());
    one.histograms_end = static_cast<uint32_t>(kept.histograms.size());
    one.exemplars_end = static_cast<uint32_t>(kept.exemplars.size());
    kept.series.push_back(one);
  }
  apply(position, kept, refs_);
  kept.clear();
  return unknown;
}

void Head::finish_replay() {
  const std::lock_guard write(write_mutex_);
  by_id_ = {};
  deleted_ = {};
  deleted_of_ = {};
  noted_start_ms_ = noted_end_ms_ = 0;
}

}  // namespace tsdb
