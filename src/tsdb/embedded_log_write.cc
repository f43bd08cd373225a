// The way of records to the disk: one thread writes and syncs for all.

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/embedded_log_impl.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogPosition;

namespace {

// A segment takes at most this part of the space that is left, but not less than the
// second figure: below it the syncs of new segments would dominate.
constexpr uint64_t kSegmentDiskShare = 16;
constexpr uint64_t kSegmentBytesMin = 256 << 10;

core::DurationHistogram& fsync_duration() {
  static core::DurationHistogram& metric = core::duration_histogram(
      "petrel_log_fsync_duration_seconds", "Time that a sync of the log took.");
  return metric;
}
core::Counter& written_bytes() {
  static core::Counter& metric =
      core::counter("petrel_log_written_bytes_total", "Bytes written to the log.");
  return metric;
}
core::Counter& written_records() {
  static core::Counter& metric =
      core::counter("petrel_log_records_total", "Batches made durable in the log.");
  return metric;
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

void EmbeddedLog::Buffer::clear() {
  bytes.clear();
  starts.clear();
  placements.clear();
}

void EmbeddedLog::Buffer::add(std::string_view header, std::string_view payload,
                              Placement placement) {
  starts.push_back(bytes.size());
  placements.push_back(placement);
  bytes += header;
  bytes += payload;
}

std::string_view EmbeddedLog::Buffer::finish(size_t begin, size_t end, uint32_t salt) {
  for (size_t i = begin; i < end; ++i) {
    finish_record_header(bytes.data() + starts[i], first + i, salt);
  }
  return std::string_view(bytes).substr(starts[begin], end_of(end - 1) - starts[begin]);
}

// One round: the calling thread writes and syncs what all have appended so far, while
// others append to the next round's buffer.
Result<void> EmbeddedLog::commit(std::unique_lock<std::mutex>& lock) {
  ENSURE(!committing_);
  if (stalled_ && clock_.monotonic_ns() < retry_at_ns_) return log_unavailable(*stalled_);
  committing_ = true;
  if (written_ == writing_.size()) {
    writing_.clear();
    written_ = 0;
    std::swap(writing_, pending_);
  }
  lock.unlock();
  const Result<void> written = write_out();
  lock.lock();
  committing_ = false;
  durable_end_ = synced_end_;
  note_room();
  stalled_.reset();
  if (!written) {
    log_write_failures().add();
    core::log_error("log", broken_ ? "writes stop until the next start" : "no space to write to",
                    {{"dir", options_.dir}, {"error", written.error().message}});
    const bool is_for_good = broken_ && !PETREL_MUTATED("log-goes-on-after-failure");
    (is_for_good ? failed_ : stalled_) = written.error();
    retry_at_ns_ = clock_.monotonic_ns() + kLogRetryNs;
  }
  changed_.notify_all();
  if (!written) return log_unavailable(written.error());
  return {};
}

bool EmbeddedLog::needs_segment(size_t record) const {
  if (active_ == nullptr) return true;
  const Placement placement = writing_.placements[record];
  if (placement == Placement::Bound) return false;
  const bool is_used = active_offset_ > kSegmentHeaderBytes;
  if (placement == Placement::NewSegment && is_used) return true;
  const uint64_t bytes = writing_.end_of(record) - writing_.starts[record] + kMarkBytesMax;
  return active_bytes_ - active_offset_ < bytes;
}

// For a record that cannot begin a segment: the next one that can will.
Result<void> EmbeddedLog::widen_segment(uint64_t bytes) {
  if (active_bytes_ - active_offset_ >= bytes) return {};
  const uint64_t size = active_offset_ + bytes;
  const Result<core::DiskSpace> space = files_.disk_space(options_.dir);
  const uint64_t more = size - active_bytes_;
  if (space && options_.reserve_bytes > 0 &&
      space->available_bytes < options_.reserve_bytes + more &&
      !PETREL_MUTATED("log-takes-reserve")) {
    return no_space(space->available_bytes);
  }
  TRY(active_->allocate(size).context("log: {} bytes for a segment", size));
  active_bytes_ = size;
  return {};
}

// With the lock. A segment may be smaller than was expected, or was widened.
void EmbeddedLog::note_room() {
  const bool is_newest = pending_.size() == 0 && written_ == writing_.size();
  if (is_newest) end_offset_max_ = active_offset_;
  newest_bytes_ =
      active_ == nullptr ? options_.segment_bytes : std::min(active_bytes_, options_.segment_bytes);
}

// As many records at a time as fit into the segment.
Result<void> EmbeddedLog::write_out() {
  if (unproven_.size() > 0) TRY(start_segment(unproven_.first, 0));
  while (written_ < writing_.size()) {
    const size_t begin = written_;
    const uint64_t first_bytes = writing_.end_of(begin) - writing_.starts[begin] + kMarkBytesMax;
    if (needs_segment(begin)) {
      ENSURE(writing_.placements[begin] != Placement::Bound);
      TRY(start_segment(writing_.first + begin, first_bytes));
    }
    TRY(widen_segment(first_bytes));
    const uint64_t room = active_bytes_ - active_offset_ - kMarkBytesMax;
    size_t end = begin + 1;
    while (end < writing_.size() && writing_.placements[end] != Placement::NewSegment &&
           writing_.end_of(end) - writing_.starts[begin] <= room) {
      ++end;
    }
    TRY(write_run(begin, end));
    written_ = end;
    synced_end_ = writing_.first + end;
    written_records().add(static_cast<double>(end - begin));
  }
  return {};
}

Result<void> EmbeddedLog::write_run(size_t begin, size_t end) {
  const std::string mark = encode_mark(writing_.first + begin, synced_end_, active_salt_);
  return write_and_sync(mark, writing_.finish(begin, end, active_salt_));
}

// After an error nobody knows what the file holds: it is not written to again.
Result<void> EmbeddedLog::write_and_sync(std::string_view mark, std::string_view records) {
  broken_ = true;
  TRY(active_->write_at(active_offset_, mark));
  if (!records.empty()) TRY(active_->write_at(active_offset_ + mark.size(), records));
  active_offset_ += mark.size() + records.size();
  const int64_t begin_ns = clock_.monotonic_ns();
  if (!PETREL_MUTATED("log-no-sync")) TRY(active_->sync());
  fsync_duration().observe(static_cast<double>(clock_.monotonic_ns() - begin_ns) * 1e-9);
  written_bytes().add(static_cast<double>(mark.size() + records.size()));
  broken_ = false;
  return {};
}

// The file gets its name only when its header is durable, so a segment always has one.
// Failing before that leaves the log as it was; a file or a folder whose sync failed is
// not synced again.
Result<void> EmbeddedLog::start_segment(LogPosition first, uint64_t bytes_min) {
  active_.reset();
  active_salt_ = PETREL_MUTATED("log-no-salt") ? 1 : static_cast<uint32_t>(rng_.next());
  const bool rewrites = unproven_.size() > 0;
  if (rewrites) first = unproven_.first;
  std::string content = encode_segment_header({.first = first, .salt = active_salt_});
  if (rewrites && !PETREL_MUTATED("log-no-rewrite")) {
    content += unproven_.finish(0, unproven_.size(), active_salt_);
  }
  const uint64_t bytes = std::max(TRY(segment_bytes()), content.size() + bytes_min);
  const std::string prepared =
      TRY(prepare_file(content, bytes).context("log: new segment for record {}", first));
  const std::string name = segment_name(first);
  TRY(files_.rename(path(prepared), path(name)).context("log"));
  broken_ = true;
  if (!PETREL_MUTATED("log-no-dir-sync")) TRY(files_.sync_dir(options_.dir).context("log"));
  // Under its own name, for the sake of error messages.
  active_ = TRY(files_.open(path(name), core::OpenMode::ReadWrite).context("log"));
  active_bytes_ = TRY(active_->size().context("log"));
  broken_ = false;
  active_offset_ = content.size();
  synced_end_ = first + unproven_.size();
  unproven_ = {};
  add_segment(first, name);
  return {};
}

// It has its name for sure: from now on it is missed when it is gone.
void EmbeddedLog::add_segment(LogPosition first, const std::string& name) {
  const std::lock_guard bounds(bounds_mutex_);
  {
    const std::lock_guard lock(mutex_);
    // One of an earlier life with the same name had nothing that this one lacks.
    if (!segments_.empty() && segments_.back().first == first) segments_.pop_back();
    segments_.push_back({.first = first, .name = name});
  }
  has_bounds_ = true;
  note_bounds({.low = bounds_.low, .newest = first, .end = synced_end_});
}

Result<void> EmbeddedLog::write_bounds(const std::string& text) {
  if (!PETREL_MUTATED("log-bounds-no-sync") && !PETREL_MUTATED("log-bounds-no-dir-sync")) {
    return files_.write_file_atomically(bounds_path(), text);
  }
  // What is broken on purpose.
  const std::string temporary = bounds_path() + ".tmp";
  const auto file = TRY(files_.open(temporary, core::OpenMode::CreateOrTruncate));
  TRY(file->write_at(0, text));
  if (!PETREL_MUTATED("log-bounds-no-sync")) TRY(file->sync());
  TRY(files_.rename(temporary, bounds_path()));
  if (PETREL_MUTATED("log-bounds-no-dir-sync")) return {};
  return files_.sync_dir(parent_of(bounds_path()));
}

// With bounds_mutex_. What is stored stays true when this fails, unless the log is to begin
// later: without a file nothing is checked. Fails when it is neither stored nor removed.
Result<void> EmbeddedLog::store_bounds(const LogBounds& next) {
  are_bounds_stored_ = false;
  Result<void> stored = write_bounds(next.encode());
  if (!stored) {
    core::log_warn("log", "the bounds of the log are not stored",
                   {{"error", stored.error().message}});
    (void)files_.remove(bounds_path() + ".tmp");
    if (files_.exists(bounds_path())) TRY(files_.remove(bounds_path()).context("log"));
    TRY(files_.sync_dir(parent_of(bounds_path())).context("log"));
  }
  are_bounds_stored_ = true;
  bounds_ = next;
  return {};
}

void EmbeddedLog::note_bounds(const LogBounds& next) {
  if (const Result<void> stored = store_bounds(next); !stored) {
    core::log_warn("log", "old bounds of the log stay", {{"error", stored.error().message}});
  }
}

tl::unexpected<core::Error> EmbeddedLog::no_space(uint64_t available) const {
  return core::fail(ErrorCode::LimitExceeded,
                    "{} bytes of the disk are free and {} are reserved: no space for a segment",
                    available, options_.reserve_bytes);
}

// Smaller where space is short, so that a small disk serves until it is full. What is
// reserved is for blocks, which make room in the log.
Result<uint64_t> EmbeddedLog::segment_bytes() const {
  const Result<core::DiskSpace> space = files_.disk_space(options_.dir);
  if (!space) return options_.segment_bytes;
  const uint64_t available = space->available_bytes;
  if (options_.reserve_bytes > 0 && available < options_.reserve_bytes + kSegmentBytesMin &&
      !PETREL_MUTATED("log-takes-reserve")) {
    return no_space(available);
  }
  const uint64_t share = (available - options_.reserve_bytes) / kSegmentDiskShare;
  return std::min(options_.segment_bytes, std::max(share, kSegmentBytesMin));
}

// A spare, or a new file; its name. Sets active_.
Result<std::string> EmbeddedLog::prepare_file(const std::string& content, uint64_t bytes) {
  std::string spare;
  if (bytes <= options_.segment_bytes) {
    const std::lock_guard lock(mutex_);
    if (!spares_.empty()) {
      spare = spares_.back();
      spares_.pop_back();
    }
  }
  if (!spare.empty()) {
    const Result<void> filled = fill_file(spare, core::OpenMode::ReadWrite, content, bytes);
    if (filled) return spare;
    core::log_warn("log", "spare segment not usable", {{"error", filled.error().message}});
    active_.reset();
    TRY(files_.remove(path(spare)));
  }
  const std::string temporary(kTemporary);
  Result<void> filled = fill_file(temporary, core::OpenMode::CreateOrTruncate, content, bytes);
  if (filled) return temporary;
  active_.reset();
  if (const Result<void> removed = files_.remove(path(temporary)); !removed) {
    core::log_debug("log", "no file to remove", {{"error", removed.error().message}});
  }
  return tl::unexpected(std::move(filled).error());
}

Result<void> EmbeddedLog::fill_file(const std::string& name, core::OpenMode mode,
                                    const std::string& content, uint64_t bytes) {
  active_ = TRY(files_.open(path(name), mode));
  TRY(active_->allocate(bytes));
  TRY(active_->write_at(0, content));
  if (PETREL_MUTATED("log-no-segment-sync")) return {};
  return active_->sync();
}

}  // namespace tsdb
