#include "agent/push/disk_buffer.h"

#include "core/bytes.h"
#include "core/crc32c.h"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>

namespace agent {

using core::ErrorCode;
using core::fail;
using core::OpenMode;
using core::Result;

namespace {

constexpr std::string_view kMagic = "PBUF";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderSize = 8;
constexpr std::string_view kSuffix = ".seg";
constexpr size_t kSequenceDigits = 20;

// len, crc, first, last, samples, type
constexpr size_t kRecordHead = 4 + 4 + 8 + 8 + 4 + 1;
constexpr uint32_t kPayloadMax = 64 << 20;
constexpr uint64_t kSegmentSizeMin = 64 << 10;

constexpr size_t kCursorSize = 8 + 8 + 4;

std::string segment_header() {
  std::string bytes(kMagic);
  core::append_le(bytes, kVersion);
  return bytes;
}

// The sequence of "00000000000000000007.seg".
std::optional<uint64_t> sequence_of(std::string_view name) {
  if (name.size() != kSequenceDigits + kSuffix.size() || !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  uint64_t sequence = 0;
  const char* const end = name.data() + kSequenceDigits;
  const auto result = std::from_chars(name.data(), end, sequence);
  return result.ec == std::errc() && result.ptr == end ? std::optional(sequence) : std::nullopt;
}

struct Cursor {
  uint64_t sequence = 0;
  uint64_t offset = 0;  // of the first record that was not popped
};

std::string encode_cursor(const Cursor& cursor) {
  std::string bytes;
  core::append_le(bytes, cursor.sequence);
  core::append_le(bytes, cursor.offset);
  core::append_le(bytes, core::crc32c(bytes));
  return bytes;
}

// A cursor that cannot be read means: send everything again, which receivers absorb.
Cursor read_cursor(core::FileSystem& files, const std::string& path) {
  const Result<std::string> bytes = files.read_file(path);
  if (!bytes || bytes->size() != kCursorSize) return {};
  const std::string_view view = *bytes;
  if (core::load_le<uint32_t>(view.substr(16)) != core::crc32c(view.substr(0, 16))) return {};
  return {core::load_le<uint64_t>(view), core::load_le<uint64_t>(view.substr(8))};
}

}  // namespace

std::string_view drop_reason_name(DropReason reason) {
  switch (reason) {
    case DropReason::Size:
      return "size";
    case DropReason::Age:
      return "age";
    case DropReason::Disk:
      return "disk";
    default:
      return "damage";
  }
}

std::string encode_buffer_record(const BufferRecord& record) {
  std::string checked;
  core::append_le(checked, record.first_ms);
  core::append_le(checked, record.last_ms);
  core::append_le(checked, record.samples);
  core::append_le(checked, record.type);
  checked += record.payload;
  std::string bytes;
  core::append_le(bytes, static_cast<uint32_t>(record.payload.size()));
  // The length is checked too: the CRC begins with it.
  core::append_le(bytes, core::crc32c(checked, core::crc32c(bytes)));
  return bytes + checked;
}

Result<BufferRecord> take_buffer_record(std::string_view& bytes) {
  if (bytes.size() < kRecordHead) {
    return fail(ErrorCode::Corruption, "{} bytes where a record's head of {} is due", bytes.size(),
                kRecordHead);
  }
  const auto size = core::load_le<uint32_t>(bytes);
  if (size > kPayloadMax || size > bytes.size() - kRecordHead) {
    return fail(ErrorCode::Corruption, "a record of {} bytes where {} are left", size,
                bytes.size() - kRecordHead);
  }
  const std::string_view checked = bytes.substr(8, kRecordHead - 8 + size);
  const uint32_t crc = core::crc32c(checked, core::crc32c(bytes.substr(0, 4)));
  if (crc != core::load_le<uint32_t>(bytes.substr(4))) {
    return fail(ErrorCode::Corruption, "a record's checksum does not match");
  }
  BufferRecord record;
  record.first_ms = core::load_le<int64_t>(checked);
  record.last_ms = core::load_le<int64_t>(checked.substr(8));
  record.samples = core::load_le<uint32_t>(checked.substr(16));
  record.type = core::load_le<uint8_t>(checked.substr(20));
  record.payload = checked.substr(21);
  bytes.remove_prefix(kRecordHead + size);
  return record;
}

Result<std::unique_ptr<DiskBuffer>> DiskBuffer::open(DiskBufferOptions options,
                                                     core::FileSystem& files,
                                                     const core::Clock& clock) {
  TRY(files.create_dirs(options.path).context("the buffer"));
  // Several segments fit, so that dropping the oldest is not dropping everything.
  options.segment_size_max = std::min(options.segment_size_max, options.size_max / 8);
  std::unique_ptr<DiskBuffer> buffer(new DiskBuffer(std::move(options), files, clock));
  const std::lock_guard lock(buffer->mutex_);
  TRY(buffer->recover().context("read the buffer {}", buffer->options_.path));
  return buffer;
}

Result<void> DiskBuffer::recover() {
  const Cursor cursor = read_cursor(files_, options_.path + "/cursor");
  next_sequence_ = cursor.sequence + 1;
  for (const std::string& name : TRY(files_.list(options_.path))) {
    const auto sequence = sequence_of(name);
    if (!sequence) continue;
    next_sequence_ = std::max(next_sequence_, *sequence + 1);
    if (*sequence < cursor.sequence) {
      TRY(files_.remove(options_.path + "/" + name));
      continue;
    }
    TRY(recover_segment(*sequence, *sequence == cursor.sequence ? cursor.offset : kHeaderSize));
  }
  return {};
}

// A segment ends at the first bytes that are no record: there the writing stopped, or the
// disk lost something.
Result<void> DiskBuffer::recover_segment(uint64_t sequence, uint64_t read_until) {
  Segment segment{.sequence = sequence,
                  .path = fmt::format("{}/{:020}{}", options_.path, sequence, kSuffix),
                  .bytes = 0,
                  .waiting = {}};
  const std::string bytes = TRY(files_.read_file(segment.path));
  segment.bytes = bytes.size();
  std::string_view rest = bytes;
  if (rest.starts_with(segment_header())) {
    rest.remove_prefix(kHeaderSize);
  } else {
    if (!rest.empty()) ++stats_.damaged_segments;
    rest = {};
  }
  while (!rest.empty()) {
    const uint64_t offset = bytes.size() - rest.size();
    const Result<BufferRecord> record = take_buffer_record(rest);
    if (!record) {
      ++stats_.damaged_segments;
      break;
    }
    if (offset < read_until) continue;
    segment.waiting.push_back({.offset = offset,
                               .size = static_cast<uint32_t>(kRecordHead + record->payload.size()),
                               .samples = record->samples,
                               .last_ms = record->last_ms});
  }
  segments_.push_back(std::move(segment));
  return {};
}

uint64_t DiskBuffer::bytes() const {
  uint64_t sum = 0;
  for (const Segment& segment : segments_) sum += segment.bytes;
  return sum;
}

Result<uint64_t> DiskBuffer::size_limit() {
  const core::DiskSpace space = TRY(files_.disk_space(options_.path));
  const double share =
      static_cast<double>(bytes() + space.available_bytes) * options_.disk_share_max;
  // Above 2^53 nothing is exact, and nothing is that large.
  return share >= static_cast<double>(options_.size_max) ? options_.size_max
                                                         : static_cast<uint64_t>(share);
}

Result<void> DiskBuffer::make_room(uint64_t needed) {
  const uint64_t limit = TRY(size_limit());
  while (!segments_.empty() && bytes() + needed > limit) {
    const bool is_disk = bytes() + needed <= options_.size_max;
    TRY(drop_oldest(is_disk ? DropReason::Disk : DropReason::Size));
  }
  if (needed > limit) {
    return fail(ErrorCode::LimitExceeded, "{}: no room for {} bytes, {} are allowed", options_.path,
                needed, limit);
  }
  return {};
}

void DiskBuffer::count_drop(DropReason reason, const Entry& entry) {
  stats_.dropped_samples[static_cast<size_t>(reason)] += entry.samples;
  ++stats_.dropped_records[static_cast<size_t>(reason)];
}

Result<void> DiskBuffer::drop_oldest(DropReason reason) {
  const Segment& segment = segments_.front();
  TRY(files_.remove(segment.path));
  for (const Entry& entry : segment.waiting) count_drop(reason, entry);
  if (segments_.size() == 1) newest_.reset();
  oldest_.reset();
  is_given_ = false;
  segments_.pop_front();
  return {};
}

Result<void> DiskBuffer::append(const BufferRecord& record) {
  const std::string bytes = encode_buffer_record(record);
  const Entry entry{.offset = 0,
                    .size = static_cast<uint32_t>(bytes.size()),
                    .samples = record.samples,
                    .last_ms = record.last_ms};
  const std::lock_guard lock(mutex_);
  if (bytes.size() + kHeaderSize > options_.size_max || record.payload.size() > kPayloadMax) {
    count_drop(DropReason::Size, entry);
    return fail(ErrorCode::TooLarge, "a record of {} bytes, the buffer has room for {}",
                bytes.size(), options_.size_max);
  }
  TRY(make_room(bytes.size() + kHeaderSize));
  Result<void> result = write(bytes, entry);
  // Somebody else filled the disk: give up what is oldest, once.
  if (!result && result.error().code == ErrorCode::LimitExceeded && segments_.size() > 1) {
    TRY(drop_oldest(DropReason::Disk));
    result = write(bytes, entry);
  }
  return result;
}

Result<void> DiskBuffer::begin_segment() {
  Segment segment{.sequence = next_sequence_,
                  .path = fmt::format("{}/{:020}{}", options_.path, next_sequence_, kSuffix),
                  .bytes = 0,
                  .waiting = {}};
  ++next_sequence_;  // also after a failure: a name is used once
  newest_ = TRY(files_.open(segment.path, OpenMode::CreateNew));
  segments_.push_back(std::move(segment));
  const std::string header = segment_header();
  const auto write_header = [&]() -> Result<void> {
    TRY(newest_->write_at(0, header));
    TRY(newest_->sync());
    return files_.sync_dir(options_.path);
  };
  segments_.back().bytes = header.size();
  if (Result<void> result = write_header(); !result) {
    newest_.reset();
    return result;
  }
  return {};
}

// After a failure the segment takes nothing more: its end is not known, and a sync that
// failed once says nothing when it succeeds later.
Result<void> DiskBuffer::write(const std::string& bytes, const Entry& entry) {
  // Segments grow with what waits, so that dropping the oldest is a small part of it.
  const uint64_t size_max =
      std::min(options_.segment_size_max, std::max(kSegmentSizeMin, this->bytes() / 8));
  const bool is_full = newest_ && segments_.back().bytes > kHeaderSize &&
                       segments_.back().bytes + bytes.size() > size_max;
  if (is_full) newest_.reset();
  if (!newest_) TRY(begin_segment());
  Segment& segment = segments_.back();
  const uint64_t offset = segment.bytes;
  segment.bytes += bytes.size();
  Result<void> result = newest_->write_at(offset, bytes);
  if (result) result = newest_->sync();
  if (!result) {
    newest_.reset();
    return result;
  }
  segment.waiting.push_back(entry);
  segment.waiting.back().offset = offset;
  return {};
}

// Of segments_.front().
void DiskBuffer::drop_entry(DropReason reason) {
  count_drop(reason, segments_.front().waiting.front());
  segments_.front().waiting.pop_front();
  is_cursor_old_ = true;
}

Result<void> DiskBuffer::remove_read_segments() {
  // The newest stays while it is written to.
  while (!segments_.empty() && segments_.front().waiting.empty() &&
         (segments_.size() > 1 || !newest_)) {
    TRY(files_.remove(segments_.front().path));
    oldest_.reset();
    segments_.pop_front();
  }
  return {};
}

Result<std::optional<BufferRecord>> DiskBuffer::front() {
  const std::lock_guard lock(mutex_);
  is_given_ = false;
  while (true) {
    TRY(remove_read_segments());
    if (segments_.empty() || segments_.front().waiting.empty()) return std::nullopt;
    Segment& segment = segments_.front();
    const Entry entry = segment.waiting.front();
    const bool is_old = options_.age_max_ms > 0 && entry.last_ms != 0 &&
                        entry.last_ms < clock_.now_ms() - options_.age_max_ms;
    if (is_old) {
      drop_entry(DropReason::Age);
      continue;
    }
    if (!oldest_ || oldest_sequence_ != segment.sequence) {
      oldest_ = TRY(files_.open(segment.path, OpenMode::Read));
      oldest_sequence_ = segment.sequence;
    }
    const std::string bytes = TRY(oldest_->read_at(entry.offset, entry.size));
    std::string_view rest = bytes;
    Result<BufferRecord> record = take_buffer_record(rest);
    if (!record) {
      drop_entry(DropReason::Damage);
      continue;
    }
    is_given_ = true;
    return std::optional(std::move(*record));
  }
}

void DiskBuffer::pop() {
  const std::lock_guard lock(mutex_);
  // Its segment may have been dropped meanwhile.
  if (!std::exchange(is_given_, false)) return;
  segments_.front().waiting.pop_front();
  is_cursor_old_ = true;
}

Result<void> DiskBuffer::save_cursor() {
  const std::lock_guard lock(mutex_);
  if (!is_cursor_old_) return {};
  Cursor cursor{.sequence = next_sequence_ - 1, .offset = UINT64_MAX};  // nothing waits
  for (const Segment& segment : segments_) {
    if (segment.waiting.empty()) continue;
    cursor = {.sequence = segment.sequence, .offset = segment.waiting.front().offset};
    break;
  }
  // All was read, but the newest segment goes on: its next record is behind its end.
  const bool is_all_read = cursor.offset == UINT64_MAX;
  if (is_all_read && newest_) cursor = {segments_.back().sequence, segments_.back().bytes};
  TRY(files_.write_file_atomically(options_.path + "/cursor", encode_cursor(cursor)));
  is_cursor_old_ = false;
  return {};
}

DiskBufferStats DiskBuffer::stats() const {
  const std::lock_guard lock(mutex_);
  DiskBufferStats stats = stats_;
  stats.bytes = bytes();
  stats.segments = segments_.size();
  for (const Segment& segment : segments_) {
    stats.records += segment.waiting.size();
    for (const Entry& entry : segment.waiting) stats.samples += entry.samples;
  }
  return stats;
}

}  // namespace agent
