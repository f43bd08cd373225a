#include "tsdb/embedded_log.h"

#include "core/log.h"
#include "core/metrics.h"
#include "core/mutation.h"
#include "tsdb/embedded_log_record.h"
#include "tsdb/embedded_log_segment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogBatch;
using storage::LogDamage;
using storage::LogPosition;

namespace {

constexpr std::string_view kSegmentSuffix = ".log";
constexpr std::string_view kSparePrefix = "spare-";
constexpr std::string_view kTemporary = "next.tmp";
constexpr std::string_view kDamagedSuffix = ".damaged";
constexpr size_t kPositionDigits = 20;  // of 2^64, so that names sort by position
constexpr size_t kMarkBytesMax = kRecordHeaderBytes + 1 + 10;
// A segment takes at most this part of the space that is left, but not less than the
// second figure: below it the syncs of new segments would dominate.
constexpr uint64_t kSegmentDiskShare = 16;
constexpr uint64_t kSegmentBytesMin = 256 << 10;
// A full disk is asked again this often, not with every request.
constexpr int64_t kRetryNs = 1'000'000'000;
// A disk that hangs must not hold those who share its sync for ever.
constexpr std::chrono::seconds kWaitMax(30);
// Pieces in which a file is read that cannot be read as a whole.
constexpr uint64_t kPieceBytes = 4096;
// Threads keep their encoding buffer up to this size.
constexpr size_t kScratchBytesMax = 4 << 20;

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
core::Counter& write_failures() {
  static core::Counter& metric = core::counter("petrel_log_write_failures_total",
                                               "Writes, syncs and segment creations that failed.");
  return metric;
}

core::Counter& corruptions() {
  static core::Counter& metric =
      core::counter("petrel_log_corruptions_total",
                    "Damaged places found in the log: acknowledged samples may be lost.");
  return metric;
}
core::Gauge& lost_records() {
  static core::Gauge& metric =
      core::gauge("petrel_log_lost_records",
                  "Batches of the log, found damaged since the start, that are lost.");
  return metric;
}
core::Gauge& damaged_files() {
  static core::Gauge& metric =
      core::gauge("petrel_log_damaged_files", "Damaged segments of the log that are kept aside.");
  return metric;
}

std::string segment_name(LogPosition first) {
  return fmt::format("{:0{}}{}", first, kPositionDigits, kSegmentSuffix);
}

std::optional<LogPosition> parse_segment_name(std::string_view name) {
  if (name.size() != kPositionDigits + kSegmentSuffix.size()) return {};
  if (!name.ends_with(kSegmentSuffix)) return {};
  LogPosition first = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kPositionDigits, first);
  if (error != std::errc() || end != name.data() + kPositionDigits) return {};
  return first;
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

tl::unexpected<core::Error> unavailable(const core::Error& cause) {
  return core::fail(ErrorCode::Unavailable, "the log takes no writes: {}", cause.message);
}

}  // namespace

void EmbeddedLog::Buffer::clear() {
  bytes.clear();
  starts.clear();
}

void EmbeddedLog::Buffer::add(std::string_view header, std::string_view payload) {
  starts.push_back(bytes.size());
  bytes += header;
  bytes += payload;
}

std::string_view EmbeddedLog::Buffer::finish(size_t begin, size_t end, uint32_t salt) {
  for (size_t i = begin; i < end; ++i) {
    finish_record_header(bytes.data() + starts[i], first + i, salt);
  }
  return std::string_view(bytes).substr(starts[begin], end_of(end - 1) - starts[begin]);
}

EmbeddedLog::EmbeddedLog(EmbeddedLogOptions options, core::FileSystem& files,
                         const core::Clock& clock, core::Rng& rng)
    : options_(std::move(options)), files_(files), clock_(clock), rng_(rng) {}

Result<std::unique_ptr<EmbeddedLog>> EmbeddedLog::open(EmbeddedLogOptions options,
                                                       core::FileSystem& files,
                                                       const core::Clock& clock, core::Rng& rng) {
  std::unique_ptr<EmbeddedLog> log(new EmbeddedLog(std::move(options), files, clock, rng));
  const std::string& dir = log->options_.dir;
  TRY(files.create_dirs(dir).context("log"));
  corruptions().add(0);
  lost_records().set(0);
  TRY(log->find_segments());
  log->load_bounds();
  if (!log->segments_.empty()) TRY(log->find_end());
  log->find_missing_end();
  log->find_missing_begin();
  log->durable_end_ = log->found_end_ - log->unproven_.size();
  log->synced_end_ = log->durable_end_;
  log->high_ = log->found_end_;
  log->begin_bounds();

  const Result<void> started = log->start_segment(log->high_, 0);
  if (!started) {
    core::log_error("log", "opened for reading only",
                    {{"dir", dir}, {"error", started.error().message}});
    write_failures().add();
    (log->broken_ ? log->failed_ : log->stalled_) = started.error();
    log->retry_at_ns_ = clock.monotonic_ns() + kRetryNs;
  }
  log->durable_end_ = log->synced_end_;
  return log;
}

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

Result<void> EmbeddedLog::find_segments() {
  const std::vector<std::string> names = TRY(files_.list(options_.dir).context("log"));
  double kept_aside = 0;
  for (const std::string& name : names) {
    if (const std::optional<LogPosition> first = parse_segment_name(name)) {
      segments_.push_back({.first = *first, .name = name});
    } else if (name.starts_with(kSparePrefix) && spares_.size() < options_.spare_segments_max) {
      spares_.push_back(name);
    } else if (name.starts_with(kSparePrefix) || name == kTemporary) {
      // Nothing of value; a read-only disk may keep it.
      if (const Result<void> removed = files_.remove(path(name)); !removed) {
        core::log_warn("log", "left-over file stays", {{"error", removed.error().message}});
      }
    } else if (name.ends_with(kDamagedSuffix)) {
      ++kept_aside;
    } else {
      core::log_warn("log", "unknown file in the log's folder", {{"path", path(name)}});
    }
  }
  damaged_files().set(kept_aside);
  // On the disk a spare may still have the name of a segment, if the process was killed in
  // between: what is written to it now would be found there after a loss of power.
  if (!spares_.empty() && !PETREL_MUTATED("log-spares-no-dir-sync")) {
    if (const Result<void> synced = files_.sync_dir(options_.dir); !synced) {
      core::log_warn("log", "spare segments not usable", {{"error", synced.error().message}});
      spares_.clear();
    }
  }
  return {};
}

// A disk that cannot read a part of a file gives the rest; zeros stand for that part.
std::string EmbeddedLog::read_what_is_there(const std::string& file, Loaded& loaded) const {
  const auto note = [&](uint64_t offset, const core::Error& error) {
    if (loaded.unreadable_at) return;
    loaded.unreadable_at = offset;
    loaded.damage = storage::LogDamage{.file = file, .offset = offset, .what = error.message};
  };
  const Result<std::unique_ptr<core::File>> opened = files_.open(file, core::OpenMode::Read);
  if (!opened) {
    note(0, opened.error());
    return {};
  }
  const Result<uint64_t> size = (*opened)->size();
  if (!size) {
    note(0, size.error());
    return {};
  }
  if (Result<std::string> whole = (*opened)->read_at(0, *size)) return *std::move(whole);
  std::string bytes(*size, '\0');
  for (uint64_t at = 0; at < *size; at += kPieceBytes) {
    const Result<std::string> piece = (*opened)->read_at(at, kPieceBytes);
    if (piece) {
      std::copy(piece->begin(), piece->end(), bytes.begin() + static_cast<ptrdiff_t>(at));
    } else {
      note(at, piece.error());
    }
  }
  return bytes;
}

// Fails only for a version of the future.
Result<EmbeddedLog::Loaded> EmbeddedLog::load(const Segment& segment) {
  Loaded loaded;
  const std::string file = path(segment.name);
  loaded.bytes = read_what_is_there(file, loaded);
  Result<SegmentHeader> header = decode_segment_header(loaded.bytes);
  if (header && header->first != segment.first) {
    header =
        core::fail(ErrorCode::Corruption, "the header names record {} as its first", header->first);
  }
  if (header) {
    loaded.header = *header;
  } else if (header.error().code == ErrorCode::Unsupported) {
    return tl::unexpected(std::move(header).context("log segment {}", file).error());
  } else {
    loaded.header = {.first = segment.first,
                     .salt = recover_salt(loaded.bytes, segment.first).value_or(0)};
    if (!loaded.damage) {
      loaded.damage = storage::LogDamage{.file = file, .offset = 0, .what = header.error().message};
    }
  }
  if (loaded.damage) loaded.damage->first = loaded.damage->end = segment.first;
  return loaded;
}

storage::LogDamage EmbeddedLog::damage_of(const Segment& segment, const SegmentReader::Gap& gap,
                                          const core::Error& error) const {
  return {.first = gap.first,
          .end = gap.end,
          .file = path(segment.name),
          .offset = gap.offset,
          .what = error.message};
}

// What was found before is found again by every replay, which may know more about it.
void EmbeddedLog::note_damage(const storage::LogDamage& damage) {
  {
    const std::lock_guard lock(mutex_);
    for (storage::LogDamage& known : damage_) {
      if (known.file != damage.file || known.offset != damage.offset) continue;
      known.accepted_after_ms = damage.accepted_after_ms;
      known.accepted_before_ms = damage.accepted_before_ms;
      return;
    }
    const auto behind =
        std::find_if(damage_.begin(), damage_.end(),
                     [&](const storage::LogDamage& one) { return one.first > damage.first; });
    damage_.insert(behind, damage);
  }
  corruptions().add();
  lost_records().add(static_cast<double>(damage.lost()));
  core::log_error("log", "the log is damaged: what is whole before and behind it is kept",
                  {{"file", damage.file},
                   {"offset", damage.offset},
                   {"first_lost_record", damage.first},
                   {"lost_records", damage.lost()},
                   {"all_known", damage.end_is_known},
                   {"error", damage.what}});
  keep_aside(damage.file.substr(options_.dir.size() + 1));
}

// A second name outlives the truncation of the log. Where there can be none, truncation
// gives the file that name instead of removing it.
void EmbeddedLog::keep_aside(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    const auto segment = std::find_if(segments_.begin(), segments_.end(),
                                      [&](const Segment& one) { return one.name == name; });
    if (segment == segments_.end() || segment->is_damaged) return;
    segment->is_damaged = true;
  }
  const std::string aside = path(name).append(kDamagedSuffix);
  const Result<void> linked = files_.link(path(name), aside);
  if (!linked && linked.error().code != ErrorCode::Conflict) {
    core::log_warn("log", "the damaged segment has no second name yet",
                   {{"error", linked.error().message}});
    return;
  }
  if (linked) damaged_files().add(1);
  const std::lock_guard lock(mutex_);
  for (Segment& one : segments_) one.is_kept_aside |= one.name == name;
}

std::vector<storage::LogDamage> EmbeddedLog::damage() const {
  const std::lock_guard lock(mutex_);
  return damage_;
}

// Reads the newest segment to its end.
Result<void> EmbeddedLog::find_end() {
  const Segment newest = segments_.back();
  const Loaded loaded = TRY(load(newest));
  const auto checksums =
      options_.skip_checksums_for_test ? Checksums::SkipForTest : Checksums::Verify;
  SegmentReader reader(loaded.bytes, loaded.header, std::nullopt, checksums);
  LogPosition proven_end = loaded.header.first;
  bool is_damaged = loaded.damage.has_value();
  while (true) {
    const Result<std::optional<SegmentReader::Record>> record = reader.next();
    if (record && !*record) break;
    // A mark before this record, or behind damage, proves all that came earlier.
    if (!record || reader.proven_end() > proven_end) {
      proven_end = std::max(proven_end, reader.proven_end());
      unproven_.clear();
    }
    if (!record) {
      note_damage(damage_of(newest, reader.pass_over(), record.error()));
      is_damaged = true;
      continue;
    }
    if (unproven_.size() == 0) unproven_.first = (*record)->position;
    unproven_.add((*record)->bytes, {});
  }
  found_end_ = reader.position();
  found_end_offset_ = reader.offset();
  if (reader.proven_end() == found_end_) unproven_.clear();
  const uint64_t used = used_size(loaded.bytes);
  if (loaded.damage) {
    // Where the disk gave nothing the end of the log may have been; and a file without a whole
    // record, whose header was durable before it got its name, may have had some. The next
    // segment must not take its name.
    const bool is_all_there = found_bounds_ && found_bounds_->is_closed &&
                              found_bounds_->newest == newest.first &&
                              found_bounds_->end <= found_end_;
    const bool is_end_unknown =
        !is_all_there &&
        (found_end_ == newest.first || loaded.unreadable_at.value_or(0) > reader.offset());
    if (!is_end_unknown || loaded.damage->offset != reader.offset()) note_damage(*loaded.damage);
    if (is_end_unknown) {
      storage::LogDamage rest = *loaded.damage;
      rest.first = found_end_;
      if (unproven_.size() == 0) ++found_end_;
      if (found_bounds_ && found_bounds_->end > found_end_) {
        found_end_ = found_bounds_->end;
        unproven_.clear();
      }
      rest.end = found_end_;
      rest.end_is_known = false;
      rest.offset = reader.offset();
      note_damage(rest);
    }
  }
  if (found_bounds_ && found_bounds_->end > found_end_ &&
      segments_.back().first >= found_bounds_->newest) {
    // A torn tail ends behind what was durable: something took the rest from outside.
    note_damage({.first = found_end_,
                 .end = found_bounds_->end,
                 .end_is_known = found_bounds_->is_closed,
                 .file = path(newest.name),
                 .offset = reader.offset(),
                 .what = fmt::format("records before {} were durable, says {}", found_bounds_->end,
                                     bounds_path())});
    is_damaged = true;
    found_end_ = found_bounds_->end;
    unproven_.clear();
  }
  // Torn bytes stay, for whoever wants to look at them.
  if (!is_damaged) trim(newest, std::max<uint64_t>(reader.offset(), used));
  return {};
}

void EmbeddedLog::load_bounds() {
  if (!files_.exists(bounds_path())) return;
  const Result<std::string> text = files_.read_file(bounds_path());
  const Result<LogBounds> bounds =
      text ? LogBounds::decode(*text).context("{}", bounds_path()) : tl::unexpected(text.error());
  if (bounds) {
    found_bounds_ = *bounds;
    return;
  }
  core::log_warn("log", "whether the log has its first and last records cannot be checked",
                 {{"error", bounds.error().message}});
}

// A newest segment that is gone: the one before it ends where that one began.
void EmbeddedLog::find_missing_end() {
  if (!found_bounds_) return;
  const LogBounds& known = *found_bounds_;
  if (!segments_.empty() && segments_.back().first >= known.newest) return;
  if (known.is_closed && known.end <= found_end_) return;  // it had nothing
  LogDamage damage;
  damage.first = segments_.empty() ? known.low : found_end_;
  damage.end = std::max({known.end, known.newest, damage.first});
  // The next segment must not take its name.
  if (!known.is_closed) ++damage.end;
  damage.end_is_known = known.is_closed;
  // Where the segment before it ends: there the replay finds the same damage.
  damage.file = path(segments_.empty() ? segment_name(known.newest) : segments_.back().name);
  damage.offset = found_end_offset_;
  damage.what =
      fmt::format("{} is missing, says {}", path(segment_name(known.newest)), bounds_path());
  if (damage.lost() == 0) return;
  note_damage(damage);
  // Without any segment the positions begin anew.
  if (segments_.empty()) return;
  found_end_ = damage.end;
  unproven_.clear();
}

// What is missing at the beginning is missed at every start until the log is truncated, which
// is when the manifest knows it.
void EmbeddedLog::begin_bounds() {
  const LogPosition low = segments_.empty() ? found_end_ : segments_.front().first;
  bounds_ = {.low = low, .newest = low, .end = low};
  has_bounds_ = found_bounds_ && !segments_.empty();
  if (!has_bounds_) return;
  bounds_.low = std::min(low, found_bounds_->low);
  bounds_.newest = found_bounds_->newest;
  bounds_.end = found_bounds_->end;
}

void EmbeddedLog::find_missing_begin() {
  if (!found_bounds_ || segments_.empty()) return;
  if (segments_.front().first <= found_bounds_->low) return;
  begin_damage_ = LogDamage{.first = found_bounds_->low,
                            .end = segments_.front().first,
                            .file = path(segment_name(found_bounds_->low)),
                            .what = "the oldest segment is missing, says " + bounds_path()};
  note_damage(*begin_damage_);
}

// With bounds_mutex_. What is stored stays true when this fails, unless the log is to begin
// later: without a file nothing is checked. Fails when it is neither stored nor removed.
Result<void> EmbeddedLog::store_bounds(const LogBounds& next) {
  are_bounds_stored_ = false;
  Result<void> stored = files_.write_file_atomically(bounds_path(), next.encode());
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

// Gives space back that this life has no use for, as it writes elsewhere.
void EmbeddedLog::trim(const Segment& segment, uint64_t used) {
  const Result<std::unique_ptr<core::File>> file =
      files_.open(path(segment.name), core::OpenMode::ReadWrite);
  Result<void> trimmed;
  if (!file) {
    trimmed = tl::unexpected(file.error());
  } else {
    trimmed = (*file)->truncate(used);
  }
  if (!trimmed) core::log_warn("log", "unused space stays", {{"error", trimmed.error().message}});
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
  if (failed_) return unavailable(*failed_);
  return {};
}

Result<LogPosition> EmbeddedLog::append(const LogBatch& batch) {
  thread_local std::string payload;
  payload.clear();
  if (payload.capacity() > kScratchBytesMax) payload.shrink_to_fit();
  payload.push_back(static_cast<char>(RecordKind::Batch));
  append_batch_payload(payload, batch);
  if (payload.size() > kPayloadBytesMax) {
    return core::fail(ErrorCode::TooLarge, "a batch of {} bytes, the log takes {} at most",
                      payload.size(), kPayloadBytesMax);
  }
  // The payload's checksum is the costly part: outside the lock.
  const std::array<char, kRecordHeaderBytes> header = begin_record_header(payload);

  std::unique_lock lock(mutex_);
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (true) {
    TRY(refusal());
    const bool full =
        pending_.size() > 0 && pending_.bytes.size() + payload.size() > options_.pending_bytes_max;
    if (!full && !stalled_) break;
    if (committing_) {
      TRY(wait_for_others(lock, deadline));
    } else {
      TRY(commit(lock));
    }
  }
  const LogPosition position = high_++;
  if (pending_.size() == 0) pending_.first = position;
  pending_.add({header.data(), header.size()}, payload);
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

// One round: the calling thread writes and syncs what all have appended so far, while
// others append to the next round's buffer.
Result<void> EmbeddedLog::commit(std::unique_lock<std::mutex>& lock) {
  ENSURE(!committing_);
  if (stalled_ && clock_.monotonic_ns() < retry_at_ns_) return unavailable(*stalled_);
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
  stalled_.reset();
  if (!written) {
    write_failures().add();
    core::log_error("log", broken_ ? "writes stop until the next start" : "no space to write to",
                    {{"dir", options_.dir}, {"error", written.error().message}});
    (broken_ ? failed_ : stalled_) = written.error();
    retry_at_ns_ = clock_.monotonic_ns() + kRetryNs;
  }
  changed_.notify_all();
  if (!written) return unavailable(written.error());
  return {};
}

// As many records at a time as fit into the segment.
Result<void> EmbeddedLog::write_out() {
  if (unproven_.size() > 0) TRY(start_segment(unproven_.first, 0));
  while (written_ < writing_.size()) {
    const size_t begin = written_;
    const uint64_t first_bytes = writing_.end_of(begin) - writing_.starts[begin] + kMarkBytesMax;
    if (active_ == nullptr || active_bytes_ - active_offset_ < first_bytes) {
      TRY(start_segment(writing_.first + begin, first_bytes));
    }
    const uint64_t room = active_bytes_ - active_offset_ - kMarkBytesMax;
    size_t end = begin + 1;
    while (end < writing_.size() && writing_.end_of(end) - writing_.starts[begin] <= room) ++end;
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

// Smaller where space is short, so that a small disk serves until it is full. What is
// reserved is for blocks, which make room in the log.
Result<uint64_t> EmbeddedLog::segment_bytes() const {
  const Result<core::DiskSpace> space = files_.disk_space(options_.dir);
  if (!space) return options_.segment_bytes;
  const uint64_t available = space->available_bytes;
  if (options_.reserve_bytes > 0 && available < options_.reserve_bytes + kSegmentBytesMin) {
    return core::fail(ErrorCode::LimitExceeded,
                      "{} bytes of the disk are free and {} are reserved: no space for a segment",
                      available, options_.reserve_bytes);
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

Result<void> EmbeddedLog::replay(LogPosition from, const Visitor& visit) {
  std::vector<Segment> segments;
  LogPosition end = 0;
  {
    std::unique_lock lock(mutex_);
    const LogPosition high = high_;
    lock.unlock();
    // A disk that takes no writes can still be read.
    if (high > 0 && !wait_durable(high - 1)) core::log_warn("log", "replay without the newest");
    lock.lock();
    segments.assign(segments_.begin(), segments_.end());
    end = std::max(durable_end_, found_end_);
  }
  Replay state{.from = from, .visit = visit};
  if (begin_damage_ && !segments.empty() && from <= begin_damage_->end &&
      segments.front().first == begin_damage_->end) {
    state.gaps.push_back(*begin_damage_);
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    const LogPosition segment_end = i + 1 < segments.size() ? segments[i + 1].first : end;
    if (segment_end <= from || segment_end == segments[i].first) continue;
    TRY(replay_segment(segments[i], segment_end, state));
  }
  note_gaps(state, std::nullopt);
  return {};
}

Result<void> EmbeddedLog::replay_segment(const Segment& segment, LogPosition end, Replay& replay) {
  const Loaded loaded = TRY(load(segment));
  const auto checksums =
      options_.skip_checksums_for_test ? Checksums::SkipForTest : Checksums::Verify;
  SegmentReader reader(loaded.bytes, loaded.header, end, checksums);
  if (loaded.damage) replay.gaps.push_back(*loaded.damage);
  LogBatch batch;
  while (true) {
    const Result<std::optional<SegmentReader::Record>> found = reader.next();
    if (!found) {
      replay.gaps.push_back(damage_of(segment, reader.pass_over(), found.error()));
      continue;
    }
    if (!*found) break;
    const SegmentReader::Record& record = **found;
    if (record.position < replay.from) continue;
    if (const Result<void> decoded = decode_batch_payload(record.payload, batch); !decoded) {
      replay.gaps.push_back(damage_of(
          segment, {.first = record.position, .end = record.position + 1, .offset = record.offset},
          decoded.error()));
      continue;
    }
    note_gaps(replay, batch.accepted_at_ms);
    replay.accepted_at_ms = batch.accepted_at_ms;
    TRY(replay.visit(record.position, batch).context("replay record {}", record.position));
  }
  return {};
}

// When the lost records were accepted is known from their neighbours.
void EmbeddedLog::note_gaps(Replay& replay, std::optional<int64_t> before_ms) {
  for (storage::LogDamage& gap : replay.gaps) {
    gap.accepted_after_ms = replay.accepted_at_ms;
    gap.accepted_before_ms = before_ms;
    note_damage(gap);
  }
  replay.gaps.clear();
}

LogPosition EmbeddedLog::low() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? high_ : segments_.front().first;
}

LogPosition EmbeddedLog::high() const {
  const std::lock_guard lock(mutex_);
  return high_;
}

Result<void> EmbeddedLog::writable() const {
  const std::lock_guard lock(mutex_);
  if (failed_) return unavailable(*failed_);
  if (stalled_) return unavailable(*stalled_);
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
  TRY(note_truncation(position));
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
      const std::string aside = path(oldest.name).append(kDamagedSuffix);
      TRY(files_.rename(path(oldest.name), aside).context("log"));
      damaged_files().add(1);
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
