#include "tsdb/embedded_log.h"

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/embedded_log_impl.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogBatch;
using storage::LogPosition;

namespace {

// A disk that hangs must not hold those who share its sync for ever.
constexpr std::chrono::seconds kWaitMax(30);
// The encoding buffer is kept up to this size.
constexpr size_t kScratchBytesMax = 4 << 20;

}  // namespace

core::Counter& log_write_failures() {
  static core::Counter& metric = core::counter("petrel_log_write_failures_total",
                                               "Writes, syncs and segment creations that failed.");
  return metric;
}

EmbeddedLog::EmbeddedLog(EmbeddedLogOptions options, core::FileSystem& files,
                         const core::Clock& clock, core::Rng& rng)
    : options_(std::move(options)), files_(files), clock_(clock), rng_(rng) {}

EmbeddedLog::~EmbeddedLog() {
  close();
}

// The last mark tells the next open that everything before it was durable.
void EmbeddedLog::close() {
  std::unique_lock lock(mutex_);
  while (!failed_ && (pending_.size() > 0 || written_ < writing_.size())) {
    if (!commit(lock)) break;
  }
  if (failed_ || stalled_ || active_ == nullptr) return;
  if (active_bytes_ - active_offset_ < kMarkBytesMax) return;
  const std::string mark = encode_mark(synced_end_, synced_end_, active_salt_);
  const Result<void> written = write_and_sync(mark, {});
  if (!written) {
    core::log_warn("log", "no closing mark written", {{"error", written.error().message}});
    return;
  }
  lock.unlock();
  {
    const std::lock_guard bounds(bounds_mutex_);
    LogBounds next = bounds_;
    next.end = synced_end_;
    next.is_closed = true;
    note_bounds(next);
  }
  // The next start does not have to read what was never used.
  if (const Result<void> trimmed = active_->truncate(active_offset_); !trimmed) {
    core::log_warn("log", "unused space stays", {{"error", trimmed.error().message}});
  }
}

// Another thread writes. What becomes of the record is not known after the deadline.
Result<void> EmbeddedLog::wait_for_others(std::unique_lock<std::mutex>& lock,
                                          std::chrono::steady_clock::time_point deadline) {
  if (changed_.wait_until(lock, deadline) == std::cv_status::no_timeout) return {};
  return core::fail(ErrorCode::Unavailable,
                    "the log takes no writes: the disk has not answered "
                    "for {} s",
                    kWaitMax.count());
}

Result<void> EmbeddedLog::refusal() const {
  if (failed_) return log_unavailable(*failed_);
  return {};
}

// A run ends with its segment: where that is full, as far as can be told now, both begin anew.
EmbeddedLog::Placement EmbeddedLog::place_in_run(const LogBatch& batch) {
  const bool is_full = end_offset_max_ + guess_run_bytes(batch) > newest_bytes_;
  const int64_t age_ms = batch.accepted_at_ms - run_accepted_at_ms_;
  const bool is_over = age_ms < 0 || age_ms >= options_.run_ms_max;
  if (is_run_open_ && !is_full && !is_over) return Placement::Bound;
  is_run_open_ = true;
  run_first_ = high_;
  run_accepted_at_ms_ = batch.accepted_at_ms;
  ++run_;
  if (!is_full) return Placement::Any;
  end_offset_max_ = kSegmentHeaderBytes;
  newest_bytes_ = options_.segment_bytes;
  return Placement::NewSegment;
}

// Appends what follows the header. Of a batch whose values the writer keeps, what changed of
// them; another one ends the run, so that it may be the first of a segment.
Result<EmbeddedLog::Placement> EmbeddedLog::encode(const LogBatch& batch, std::string& payload) {
  Placement placement = Placement::Any;
  if (options_.run_ms_max > 0 && fits_run(batch)) {
    placement = place_in_run(batch);
    payload.push_back(static_cast<char>(RecordKind::Run));
    append_run_payload(payload, batch, high_ - run_first_, run_);
  } else {
    is_run_open_ = false;
    payload.push_back(static_cast<char>(RecordKind::Batch));
    append_batch_payload(payload, batch);
  }
  if (payload.size() > kPayloadBytesMax) {
    is_run_open_ = false;  // the kept values are those of a record that the log does not have
    return core::fail(ErrorCode::TooLarge, "a batch of {} bytes, the log takes {} at most",
                      payload.size(), kPayloadBytesMax);
  }
  end_offset_max_ += kMarkBytesMax + kRecordHeaderBytes + payload.size();
  return placement;
}

Result<LogPosition> EmbeddedLog::append(const LogBatch& batch) {
  std::unique_lock lock(mutex_);
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (true) {
    TRY(refusal());
    const bool full = pending_.size() > 0 &&
                      pending_.bytes.size() + guess_run_bytes(batch) > options_.pending_bytes_max;
    if (!full && !stalled_) break;
    if (committing_) {
      TRY(wait_for_others(lock, deadline));
    } else {
      TRY(commit(lock));
    }
  }
  // With the lock: what a record says depends on the one before it.
  scratch_.clear();
  if (scratch_.capacity() > kScratchBytesMax) scratch_.shrink_to_fit();
  const Placement placement = TRY(encode(batch, scratch_));
  const std::array<char, kRecordHeaderBytes> header = begin_record_header(scratch_);
  const LogPosition position = high_++;
  if (pending_.size() == 0) pending_.first = position;
  pending_.add({header.data(), header.size()}, scratch_, placement);
  return position;
}

Result<void> EmbeddedLog::wait_durable(LogPosition position) {
  std::unique_lock lock(mutex_);
  ENSURE(position < high_);
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (durable_end_ <= position) {
    TRY(refusal());
    if (committing_) {
      TRY(wait_for_others(lock, deadline));
    } else {
      TRY(commit(lock));
    }
  }
  return {};
}

LogPosition EmbeddedLog::low() const {
  const std::lock_guard lock(mutex_);
  // Without a segment what was appended is still to be written.
  return segments_.empty() ? durable_end_ : segments_.front().first;
}

LogPosition EmbeddedLog::high() const {
  const std::lock_guard lock(mutex_);
  return high_;
}

Result<void> EmbeddedLog::writable() const {
  const std::lock_guard lock(mutex_);
  if (failed_) return log_unavailable(*failed_);
  if (stalled_) return log_unavailable(*stalled_);
  return {};
}

bool EmbeddedLog::has_failed() const {
  const std::lock_guard lock(mutex_);
  return failed_.has_value();
}

// Asked of the files: those of earlier lives are cut to what was used of them, those that
// were made on a small disk are small.
uint64_t EmbeddedLog::size_bytes() const {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    names = spares_;
    for (const Segment& one : segments_) names.push_back(one.name);
  }
  uint64_t bytes = 0;
  for (const std::string& name : names) {
    const auto file = files_.open(path(name), core::OpenMode::Read);
    if (file) bytes += (*file)->size().value_or(0);  // not when it was removed meanwhile
  }
  return bytes;
}

uint64_t EmbeddedLog::segment_count() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

// Before a segment goes it is no longer missed.
Result<void> EmbeddedLog::note_truncation(LogPosition position) {
  const std::lock_guard bounds(bounds_mutex_);
  LogBounds next = bounds_;
  {
    const std::lock_guard lock(mutex_);
    next.end = std::max(next.end, durable_end_);
    size_t kept = 0;
    while (kept + 1 < segments_.size() && segments_[kept + 1].first <= position) ++kept;
    if (kept > 0) next.low = segments_[kept].first;
  }
  // No segment has its name for sure, and no file says so: the first one that does must not
  // bring the old beginning back.
  if (!has_bounds_) {
    bounds_ = next;
    return {};
  }
  // What a process before this one renamed and did not sync may not outlive a power failure.
  if (next == bounds_ && are_bounds_stored_) return {};
  return store_bounds(next);
}

// Oldest first, each made durable before the next: a crash leaves no gap in the middle.
Result<void> EmbeddedLog::truncate_before(LogPosition position) {
  const std::lock_guard truncating(truncating_);
  {
    const std::lock_guard lock(mutex_);
    if (has_unread_) {
      return core::fail(ErrorCode::Unavailable,
                        "the log is not truncated: a part of it could not be read");
    }
  }
  if (!PETREL_MUTATED("log-truncate-keeps-bounds")) TRY(note_truncation(position));
  while (true) {
    Segment oldest;
    // A spare is no use to a disk that is full.
    bool keep = segment_bytes().has_value();
    {
      const std::lock_guard lock(mutex_);
      const bool is_early = PETREL_MUTATED("log-truncate-too-early");
      if (segments_.size() < 2 || (segments_[1].first > position && !is_early)) return {};
      oldest = segments_.front();
      keep = keep && spares_.size() < options_.spare_segments_max && !oldest.is_damaged;
    }
    const std::string spare = std::string(kSparePrefix) + oldest.name;
    if (keep) {
      TRY(files_.rename(path(oldest.name), path(spare)).context("log"));
    } else if (oldest.is_damaged && !oldest.is_kept_aside) {
      const std::string aside = path(oldest.name).append(kLogDamagedSuffix);
      TRY(files_.rename(path(oldest.name), aside).context("log"));
      log_damaged_files().add(1);
    } else {
      TRY(files_.remove(path(oldest.name)).context("log"));
    }
    if (!PETREL_MUTATED("log-truncate-no-dir-sync")) {
      TRY(files_.sync_dir(options_.dir).context("log"));
    }
    const std::lock_guard lock(mutex_);
    segments_.pop_front();
    if (keep) spares_.push_back(spare);
  }
}

}  // namespace tsdb
