// What a start finds: the segments, where the newest one ends, and what is missing.

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/embedded_log_impl.h"
#include "tsdb/give_up.h"
#include "tsdb/read_again.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace tsdb {

using core::Result;
using storage::LogDamage;
using storage::LogPosition;

namespace {

std::optional<LogPosition> parse_segment_name(std::string_view name) {
  if (name.size() != kPositionDigits + kSegmentSuffix.size()) return {};
  if (!name.ends_with(kSegmentSuffix)) return {};
  LogPosition first = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kPositionDigits, first);
  if (error != std::errc() || end != name.data() + kPositionDigits) return {};
  return first;
}

}  // namespace

Result<std::unique_ptr<EmbeddedLog>> EmbeddedLog::open(EmbeddedLogOptions options,
                                                       core::FileSystem& files,
                                                       const core::Clock& clock, core::Rng& rng) {
  std::unique_ptr<EmbeddedLog> log(new EmbeddedLog(std::move(options), files, clock, rng));
  const std::string& dir = log->options_.dir;
  TRY(files.create_dirs(dir).context("log"));
  log_corruptions().add(0);
  // Added to, as the next: another log may be open, that of a snapshot is beside the own one.
  log_lost_records().add(0);
  log_unread_records().add(0);
  TRY(log->find_segments());
  log->load_bounds();
  if (!log->segments_.empty()) TRY(log->find_end());
  if (!log->failed_) log->find_missing_end();
  log->find_missing_begin();
  log->durable_end_ = log->found_end_ - log->unproven_.size();
  log->synced_end_ = log->durable_end_;
  log->high_ = log->found_end_;
  log->begin_bounds();

  if (log->failed_) return log;
  const Result<void> started = log->start_segment(log->high_, 0);
  if (!started) {
    core::log_error("log", "opened for reading only",
                    {{"dir", dir}, {"error", started.error().message}});
    log_write_failures().add();
    (log->broken_ ? log->failed_ : log->stalled_) = started.error();
    log->retry_at_ns_ = clock.monotonic_ns() + kLogRetryNs;
  }
  log->durable_end_ = log->synced_end_;
  log->note_room();
  return log;
}

Result<void> EmbeddedLog::find_segments() {
  const Result<std::vector<std::string>> names =
      read_again([&] { return files_.list(options_.dir).context("log"); });
  if (!names && is_unread(names.error())) {
    stop_for_unread_end({.end_is_known = false,
                         .is_unread = true,
                         .file = options_.dir,
                         .what = names.error().message});
    return {};
  }
  if (!names) return tl::unexpected(names.error());
  double kept_aside = 0;
  for (const std::string& name : *names) {
    if (const std::optional<LogPosition> first = parse_segment_name(name)) {
      segments_.push_back({.first = *first, .name = name});
    } else if (name.starts_with(kSparePrefix) && spares_.size() < options_.spare_segments_max) {
      spares_.push_back(name);
    } else if (name.starts_with(kSparePrefix) || name == kTemporary) {
      // Nothing of value; a read-only disk may keep it.
      if (const Result<void> removed = files_.remove(path(name)); !removed) {
        core::log_warn("log", "left-over file stays", {{"error", removed.error().message}});
      }
    } else if (name.ends_with(kLogDamagedSuffix) || name.ends_with(kUnreadableSuffix)) {
      ++kept_aside;
    } else {
      core::log_warn("log", "unknown file in the log's folder", {{"path", path(name)}});
    }
  }
  log_damaged_files().add(kept_aside);
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

// Reads the newest segment to its end.
Result<void> EmbeddedLog::find_end() {
  const Segment newest = segments_.back();
  const Loaded loaded = TRY(load(newest));
  const auto checksums =
      options_.skip_checksums_for_test ? Checksums::SkipForTest : Checksums::Verify;
  SegmentReader reader(loaded.bytes, loaded.header, std::nullopt, checksums);
  LogPosition proven_end = loaded.header.first;
  bool is_damaged = loaded.damage.has_value();
  bool has_runs = false;  // among what is unproven
  while (true) {
    const Result<std::optional<SegmentReader::Record>> record = reader.next();
    if (record && !*record) break;
    // A mark before this record, or behind damage, proves all that came earlier.
    if (!record || reader.proven_end() > proven_end) {
      proven_end = std::max(proven_end, reader.proven_end());
      unproven_.clear();
      has_runs = false;
    }
    if (!record) {
      note_damage(damage_of(newest, loaded, reader.pass_over(), record.error()));
      is_damaged = true;
      continue;
    }
    if (unproven_.size() == 0) unproven_.first = (*record)->position;
    unproven_.add((*record)->bytes, {}, Placement::Any);
    has_runs |= (*record)->kind == RecordKind::Run;
  }
  found_end_ = reader.position();
  found_end_offset_ = reader.offset();
  if (reader.proven_end() == found_end_) unproven_.clear();
  if (has_runs) free_unproven(loaded);
  judge_end(newest, loaded, reader.offset());
  // Torn bytes stay, for whoever wants to look at them.
  is_damaged |= !damage_.empty() || !loaded.unread.empty();
  if (!is_damaged) trim(newest, std::max<uint64_t>(reader.offset(), used_size(loaded.bytes)));
  return {};
}

// The unproven records go to another segment, where they must not need what is before them.
void EmbeddedLog::free_unproven(const Loaded& loaded) {
  if (PETREL_MUTATED("log-rewrites-runs-as-they-are")) return;
  const auto checksums =
      options_.skip_checksums_for_test ? Checksums::SkipForTest : Checksums::Verify;
  SegmentReader reader(loaded.bytes, loaded.header, found_end_, checksums);
  RunReader runs(loaded.header.first);
  storage::LogBatch batch;
  Buffer free;
  free.first = unproven_.first;
  while (free.size() < unproven_.size()) {
    const Result<std::optional<SegmentReader::Record>> found = reader.next();
    if (!found) {
      const SegmentReader::Gap gap = reader.pass_over();
      runs.note_lost(gap.first, gap.end);
      continue;
    }
    if (!*found) break;
    const SegmentReader::Record& record = **found;
    const bool is_whole = runs.can_read(record) && runs.decode(record, batch);
    if (!is_whole) runs.note_lost(record.position, record.position + 1);
    if (record.position < free.first) continue;
    if (!is_whole) {
      // As it is: the replay will say that what it needs is lost.
      free.add(record.bytes, {}, Placement::Any);
      continue;
    }
    std::string payload(1, static_cast<char>(RecordKind::Batch));
    append_batch_payload(payload, batch);
    const std::array<char, kRecordHeaderBytes> header = begin_record_header(payload);
    free.add({header.data(), header.size()}, payload, Placement::Any);
  }
  ENSURE(free.size() == unproven_.size());
  unproven_ = std::move(free);
}

// `offset`: where no whole record is left. What may have been behind it, and which position
// the next record can have.
void EmbeddedLog::judge_end(const Segment& newest, const Loaded& loaded, uint64_t offset) {
  const bool is_closed =
      found_bounds_ && found_bounds_->is_closed && found_bounds_->newest == newest.first;
  const bool is_all_there = is_closed && found_bounds_->end <= found_end_;
  if (loaded.is_unread_behind(offset) && !is_all_there) {
    LogDamage unread{.first = found_end_,
                     .end = found_end_,
                     .end_is_known = is_closed,
                     .is_unread = true,
                     .file = path(newest.name),
                     .offset = offset,
                     .what = loaded.unread_why};
    if (found_bounds_) unread.end = std::max(found_end_, found_bounds_->end);
    if (!is_closed) return stop_for_unread_end(std::move(unread));
    found_end_ = unread.end;
    unproven_.clear();
    return note_damage(unread);
  }
  if (loaded.damage) {
    // A file without a whole record, whose header was durable before it got its name, may have
    // had some. The next segment must not take its name.
    const bool is_end_unknown = !is_all_there && found_end_ == newest.first;
    if (!is_end_unknown || loaded.damage->offset != offset) note_damage(*loaded.damage);
    if (is_end_unknown) {
      LogDamage rest = *loaded.damage;
      rest.first = found_end_;
      if (unproven_.size() == 0) ++found_end_;
      if (found_bounds_ && found_bounds_->end > found_end_) {
        found_end_ = found_bounds_->end;
        unproven_.clear();
      }
      rest.end = found_end_;
      rest.end_is_known = false;
      rest.offset = offset;
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
                 .offset = offset,
                 .what = fmt::format("records before {} were durable, says {}", found_bounds_->end,
                                     bounds_path())});
    found_end_ = found_bounds_->end;
    unproven_.clear();
  }
}

// Which position is the next one is not known, so none is given: records of the same position
// would be there twice when the disk can be read again.
void EmbeddedLog::stop_for_unread_end(LogDamage unread) {
  note_damage(unread);
  failed_ = core::Error{core::ErrorCode::Unavailable,
                        fmt::format("where it ends cannot be read ({}): a start at which the disk "
                                    "can be read goes on, petrel tsdb repair gives up the rest",
                                    unread.what)};
  unread_end_ = std::move(unread);
}

void EmbeddedLog::load_bounds() {
  const Result<std::string> text = read_again([&] { return files_.read_file(bounds_path()); });
  if (!text && text.error().code == core::ErrorCode::NotFound) return;
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

}  // namespace tsdb
