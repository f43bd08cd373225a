// Reading segments back, whole or damaged.

#include "core/log.h"
#include "tsdb/embedded_log_impl.h"
#include "tsdb/read_again.h"
#include "tsdb/replay_ahead.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogBatch;
using storage::LogPosition;

namespace {

// Pieces in which a file is read that cannot be read as a whole.
constexpr uint64_t kPieceBytes = 4096;
// A disk takes seconds to give a piece up: after so many of a file no others are tried.
constexpr size_t kUnreadPiecesMax = 64;
// Logs in segments of that size are read ahead and replayed on two threads.
constexpr uint64_t kLargeSegmentMin = 4 << 20;

}  // namespace

core::Counter& log_corruptions() {
  static core::Counter& metric =
      core::counter("petrel_log_corruptions_total",
                    "Damaged places found in the log: acknowledged samples may be lost.");
  return metric;
}
core::Gauge& log_lost_records() {
  static core::Gauge& metric =
      core::gauge("petrel_log_lost_records",
                  "Batches of the log, found damaged since the start, that are lost.");
  return metric;
}
core::Gauge& log_unread_records() {
  static core::Gauge& metric =
      core::gauge("petrel_log_unread_records",
                  "Batches of the log that could not be read at the start; a later one may.");
  return metric;
}
core::Gauge& log_damaged_files() {
  static core::Gauge& metric =
      core::gauge("petrel_log_damaged_files", "Damaged segments of the log that are kept aside.");
  return metric;
}

bool EmbeddedLog::Loaded::is_unread(uint64_t begin, uint64_t end) const {
  return std::any_of(unread.begin(), unread.end(),
                     [&](const auto& piece) { return piece.first < end && piece.second > begin; });
}

// A disk that cannot read a part of a file gives the rest; zeros stand for that part.
std::string EmbeddedLog::read_what_is_there(const std::string& file, Loaded& loaded) const {
  const auto note = [&](uint64_t begin, uint64_t end, const core::Error& error) {
    if (!tsdb::is_unread(error)) {
      if (!loaded.damage) {
        loaded.damage = storage::LogDamage{.file = file, .offset = begin, .what = error.message};
      }
      return;
    }
    if (loaded.unread.empty()) loaded.unread_why = fmt::format("byte {}: {}", begin, error.message);
    loaded.unread.emplace_back(begin, end);
  };
  const Result<std::unique_ptr<core::File>> opened =
      read_again([&] { return files_.open(file, core::OpenMode::Read); });
  if (!opened) {
    note(0, UINT64_MAX, opened.error());
    return {};
  }
  const Result<uint64_t> size = read_again([&] { return (*opened)->size(); });
  if (!size) {
    note(0, UINT64_MAX, size.error());
    return {};
  }
  if (Result<std::string> whole = read_again([&] { return (*opened)->read_at(0, *size); })) {
    return *std::move(whole);
  }
  std::string bytes(*size, '\0');
  for (uint64_t at = 0; at < *size; at += kPieceBytes) {
    const Result<std::string> piece = (*opened)->read_at(at, kPieceBytes);
    if (piece) {
      std::copy(piece->begin(), piece->end(), bytes.begin() + static_cast<ptrdiff_t>(at));
      continue;
    }
    const bool is_enough = loaded.unread.size() + 1 == kUnreadPiecesMax;
    note(at, is_enough ? *size : std::min(at + kPieceBytes, *size), piece.error());
    if (is_enough) break;
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
    if (!loaded.damage && !loaded.is_unread(0, kSegmentHeaderBytes)) {
      loaded.damage = storage::LogDamage{.file = file, .offset = 0, .what = header.error().message};
    }
  }
  if (loaded.damage) loaded.damage->first = loaded.damage->end = segment.first;
  return loaded;
}

storage::LogDamage EmbeddedLog::damage_of(const Segment& segment, const Loaded& loaded,
                                          const SegmentReader::Gap& gap,
                                          const core::Error& error) const {
  const bool is_unread =
      loaded.is_unread(gap.offset, gap.offset + std::max<uint64_t>(gap.bytes, 1));
  return {.first = gap.first,
          .end = gap.end,
          .is_unread = is_unread,
          .file = path(segment.name),
          .offset = gap.offset,
          .what = is_unread ? loaded.unread_why : error.message};
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
    has_unread_ |= damage.is_unread;
  }
  if (damage.is_unread) {
    log_unread_records().add(static_cast<double>(damage.lost()));
    core::log_error("log", "a part of the log cannot be read: it stays as it is",
                    {{"file", damage.file},
                     {"offset", damage.offset},
                     {"first_unread_record", damage.first},
                     {"unread_records", damage.lost()},
                     {"all_known", damage.end_is_known},
                     {"error", damage.what}});
    return;
  }
  log_corruptions().add();
  log_lost_records().add(static_cast<double>(damage.lost()));
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
  const std::string aside = path(name).append(kLogDamagedSuffix);
  const Result<void> linked = files_.link(path(name), aside);
  if (!linked && linked.error().code != ErrorCode::Conflict) {
    core::log_warn("log", "the damaged segment has no second name yet",
                   {{"error", linked.error().message}});
    return;
  }
  if (linked) log_damaged_files().add(1);
  const std::lock_guard lock(mutex_);
  for (Segment& one : segments_) one.is_kept_aside |= one.name == name;
}

std::vector<storage::LogDamage> EmbeddedLog::damage() const {
  const std::lock_guard lock(mutex_);
  return damage_;
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
  const bool is_large = options_.segment_bytes >= kLargeSegmentMin;
  const auto read_all = [&](const Replay::Give& give) -> Result<void> {
    Replay state{.from = from, .give = give};
    if (begin_damage_ && !segments.empty() && from <= begin_damage_->end &&
        segments.front().first == begin_damage_->end) {
      state.gaps.push_back(*begin_damage_);
    }
    for (size_t i = 0; i < segments.size(); ++i) {
      const LogPosition segment_end = i + 1 < segments.size() ? segments[i + 1].first : end;
      if (segment_end <= from || segment_end == segments[i].first) continue;
      if (is_large && i + 1 < segments.size()) advise(segments[i + 1], core::FileUse::Soon);
      TRY(replay_segment(segments[i], segment_end, state));
      // A start that is over soon must not have filled the memory with what it has read.
      if (is_large) advise(segments[i], core::FileUse::NoMore);
    }
    if (unread_end_) state.gaps.push_back(*unread_end_);
    note_gaps(state, std::nullopt);
    return {};
  };
  const Visitor take = [&](LogPosition position, const LogBatch& batch) {
    return visit(position, batch).context("replay record {}", position);
  };
  if (!is_large) {
    return read_all(
        [&](LogPosition position, LogBatch& batch, const auto&) { return take(position, batch); });
  }
  return ReplayAhead::run(
      [&](ReplayAhead& ahead) {
        return read_all([&](LogPosition position, LogBatch& batch, const auto& segment) {
          return ahead.put(position, batch, segment);
        });
      },
      take);
}

void EmbeddedLog::advise(const Segment& segment, core::FileUse use) const {
  const Result<std::unique_ptr<core::File>> file =
      files_.open(path(segment.name), core::OpenMode::Read);
  if (file) (*file)->advise(use);
}

Result<void> EmbeddedLog::replay_segment(const Segment& segment, LogPosition end, Replay& replay) {
  const auto shared = std::make_shared<const Loaded>(TRY(load(segment)));
  const Loaded& loaded = *shared;
  const auto checksums =
      options_.skip_checksums_for_test ? Checksums::SkipForTest : Checksums::Verify;
  SegmentReader reader(loaded.bytes, loaded.header, end, checksums);
  if (loaded.damage) replay.gaps.push_back(*loaded.damage);
  RunReader runs(segment.first);
  std::optional<storage::LogDamage> cut_off;
  LogBatch batch;
  while (true) {
    const Result<std::optional<SegmentReader::Record>> found = reader.next();
    if (!found) {
      const SegmentReader::Gap gap = reader.pass_over();
      runs.note_lost(gap.first, gap.end);
      replay.gaps.push_back(damage_of(segment, loaded, gap, found.error()));
      continue;
    }
    if (!*found) break;
    const SegmentReader::Record& record = **found;
    if (!runs.can_read(record)) {
      runs.note_lost(record.position, record.position + 1);
      if (!cut_off) cut_off = cut_off_damage(replay, segment, loaded, record);
      cut_off->end = record.position + 1;
      ++*cut_off->count;
      continue;
    }
    // The values of a record are needed by later ones, even where itself it is not asked for.
    if (record.position < replay.from && record.kind != RecordKind::Run) continue;
    if (const Result<void> decoded = runs.decode(record, batch); !decoded) {
      runs.note_lost(record.position, record.position + 1);
      replay.gaps.push_back(
          damage_of(segment, loaded,
                    {.first = record.position, .end = record.position + 1, .offset = record.offset},
                    decoded.error()));
      continue;
    }
    if (record.position < replay.from) continue;
    note_gaps(replay, batch.accepted_at_ms);
    replay.accepted_at_ms = batch.accepted_at_ms;
    TRY(replay.give(record.position, batch, shared));
  }
  if (cut_off) replay.gaps.push_back(*std::move(cut_off));
  return {};
}

// Of the whole records of a segment that refer to lost ones: lost with them, or unread as long as
// those are. There may be many, and not in a row: they are told as one.
storage::LogDamage EmbeddedLog::cut_off_damage(const Replay& replay, const Segment& segment,
                                               const Loaded& loaded,
                                               const SegmentReader::Record& record) const {
  return {.first = record.position,
          .end = record.position + 1,
          .count = 0,
          .is_unread = !loaded.unread.empty(),
          .file = path(segment.name),
          .offset = record.offset,
          .what = "records from here on continue others that are missing",
          .accepted_after_ms = replay.accepted_at_ms};
}

// When the lost records were accepted is known from their neighbours.
void EmbeddedLog::note_gaps(Replay& replay, std::optional<int64_t> before_ms) {
  for (storage::LogDamage& gap : replay.gaps) {
    // Of some records in between it is known from what is before the first of them.
    if (!gap.count) gap.accepted_after_ms = replay.accepted_at_ms;
    gap.accepted_before_ms = before_ms;
    note_damage(gap);
  }
  replay.gaps.clear();
}

}  // namespace tsdb
