// Samples of the future, carried to the log's end.
//
// A wall clock that once ran ahead leaves samples that no block can take for weeks: their
// range is open until its time comes, and the log would be kept from their record on. So
// they are appended again, and once that is durable the range needs the log only from
// there. A crash in between leaves both copies; replay takes the first and skips the other.
//
// A snapshot of the storage gets them, and whatever else no block has, in a log of its own.

#include "core/mutation.h"
#include "tsdb/head.h"

namespace tsdb {

using core::Result;
using model::TimeRange;
using storage::LogPosition;

namespace {

constexpr size_t kSliceSize = 256;  // series captured per hold of the data lock
// Far below the size limit of a log record.
constexpr size_t kRecordSamplesMax = 65'536;
constexpr size_t kRecordHistogramsMax = 1'024;

}  // namespace

std::vector<uint64_t> Head::series_ids(std::span<const SeriesRef> refs) const {
  std::vector<uint64_t> ids;
  ids.reserve(refs.size());
  const std::lock_guard data(data_mutex_);
  for (const SeriesRef ref : refs) {
    const Series* series = series_.find(ref);
    ids.push_back(series == nullptr ? 0 : series->id);
  }
  return ids;
}

// Gives the position of the last record, if there is one.
Result<std::optional<LogPosition>> Head::copy_to(storage::Log& log, const Copying& copying) const {
  HeadCapture captured;
  storage::SeriesBatch samples;
  storage::LogBatch record;
  std::optional<LogPosition> last;
  const auto write_record = [&]() -> Result<void> {
    if (record.series.empty()) return {};
    record.tenant = tenant_;
    record.accepted_at_ms = copying.now_ms;
    last = TRY(log.append(record));
    record.clear();
    return {};
  };
  const std::vector<SeriesRef>& refs = copying.refs;
  for (size_t at = 0; at < refs.size(); at += kSliceSize) {
    const std::span<const SeriesRef> slice =
        std::span(refs).subspan(at, std::min(kSliceSize, refs.size() - at));
    const std::vector<uint64_t> ids = series_ids(slice);
    capture(slice, copying.range, {}, copying.flush_min, UINT32_MAX, captured);
    for (size_t i = 0; i < slice.size(); ++i) {
      samples.clear();
      append_samples(captured, i, copying.range.samples, samples);
      sort_samples(samples.timestamps_ms, samples.values, 0);
      sort_histograms(samples.histograms, 0);
      if (samples.timestamps_ms.empty() && samples.histograms.empty()) continue;
      for (size_t j = 0; j < samples.timestamps_ms.size(); ++j) {
        record.samples.push_back({samples.timestamps_ms[j], samples.values[j]});
      }
      record.histograms.insert(record.histograms.end(), samples.histograms.begin(),
                               samples.histograms.end());
      record.series.push_back({.id = ids[i],
                               .labels = captured.labels_of(i),
                               .is_new = copying.is_new,
                               .samples_end = static_cast<uint32_t>(record.samples.size()),
                               .histograms_end = static_cast<uint32_t>(record.histograms.size())});
      if (record.samples.size() >= kRecordSamplesMax ||
          record.histograms.size() >= kRecordHistogramsMax) {
        TRY(write_record());
      }
    }
    TRY(write_record());  // the labels live in the capture
  }
  return last;
}

Result<void> Head::log_again(storage::Log& log, int64_t from_ms, int64_t now_ms) {
  // All records before it are applied: what they brought is captured below, and what comes
  // later has a later record of its own.
  const LogPosition begin = applied_to(log);
  const TimeRange range{std::max(from_ms, read_from_ms_.load()),
                        std::numeric_limits<int64_t>::max()};
  // Not new: an earlier record or the snapshot introduces what has samples.
  const std::optional<LogPosition> last =
      TRY(copy_to(log, {.refs = find({}, range),
                        .range = {.samples = range, .patches = {}},
                        .is_new = false,
                        .now_ms = now_ms}));
  if (last && !PETREL_MUTATED("carry-no-wait")) TRY(log.wait_durable(*last));

  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  for (auto one = range_positions_.lower_bound(from_ms); one != range_positions_.end(); ++one) {
    one->second = std::max(one->second, begin);
  }
  return {};
}

bool Head::has_unflushed() const {
  const std::lock_guard data(data_mutex_);
  return !range_positions_.empty() || unflushed_weight_ != 0;
}

Result<void> Head::log_unflushed(storage::Log& log, int64_t now_ms) const {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  TRY(copy_to(log, {.refs = all_series(),
                    .range = {.samples = {read_from_ms_, kMax}, .patches = {kMin, kMax}},
                    .flush_min = published_flush_ + 1,
                    .is_new = true,
                    .now_ms = now_ms}));
  return {};
}

}  // namespace tsdb
