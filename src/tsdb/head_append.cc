// Judging and applying: the way into the head.

#include "core/metrics.h"
#include "core/mutation.h"
#include "core/time.h"
#include "tsdb/head.h"

#include <algorithm>
#include <cmath>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::HistogramSample;
using model::Sample;
using storage::AppendSummary;
using storage::BatchSeries;
using storage::LogBatch;
using storage::LogPosition;
using storage::RefusalReason;
using storage::WriteBatch;

namespace {

// A chunk in the head: short enough that a five-minute query decodes little.
constexpr uint32_t kChunkTarget = 128;
constexpr size_t kHistogramChunk = 32;
// Older samples are refused wherever the head stands: windows and ranges are subtracted
// from times, and must not wrap around.
constexpr int64_t kOldestMs = -(int64_t{1} << 60);
// A log record has a size limit; a larger batch becomes several.
constexpr size_t kPieceSeriesMax = 16'384;
constexpr size_t kPieceSamplesMax = 131'072;
constexpr size_t kPieceHistogramsMax = 4'096;
constexpr size_t kMetadataMax = 100'000;  // metrics per tenant
// Spans of a side, or custom bounds, of one histogram. Every read copies them per sample,
// and no schema has use for so many.
constexpr size_t kHistogramPartsMax = 10'000;
constexpr size_t kRetiredMax = 1'024;

template <typename SampleType>
bool is_sorted_rising(std::span<const SampleType> samples) {
  for (size_t i = 1; i < samples.size(); ++i) {
    if (samples[i].timestamp_ms <= samples[i - 1].timestamp_ms) return false;
  }
  return true;
}

uint64_t buckets_of(const std::vector<model::BucketSpan>& spans) {
  uint64_t count = 0;
  for (const model::BucketSpan& span : spans) count += span.length;
  return count;
}

// Why a histogram cannot be stored; empty when it can.
std::string_view defect_of(const model::Histogram& one) {
  const bool custom = one.schema == model::kCustomBucketsSchema;
  if (!custom && (one.schema < -4 || one.schema > 8)) return "unknown schema";
  if (buckets_of(one.positive_spans) != one.positive_counts.size() ||
      buckets_of(one.negative_spans) != one.negative_counts.size()) {
    return "spans and bucket counts differ in number";
  }
  if (std::max({one.positive_spans.size(), one.negative_spans.size(), one.custom_bounds.size()}) >
      kHistogramPartsMax) {
    return "more than 10000 spans or custom bounds";
  }
  if (custom != !one.custom_bounds.empty() && !one.positive_counts.empty()) {
    return "custom bounds do not go with the schema";
  }
  for (const auto* counts : {&one.positive_counts, &one.negative_counts}) {
    for (const double count : *counts) {
      if (count < 0) return "a bucket has a negative count";
    }
  }
  return {};
}

void refuse_histogram(AppendSummary& summary, std::string_view labels, int64_t time_ms,
                      std::string_view defect) {
  summary.refuse(
      RefusalReason::InvalidSample, 1,
      fmt::format("{} at {}: {}", model::LabelsView(labels).to_string(), time_ms, defect));
}

core::Counter& appended_counter() {
  static core::Counter& counter =
      core::counter("petrel_tsdb_head_samples_appended_total", "Samples stored in the head.");
  return counter;
}

}  // namespace

bool same_histogram(const model::Histogram& a, const model::Histogram& b) {
  std::string a_bytes;
  std::string b_bytes;
  encoding::append_histogram_chunk(a_bytes, std::vector<HistogramSample>{{0, a}});
  encoding::append_histogram_chunk(b_bytes, std::vector<HistogramSample>{{0, b}});
  return a_bytes == b_bytes;  // equal as bits: also NaN sums
}

Head::Head(model::TenantId tenant, const EngineOptions& options, const IdentityHasher& hasher,
           HeadShare& share)
    : tenant_(std::move(tenant)),
      options_(options),
      hasher_(hasher),
      share_(share),
      exemplars_(options.exemplars_max) {
  index_.set_pairs_of([this](SeriesRef ref) { return series_.at(ref).pair_ids(); });
}

std::string Head::labels_of(const Series& series) const {
  size_t size = 0;
  for (const PairId pair : series.pair_ids()) size += index_.pair_bytes(pair).size();
  std::string bytes;
  bytes.reserve(size);
  for (const PairId pair : series.pair_ids()) bytes.append(index_.pair_bytes(pair));
  return bytes;
}

// For a person: what would have been taken.
std::string Head::why_refused(RefusalReason reason) const {
  switch (reason) {
    case RefusalReason::TooOld:
      return "too old, samples are taken from " + core::format_rfc3339(horizon_ms_) + " on";
    case RefusalReason::TooFarAhead:
      return "too far ahead of the clock, samples are taken until " +
             core::format_rfc3339(now_ms_ + options_.ahead_max_ms);
    case RefusalReason::OutOfOrder:
      return "older than the newest of its series, such samples are taken from " +
             core::format_rfc3339(late_horizon_ms_) + " on";
    case RefusalReason::Conflict:
      return "another value is stored for this time";
    default:
      return std::string(storage::refusal_reason_name(reason));
  }
}

void Head::refuse(AppendSummary& summary, RefusalReason reason, const Series& series,
                  int64_t time_ms) const {
  const bool is_told = summary.examples.size() < AppendSummary::kExamplesMax;
  refuse(summary, reason, is_told ? labels_of(series) : std::string(), time_ms);
}

void Head::refuse(AppendSummary& summary, RefusalReason reason, std::string_view labels,
                  int64_t time_ms) const {
  std::string example;
  if (summary.examples.size() < AppendSummary::kExamplesMax) {
    example = fmt::format("{} at {} ({}): {}", model::LabelsView(labels).to_string(), time_ms,
                          core::format_rfc3339(time_ms), why_refused(reason));
  }
  summary.refuse(reason, 1, std::move(example));
}

// Why no series takes a sample of that time; nothing when some may.
std::optional<RefusalReason> Head::refused_time(int64_t time_ms) const {
  if (time_ms > now_ms_ + options_.ahead_max_ms) return RefusalReason::TooFarAhead;
  if (time_ms < horizon_ms_) return RefusalReason::TooOld;
  return std::nullopt;
}

// Whether nothing of an unknown series would be stored; says why then. The series is not
// created: a sender whose clock is wrong must not fill the memory with refused series.
bool Head::keeps_nothing(const WriteBatch& batch, const BatchSeries& one, std::string_view labels,
                         AppendSummary& summary) const {
  const auto samples = batch.samples_of(one);
  const auto histograms = batch.histograms_of(one);
  if (samples.empty() && histograms.empty()) return batch.exemplars_of(one).empty();
  for (const Sample& sample : samples) {
    if (!refused_time(sample.timestamp_ms)) return false;
  }
  for (const HistogramSample& sample : histograms) {
    if (!refused_time(sample.timestamp_ms) && defect_of(sample.histogram).empty()) return false;
  }
  for (const Sample& sample : samples) {
    refuse(summary, *refused_time(sample.timestamp_ms), labels, sample.timestamp_ms);
  }
  for (const HistogramSample& sample : histograms) {
    if (const std::string_view defect = defect_of(sample.histogram); !defect.empty()) {
      refuse_histogram(summary, labels, sample.timestamp_ms, defect);
    } else {
      refuse(summary, *refused_time(sample.timestamp_ms), labels, sample.timestamp_ms);
    }
  }
  return true;
}

Result<std::optional<LogPosition>> Head::append(const WriteBatch& batch,
                                                const AppendContext& context, storage::Log& log,
                                                AppendSummary& summary) {
  // Hashing reads all label bytes: before the lock.
  thread_local std::vector<Identity> identities;
  identities.resize(batch.series.size());
  for (size_t i = 0; i < batch.series.size(); ++i) {
    if (!has_note(batch.series[i])) identities[i] = hasher_(batch.series[i].labels);
  }

  const std::lock_guard write(write_mutex_);
  const uint64_t stored_before = summary.stored;
  now_ms_ = context.now_ms;
  monotonic_ns_ = context.monotonic_ns;
  limits_ = &context.limits;
  instance_series_max_ = context.instance_series_max;
  const int64_t newest = newest_ms(now_ms_);
  const auto behind = [&](int64_t window) {
    return newest == kNoTime ? kOldestMs : std::max(kOldestMs, newest - window);
  };
  horizon_ms_ = behind(std::max(options_.out_of_order_window_ms, options_.block_range_ms / 2));
  late_horizon_ms_ = behind(options_.out_of_order_window_ms);

  resolve(batch, identities, summary);
  piece_.clear();
  piece_late_ = 0;
  piece_refs_.clear();
  piece_labels_.clear();
  ++batch_number_;
  judge_metadata(batch);
  for (size_t i = 0; i < batch.series.size(); ++i) {
    if (i + kPrefetchAhead < refs_.size() && refs_[i + kPrefetchAhead] != kNoSeries) {
      series_.prefetch(refs_[i + kPrefetchAhead]);
    }
    if (i + kPrefetchAhead / 2 < refs_.size() && refs_[i + kPrefetchAhead / 2] != kNoSeries) {
      series_.at(refs_[i + kPrefetchAhead / 2]).open.prefetch();
    }
    if (refs_[i] == kNoSeries) continue;
    TRY(judge_series(batch, i, identities[i], log, summary));
  }
  TRY(commit_piece(log));
  appended_counter().add(static_cast<double>(summary.stored - stored_before));
  if (summary.stored == stored_before && PETREL_MUTATED("append-duplicates-no-wait")) {
    return std::nullopt;
  }
  return last_position_;
}

Result<void> Head::judge_series(const WriteBatch& batch, size_t i, const Identity& identity,
                                storage::Log& log, AppendSummary& summary) {
  const SeriesRef ref = refs_[i];
  Series& series = series_.at(ref);
  // The same series a second time is judged against what the first one left.
  if (series.batch == batch_number_ || piece_refs_.size() >= kPieceSeriesMax ||
      piece_.samples.size() >= kPieceSamplesMax ||
      piece_.histograms.size() >= kPieceHistogramsMax) {
    TRY(commit_piece(log));
  }
  series.batch = batch_number_;

  const BatchSeries& one = batch.series[i];
  const size_t samples_before = piece_.samples.size();
  const size_t histograms_before = piece_.histograms.size();
  const size_t exemplars_before = piece_.exemplars.size();
  if (one.created_ms != 0) judge_created(series, batch, one);
  if (one.samples_end != one.samples_begin) judge_floats(series, batch.samples_of(one), summary);
  if (one.histograms_end != one.histograms_begin) {
    const uint64_t accepted_before = summary.accepted();
    judge_histograms(series, batch.histograms_of(one), summary);
    summary.histograms += summary.accepted() - accepted_before;
  }
  std::string_view labels = one.labels;
  if (!(identity == series.identity)) {
    // Another spelling, or what the tenant's rules rewrite.
    const bool are_needed =
        !series.logged || one.exemplars_end != one.exemplars_begin || log.wants_all_labels();
    labels = are_needed ? std::string_view(piece_labels_.emplace_back(labels_of(series)))
                        : std::string_view();
  }
  if (one.exemplars_end != one.exemplars_begin) judge_exemplars(batch, one, labels, summary);
  if (piece_.samples.size() == samples_before && piece_.histograms.size() == histograms_before &&
      piece_.exemplars.size() == exemplars_before) {
    return {};
  }
  piece_refs_.push_back(ref);
  piece_.series.push_back({.id = series.id,
                           .labels = labels,
                           .is_new = !series.logged,
                           .samples_end = static_cast<uint32_t>(piece_.samples.size()),
                           .histograms_end = static_cast<uint32_t>(piece_.histograms.size()),
                           .exemplars_end = static_cast<uint32_t>(piece_.exemplars.size()),
                           .logged_value = &series.logged_value});
  return {};
}

// A zero where a counter began to count, so that what it counted before its first sample
// is seen to increase. Only in front of everything the series has.
void Head::judge_created(const Series& series, const WriteBatch& batch, const BatchSeries& one) {
  const int64_t time = one.created_ms;
  const int64_t newest = std::max(
      series.last_time_ms, series.extra == nullptr ? kNoTime : series.extra->last_histogram_ms);
  if (time <= newest || time < closed_before_ms_ || refused_time(time)) return;
  const auto is_later = [time](const auto& sample) { return sample.timestamp_ms > time; };
  const auto samples = batch.samples_of(one);
  const auto histograms = batch.histograms_of(one);
  if (!std::all_of(samples.begin(), samples.end(), is_later) ||
      !std::all_of(histograms.begin(), histograms.end(), is_later)) {
    return;
  }
  if (!samples.empty()) {
    piece_.samples.push_back({time, 0});
  } else if (!histograms.empty() && defect_of(histograms.front().histogram).empty()) {
    const model::Histogram& first = histograms.front().histogram;
    model::Histogram zero;
    zero.schema = first.schema;
    zero.integer_counts = first.integer_counts;
    zero.zero_threshold = first.zero_threshold;
    zero.custom_bounds = first.custom_bounds;
    piece_.histograms.push_back({time, std::move(zero)});
  }
}

void Head::judge_floats(Series& series, std::span<const Sample> samples, AppendSummary& summary) {
  if (samples.size() > 1 && !is_sorted_rising(samples)) {
    sorted_.assign(samples.begin(), samples.end());
    std::stable_sort(sorted_.begin(), sorted_.end(), [](const Sample& a, const Sample& b) {
      return a.timestamp_ms < b.timestamp_ms;
    });
    size_t kept = 1;
    for (size_t i = 1; i < sorted_.size(); ++i) {
      if (sorted_[i].timestamp_ms != sorted_[kept - 1].timestamp_ms) {
        sorted_[kept++] = sorted_[i];
      } else if (model::same_bits(sorted_[i].value, sorted_[kept - 1].value)) {
        ++summary.duplicates;
      } else {
        refuse(summary, RefusalReason::Conflict, series, sorted_[i].timestamp_ms);
      }
    }
    samples = std::span(sorted_).first(kept);
  }
  const int64_t closed = closed_before_ms_;
  for (const Sample& sample : samples) {
    const int64_t time = sample.timestamp_ms;
    if (const std::optional<RefusalReason> reason = refused_time(time)) {
      refuse(summary, *reason, series, time);
      continue;
    }
    if (series.extra != nullptr && series.extra->last_histogram_ms == time) {
      refuse(summary, RefusalReason::Conflict, series, time);
      continue;
    }
    if ((time <= series.last_time_ms || time < closed) && !takes_late(series, sample, summary)) {
      continue;
    }
    piece_.samples.push_back(sample);
    ++summary.stored;
  }
}

std::optional<double> Head::find_float(const Series& series, int64_t time_ms, FloatWork& work) {
  if (time_ms == series.last_time_ms) return series.last_value;
  for (size_t i = series.open.size(); i-- > 0 && series.open.time_ms(i) >= time_ms;) {
    if (series.open.time_ms(i) == time_ms) return series.open.value(i);
  }
  for (const Chunk* chunk = series.chunks; chunk != nullptr && chunk->max_time_ms >= time_ms;
       chunk = chunk->prev) {
    if (chunk->min_time_ms > time_ms) continue;
    std::vector<int64_t>& times = work.times_ms;
    times.clear();
    work.values.clear();
    ENSURE(encoding::decode_float_chunk(chunk->bytes(), times, work.values).has_value());
    const auto at = std::lower_bound(times.begin(), times.end(), time_ms);
    if (at != times.end() && *at == time_ms) {
      return work.values[static_cast<size_t>(at - times.begin())];
    }
  }
  if (series.extra == nullptr) return std::nullopt;
  const auto at = series.extra->late.find(time_ms);
  if (at != series.extra->late.end()) return at->second;
  const auto patch = series.extra->patches.find(time_ms);
  if (patch != series.extra->patches.end()) return patch->second.value;
  return std::nullopt;
}

void Head::judge_histograms(Series& series, std::span<const HistogramSample> samples,
                            AppendSummary& summary) {
  const int64_t last = series.extra == nullptr ? kNoTime : series.extra->last_histogram_ms;
  std::vector<HistogramSample> sorted;
  if (samples.size() > 1 && !is_sorted_rising(samples)) {
    sorted.assign(samples.begin(), samples.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const HistogramSample& a, const HistogramSample& b) {
                       return a.timestamp_ms < b.timestamp_ms;
                     });
    samples = sorted;
  }
  const size_t begin = piece_.histograms.size();
  const int64_t closed = closed_before_ms_;
  for (const HistogramSample& sample : samples) {
    const int64_t time = sample.timestamp_ms;
    if (const std::string_view defect = defect_of(sample.histogram); !defect.empty()) {
      refuse_histogram(summary, labels_of(series), time, defect);
      continue;
    }
    if (const std::optional<RefusalReason> reason = refused_time(time)) {
      refuse(summary, *reason, series, time);
      continue;
    }
    if (time == series.last_time_ms) {
      refuse(summary, RefusalReason::Conflict, series, time);
      continue;
    }
    if (piece_.histograms.size() > begin && piece_.histograms.back().timestamp_ms == time) {
      if (same_histogram(piece_.histograms.back().histogram, sample.histogram)) {
        ++summary.duplicates;
      } else {
        refuse(summary, RefusalReason::Conflict, series, time);
      }
      continue;
    }
    if ((time <= last || time < closed) && !takes_late(series, sample, summary)) continue;
    piece_.histograms.push_back(sample);
    ++summary.stored;
  }
}

const model::Histogram* Head::find_histogram(const SeriesExtra& extra, int64_t time_ms) const {
  const auto find_in = [&](const std::vector<HistogramSample>& samples) {
    const auto at = std::find_if(samples.begin(), samples.end(),
                                 [&](const auto& one) { return one.timestamp_ms == time_ms; });
    return at == samples.end() ? nullptr : &at->histogram;
  };
  if (const model::Histogram* found = find_in(extra.open_histograms)) return found;
  const auto late = extra.late_histograms.find(time_ms);
  if (late != extra.late_histograms.end()) return &late->second;
  const auto patch = extra.histogram_patches.find(time_ms);
  if (patch != extra.histogram_patches.end()) return &patch->second.value;
  for (const Chunk* chunk = extra.histogram_chunks;
       chunk != nullptr && chunk->max_time_ms >= time_ms; chunk = chunk->prev) {
    if (chunk->min_time_ms > time_ms) continue;
    find_histograms_.clear();
    ENSURE(encoding::decode_histogram_chunk(chunk->bytes(), find_histograms_).has_value());
    if (const model::Histogram* found = find_in(find_histograms_)) return found;
  }
  return nullptr;
}

void Head::judge_exemplars(const WriteBatch& batch, const BatchSeries& one, std::string_view labels,
                           AppendSummary& summary) {
  for (const model::Exemplar& given : batch.exemplars_of(one)) {
    model::Exemplar exemplar = given;
    if (exemplar.timestamp_ms == 0) {
      exemplar.timestamp_ms = one.samples_end != one.samples_begin
                                  ? batch.samples[one.samples_end - 1].timestamp_ms
                                  : now_ms_;
    }
    switch (exemplars_.judge(labels, exemplar)) {
      case ExemplarRing::Verdict::New:
        piece_.exemplars.push_back(std::move(exemplar));
        ++summary.exemplars;
        break;
      case ExemplarRing::Verdict::Duplicate:
        ++summary.exemplars;
        break;
      case ExemplarRing::Verdict::OutOfOrder:
        summary.refuse(RefusalReason::OutOfOrder, 1,
                       fmt::format("{}: exemplar at {} is older than the newest one",
                                   model::LabelsView(labels).to_string(), exemplar.timestamp_ms));
        break;
    }
  }
}

void Head::judge_metadata(const WriteBatch& batch) {
  for (const model::Metadata& one : batch.metadata) {
    const auto known = metadata_.find(one.metric);
    if (known != metadata_.end() ? known->second == one : metadata_.size() >= kMetadataMax) {
      continue;
    }
    piece_.metadata.push_back(one);
  }
}

Result<void> Head::commit_piece(storage::Log& log) {
  ++batch_number_;
  if (piece_.empty()) return {};
  piece_.tenant = tenant_;
  piece_.accepted_at_ms = now_ms_;
  Result<LogPosition> position = log.append(piece_);
  if (!position) {
    core::Error& error = position.error();
    if (error.code != ErrorCode::TooLarge) error.code = ErrorCode::Unavailable;
    return tl::unexpected(std::move(position).context("append to the log").error());
  }
  last_position_ = *position;
  {
    const std::lock_guard data(data_mutex_);
    apply(*position, piece_, piece_refs_);
  }
  piece_.clear();
  piece_late_ = 0;
  piece_refs_.clear();
  piece_labels_.clear();
  return {};
}

void Head::apply(LogPosition position, const LogBatch& batch, std::span<const SeriesRef> refs) {
  const int64_t closed = closed_before_ms_;
  uint32_t sample = 0;
  uint32_t histogram = 0;
  uint32_t exemplar = 0;
  for (size_t i = 0; i < batch.series.size(); ++i) {
    if (i + kPrefetchAhead < refs.size() && refs[i + kPrefetchAhead] != kNoSeries) {
      series_.prefetch(refs[i + kPrefetchAhead]);
    }
    if (i + kPrefetchAhead / 2 < refs.size() && refs[i + kPrefetchAhead / 2] != kNoSeries) {
      series_.at(refs[i + kPrefetchAhead / 2]).open.prefetch();
    }
    const storage::LogSeries& one = batch.series[i];
    if (refs[i] == kNoSeries) {
      sample = one.samples_end;
      histogram = one.histograms_end;
      exemplar = one.exemplars_end;
      continue;
    }
    Series& series = series_.at(refs[i]);
    series.logged = true;
    for (; sample < one.samples_end; ++sample) {
      if (batch.samples[sample].timestamp_ms < closed) [[unlikely]] {
        apply_patch(position, refs[i], batch.samples[sample]);
        continue;
      }
      note_position(batch.samples[sample].timestamp_ms, position);
      apply_float(series, refs[i], batch.samples[sample], work_);
    }
    for (; histogram < one.histograms_end; ++histogram) {
      if (batch.histograms[histogram].timestamp_ms < closed) {
        apply_patch(position, refs[i], batch.histograms[histogram]);
        continue;
      }
      note_position(batch.histograms[histogram].timestamp_ms, position);
      apply_histogram(series, batch.histograms[histogram]);
    }
    if (exemplar == one.exemplars_end) continue;
    const std::string labels = labels_of(series);
    for (; exemplar < one.exemplars_end; ++exemplar) {
      if (exemplars_.judge(labels, batch.exemplars[exemplar]) == ExemplarRing::Verdict::New) {
        exemplars_.add(labels, batch.exemplars[exemplar]);
      }
    }
  }
  settle(work_);
  for (const model::Metadata& one : batch.metadata) metadata_[one.metric] = one;
  if (retired_.size() > kRetiredMax) free_retired();
}

void Head::note_position(int64_t time_ms, LogPosition position) {
  if (time_ms > newest_ms_.load(std::memory_order_relaxed)) newest_ms_ = time_ms;
  if (time_ms >= noted_start_ms_ && time_ms < noted_end_ms_) return;
  const int64_t range = options_.block_range_ms;
  int64_t start = time_ms - time_ms % range;
  if (start > time_ms) start -= range;  // before 1970
  range_positions_.try_emplace(start, position);
  noted_start_ms_ = start;
  noted_end_ms_ = start + range;
}

void Head::apply_float(Series& series, SeriesRef ref, const Sample& sample) {
  apply_float(series, ref, sample, work_);
  settle(work_);
}

void Head::apply_float(Series& series, SeriesRef ref, const Sample& sample, FloatWork& work) {
  const int64_t time = sample.timestamp_ms;
  if (time > series.last_time_ms || series.last_time_ms == kNoTime) {
    if (series.open.size() >= open_size_max(series, ref) || !series.open.fits(time)) {
      seal(series, work);
    }
    series.open.add(time, sample.value);
    series.last_time_ms = time;
    series.last_value = sample.value;
    return;
  }
  if (series.extra == nullptr) series.extra = std::make_unique<SeriesExtra>();
  if (series.extra->late.emplace(time, sample.value).second) ++work.late;
}

// The first chunk ends at a place of its own, so that the series of one scrape do not all seal
// in the same request.
size_t Head::open_size_max(const Series& series, SeriesRef ref) {
  return series.chunks == nullptr ? OpenChunk::kCapacityMax / 2 + ref % 17
                                  : OpenChunk::kCapacityMax;
}

size_t Head::seal(Series& series, FloatWork& work, std::span<const int64_t> next_times_ms,
                  std::span<const double> next_values) {
  work.times_ms.clear();
  work.values.clear();
  Chunk* prev = series.chunks;
  const bool joins = prev != nullptr && prev->count + series.open.size() <= kChunkTarget;
  if (joins) {
    ENSURE(encoding::decode_float_chunk(prev->bytes(), work.times_ms, work.values).has_value());
  }
  series.open.copy_to(work.times_ms, work.values);
  // One column of many samples costs less than sealing them again with those that follow.
  const size_t left = next_times_ms.empty() ? 0 : next_times_ms.size() - 1;
  const size_t taken =
      std::min(left, kChunkTarget - std::min<size_t>(kChunkTarget, work.values.size()));
  work.times_ms.insert(work.times_ms.end(), next_times_ms.begin(),
                       next_times_ms.begin() + static_cast<ptrdiff_t>(taken));
  work.values.insert(work.values.end(), next_values.begin(),
                     next_values.begin() + static_cast<ptrdiff_t>(taken));
  work.bytes.clear();
  encoding::append_float_chunk(work.bytes, work.times_ms, work.values, encoding::Effort::Quick);
  Chunk* const sealed =
      Chunk::create(work.bytes, work.times_ms.front(), work.times_ms.back(), work.times_ms.size());
  sealed->prev = joins ? prev->prev : prev;
  series.chunks = sealed;
  series.open.clear();
  ++work.sealed;
  if (joins) work.joined.push_back(prev);
  return taken;
}

void Head::settle(FloatWork& work) {
  late_weight_ += work.late * kFloatWeight;
  chunk_count_ += work.sealed;
  for (Chunk* const chunk : work.joined) retire(chunk);
  work.late = 0;
  work.sealed = 0;
  work.joined.clear();
}

void Head::apply_histogram(Series& series, const HistogramSample& sample) {
  if (series.extra == nullptr) series.extra = std::make_unique<SeriesExtra>();
  SeriesExtra& extra = *series.extra;
  if (sample.timestamp_ms <= extra.last_histogram_ms) {
    if (extra.late_histograms.emplace(sample.timestamp_ms, sample.histogram).second) {
      late_weight_ += kHistogramWeight;
    }
    return;
  }
  if (extra.open_histograms.size() > kHistogramChunk) seal_histograms(extra, 1);
  extra.open_histograms.push_back(sample);
  extra.last_histogram_ms = sample.timestamp_ms;
}

void Head::seal_histograms(SeriesExtra& extra, size_t keep) {
  auto& open = extra.open_histograms;
  const std::span<const HistogramSample> sealed = std::span(open).first(open.size() - keep);
  work_.bytes.clear();
  encoding::append_histogram_chunk(work_.bytes, sealed);
  Chunk* const chunk = Chunk::create(work_.bytes, sealed.front().timestamp_ms,
                                     sealed.back().timestamp_ms, sealed.size());
  chunk->prev = extra.histogram_chunks;
  extra.histogram_chunks = chunk;
  ++chunk_count_;
  open.erase(open.begin(), open.end() - static_cast<ptrdiff_t>(keep));
}

void Head::retire(Chunk* chunk) {
  --chunk_count_;
  if (chunk_epochs_.idle()) return Chunk::destroy(chunk);
  retired_.push_back({chunk_epochs_.close(), chunk});
}

void Head::free_retired() {
  std::erase_if(retired_, [&](const RetiredChunk& one) {
    if (!chunk_epochs_.is_over(one.epoch)) return false;
    Chunk::destroy(one.chunk);
    return true;
  });
}

}  // namespace tsdb
