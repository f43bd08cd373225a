// Late data, and the flush as the head sees it.
//
//   time ──────────── T ───────────────── newest
//        patches      │  chunks, late samples
//
// A flush closes the head before T at a moment P of the log: what blocks will hold is what
// records before P brought before T. A sample before T that comes later is a patch: it is kept
// aside until the next flush writes it to a block of its 2 h range. A start tells the three
// apart by time and position alone, so that every sample of the log is in blocks, a patch or
// of the head, and in one of them only.

#include "core/mutation.h"
#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using model::HistogramSample;
using model::Sample;
using model::TimeRange;
using storage::AppendSummary;
using storage::LogPosition;
using storage::RefusalReason;

namespace {

constexpr size_t kSliceSize = 1024;  // series looked at per hold of the data lock

int64_t start_of_range(int64_t time_ms, int64_t range) {
  const int64_t start = time_ms - time_ms % range;
  return start > time_ms ? start - range : start;  // before 1970
}

template <typename Value>
bool has_patch_in(const std::map<int64_t, Patch<Value>>& patches, TimeRange range) {
  const auto first = patches.lower_bound(range.start_ms);
  return first != patches.end() && first->first < range.end_ms;
}

bool has_patch_in(const SeriesExtra& extra, TimeRange range) {
  return has_patch_in(extra.patches, range) || has_patch_in(extra.histogram_patches, range);
}

// The starts of the block ranges that have patches.
template <typename Value>
void add_slots(const std::map<int64_t, Patch<Value>>& patches, int64_t range,
               std::map<int64_t, bool>& starts) {
  for (auto at = patches.begin(); at != patches.end();) {
    const int64_t start = start_of_range(at->first, range);
    starts.emplace(start, true);
    at = patches.lower_bound(start + range);
  }
}

}  // namespace

// --- Judging

bool Head::takes_late(const Series& series, const Sample& sample, AppendSummary& summary) {
  const int64_t time = sample.timestamp_ms;
  if (const std::optional<double> stored = find_float(series, time, work_)) {
    if (model::same_bits(*stored, sample.value)) {
      ++summary.duplicates;
    } else {
      refuse(summary, RefusalReason::Conflict, series, time);
    }
    return false;
  }
  const SeriesExtra* const extra = series.extra.get();
  if (extra != nullptr && find_histogram(*extra, time) != nullptr) {
    refuse(summary, RefusalReason::Conflict, series, time);
    return false;
  }
  int64_t newest = series.last_time_ms;
  if (extra != nullptr && !extra->patches.empty()) {
    newest = std::max(newest, extra->patches.rbegin()->first);
  }
  return takes_late_time(series, time, newest, kFloatWeight, summary);
}

bool Head::takes_late(const Series& series, const HistogramSample& sample, AppendSummary& summary) {
  const int64_t time = sample.timestamp_ms;
  const SeriesExtra* const extra = series.extra.get();
  if (extra != nullptr) {
    if (const model::Histogram* const stored = find_histogram(*extra, time)) {
      if (same_histogram(*stored, sample.histogram)) {
        ++summary.duplicates;
      } else {
        refuse(summary, RefusalReason::Conflict, series, time);
      }
      return false;
    }
  }
  if (find_float(series, time, work_)) {
    refuse(summary, RefusalReason::Conflict, series, time);
    return false;
  }
  int64_t newest = extra == nullptr ? kNoTime : extra->last_histogram_ms;
  if (extra != nullptr && !extra->histogram_patches.empty()) {
    newest = std::max(newest, extra->histogram_patches.rbegin()->first);
  }
  return takes_late_time(series, time, newest, kHistogramWeight, summary);
}

// Of a sample that is not stored. `newest_ms`: of its series.
bool Head::takes_late_time(const Series& series, int64_t time_ms, int64_t newest_ms,
                           uint64_t weight, AppendSummary& summary) {
  if (time_ms < late_horizon_ms_ && time_ms <= newest_ms) {
    refuse(summary, RefusalReason::OutOfOrder, series, time_ms);
    return false;
  }
  const uint64_t in_memory = late_weight_ + patch_weight_ + piece_late_;
  if (in_memory + weight > options_.late_samples_max) {
    std::string example;
    if (summary.examples.size() < AppendSummary::kExamplesMax) {
      example = fmt::format("{} at {}: too many late samples are in memory ({}, allowed are {})",
                            model::LabelsView(labels_of(series)).to_string(), time_ms, in_memory,
                            options_.late_samples_max);
    }
    summary.refuse(RefusalReason::LimitExceeded, 1, std::move(example));
    return false;
  }
  piece_late_ += weight;
  return true;
}

// --- Applying

SeriesExtra& Head::begin_patch(LogPosition position, SeriesRef ref, int64_t time_ms) {
  if (time_ms > newest_ms_) newest_ms_ = time_ms;
  patch_positions_.try_emplace(next_flush_, position);
  Series& series = series_.at(ref);
  if (series.extra == nullptr) series.extra = std::make_unique<SeriesExtra>();
  if (!series.extra->has_patches()) patched_.push_back(ref);
  return *series.extra;
}

void Head::apply_patch(LogPosition position, SeriesRef ref, const Sample& sample) {
  SeriesExtra& extra = begin_patch(position, ref, sample.timestamp_ms);
  if (!extra.patches.try_emplace(sample.timestamp_ms, Patch<double>{sample.value, next_flush_})
           .second) {
    return;
  }
  patch_weight_ += kFloatWeight;
  unflushed_weight_ += kFloatWeight;
}

void Head::apply_patch(LogPosition position, SeriesRef ref, const HistogramSample& sample) {
  SeriesExtra& extra = begin_patch(position, ref, sample.timestamp_ms);
  if (!extra.histogram_patches
           .try_emplace(sample.timestamp_ms, Patch<model::Histogram>{sample.histogram, next_flush_})
           .second) {
    return;
  }
  patch_weight_ += kHistogramWeight;
  unflushed_weight_ += kHistogramWeight;
}

// --- Flushing

void Head::restore_closed(int64_t before_ms, LogPosition log_before) {
  const std::lock_guard write(write_mutex_);
  closed_before_ms_ = before_ms;
  read_from_ms_ = before_ms;
  closed_log_before_ = log_before;
}

HeadFlush Head::begin_flush(int64_t to_ms, const storage::Log& log) {
  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  closed_before_ms_ = std::max(closed_before_ms_.load(), to_ms);
  return {.from_ms = read_from_ms_,
          .to_ms = closed_before_ms_,
          .log_before = log.high(),
          .number = next_flush_++,
          .patches = unflushed_weight_,
          .to_the_end = newest_ms_ < closed_before_ms_};
}

std::vector<TimeRange> Head::flush_slots(const HeadFlush& flush) const {
  const int64_t range = options_.block_range_ms;
  std::map<int64_t, bool> starts;
  std::vector<SeriesRef> patched;
  {
    const std::lock_guard data(data_mutex_);
    for (const auto& [start, position] : range_positions_) {
      if (start < flush.to_ms) starts.emplace(start, true);
    }
    patched = patched_;
  }
  for (size_t at = 0; at < patched.size(); at += kSliceSize) {
    const std::lock_guard data(data_mutex_);
    for (size_t i = at; i < std::min(at + kSliceSize, patched.size()); ++i) {
      const SeriesExtra* const extra = series_.at(patched[i]).extra.get();
      if (extra == nullptr) continue;
      add_slots(extra->patches, range, starts);
      add_slots(extra->histogram_patches, range, starts);
    }
  }
  std::vector<TimeRange> slots;
  for (const auto& [start, found] : starts) slots.push_back({start, start + range});
  return slots;
}

std::vector<SeriesRef> Head::patched_series(TimeRange range) const {
  std::vector<SeriesRef> refs;
  for (const SeriesRef ref : patched_) {
    const SeriesExtra* const extra = series_.at(ref).extra.get();
    if (extra != nullptr && has_patch_in(*extra, range)) refs.push_back(ref);
  }
  std::sort(refs.begin(), refs.end());
  refs.erase(std::unique(refs.begin(), refs.end()), refs.end());
  return refs;
}

namespace {

TimeRange samples_of(const HeadFlush& flush, TimeRange slot) {
  return {std::max(slot.start_ms, flush.from_ms), std::min(slot.end_ms, flush.to_ms)};
}

}  // namespace

std::vector<SeriesRef> Head::flush_series(const HeadFlush& flush, TimeRange slot) const {
  const TimeRange samples = samples_of(flush, slot);
  // Series with patches are among those that may have samples.
  if (samples.start_ms < samples.end_ms) return find({}, samples);
  const std::lock_guard data(data_mutex_);
  return patched_series(slot);
}

void Head::capture_flush(std::span<const SeriesRef> refs, const HeadFlush& flush, TimeRange slot,
                         HeadCapture& out) const {
  capture(refs, {.samples = samples_of(flush, slot), .patches = slot}, {}, published_flush_ + 1,
          flush.number, out);
}

void Head::end_flush(const HeadFlush& flush) {
  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  read_from_ms_ = std::max(read_from_ms_.load(), flush.to_ms);
  while (!range_positions_.empty() &&
         range_positions_.begin()->first + options_.block_range_ms <= flush.to_ms) {
    range_positions_.erase(range_positions_.begin());
  }
  // What is left of a range that was flushed in part came after the flush began, unless there
  // were samples behind the part.
  if (!range_positions_.empty() && range_positions_.begin()->first < flush.to_ms &&
      (flush.to_the_end || PETREL_MUTATED("flush-forgets-rest"))) {
    if (newest_ms_ < flush.to_ms) {
      range_positions_.erase(range_positions_.begin());
    } else {
      LogPosition& position = range_positions_.begin()->second;
      position = std::max(position, flush.log_before);
    }
  }
  patch_positions_.erase(patch_positions_.begin(), patch_positions_.upper_bound(flush.number));
  published_flush_ = flush.number;
  unflushed_weight_ -= flush.patches;
  noted_start_ms_ = noted_end_ms_ = 0;
  hidden_epoch_ = view_epochs_.close();
}

Head::LateUse Head::late_use() const {
  const std::lock_guard data(data_mutex_);
  return {.late = late_weight_, .patches = unflushed_weight_};
}

}  // namespace tsdb
