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
  restore(id, labels, hasher_(labels));
}

void Head::restore(uint64_t id, std::string_view labels, const Identity& identity) {
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

// The series that a record introduces. Their places in the table are fetched ahead.
void Head::restore_new(const LogBatch& batch) {
  const std::lock_guard write(write_mutex_);
  new_identities_.clear();
  for (const storage::LogSeries& one : batch.series) {
    if (!one.labels.empty()) new_identities_.push_back(hasher_(one.labels));
  }
  for (size_t i = 0; i < std::min(kPrefetchAhead, new_identities_.size()); ++i) {
    table_.prefetch(new_identities_[i]);
  }
  size_t i = 0;
  for (const storage::LogSeries& one : batch.series) {
    if (one.labels.empty()) continue;
    if (i + kPrefetchAhead < new_identities_.size()) {
      table_.prefetch(new_identities_[i + kPrefetchAhead]);
    }
    restore(one.id, one.labels, new_identities_[i++]);
  }
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

void Head::count_unknown(int64_t time_ms, LogPosition position, Replayed& replayed) const {
  // What blocks hold may well be unknown: the series has left with the range.
  if (time_ms < closed_before_ms_ && position < closed_log_before_) return;
  const bool may_be_deleted =
      std::any_of(deleted_.begin(), deleted_.end(), [&](const Tombstone& one) {
        return position < one.log_before && one.range.contains(time_ms);
      });
  const bool may_be_evicted =
      position < evicted_log_before_ && !PETREL_MUTATED("evict-forgets-position");
  ++(may_be_deleted || may_be_evicted ? replayed.perhaps_gone : replayed.lost);
}

inline void Head::take_float(SeriesRef ref, const Sample& sample, LogPosition position) {
  const bool is_patch = sample.timestamp_ms < closed_before_ms_;
  if ((is_patch || !deleted_.empty()) && !replays(ref, sample.timestamp_ms, position)) return;
  if (is_patch && !PETREL_MUTATED("window-takes-patches")) {
    const std::lock_guard data(data_mutex_);
    apply_patch(position, ref, sample);
    return;
  }
  if (!is_noted(sample.timestamp_ms) && !PETREL_MUTATED("window-forgets-position")) {
    const std::lock_guard data(data_mutex_);
    note_position(sample.timestamp_ms, position);
  }
  window_.add(ref, sample.timestamp_ms, sample.value);
}

// The order of records matters to the floats of each series, to those of patches, to
// histograms, exemplars and metadata: to each of them alone, so that floats may wait.
Head::Replayed Head::replay(LogPosition position, const LogBatch& batch) {
  restore_new(batch);
  const std::lock_guard write(write_mutex_);
  // A repeated sample is acknowledged once this record is durable, which a start on a
  // broken disk leaves open.
  last_position_ = position;
  refs_.clear();
  Replayed replayed;
  uint32_t sample = 0;
  uint32_t histogram = 0;
  for (const storage::LogSeries& one : batch.series) {
    if (one.id < kOwnIdEnd) replayed.id_max = std::max(replayed.id_max, one.id);
    const SeriesRef ref = by_id_.find(one.id).value_or(kNoSeries);
    refs_.push_back(ref);
    for (; sample < one.samples_end; ++sample) {
      if (ref != kNoSeries) {
        take_float(ref, batch.samples[sample], position);
      } else {
        count_unknown(batch.samples[sample].timestamp_ms, position, replayed);
      }
    }
    for (; histogram < one.histograms_end; ++histogram) {
      if (ref != kNoSeries) continue;
      count_unknown(batch.histograms[histogram].timestamp_ms, position, replayed);
    }
  }
  if (!batch.histograms.empty() || !batch.exemplars.empty() || !batch.metadata.empty()) {
    replay_rest(position, batch);
  }
  return replayed;
}

// All but floats. What an earlier record holds already is left out; of patches apply() sees to
// that.
void Head::replay_rest(LogPosition position, const LogBatch& batch) {
  const std::lock_guard data(data_mutex_);
  LogBatch& kept = piece_;
  kept.clear();
  kept.metadata = batch.metadata;
  uint32_t histogram = 0;
  uint32_t exemplar = 0;
  for (size_t i = 0; i < batch.series.size(); ++i) {
    storage::LogSeries one = batch.series[i];
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
    one.samples_end = 0;
    one.histograms_end = static_cast<uint32_t>(kept.histograms.size());
    one.exemplars_end = static_cast<uint32_t>(kept.exemplars.size());
    kept.series.push_back(one);
  }
  apply(position, kept, refs_);
  kept.clear();
}

void Head::finish_replay() {
  if (!PETREL_MUTATED("window-forgets-rest")) apply_waiting();
  const std::lock_guard write(write_mutex_);
  window_ = {};
  by_id_ = {};
  deleted_ = {};
  deleted_of_ = {};
  noted_start_ms_ = noted_end_ms_ = 0;
}

}  // namespace tsdb
