#include "promtsdb/log_reader.h"

#include "core/crc32c.h"
#include "promtsdb/cursor.h"

#include <algorithm>
#include <charconv>
#include <snappy.h>
#include <zstd.h>

namespace promtsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr size_t kFragmentHeaderSize = 7;
constexpr size_t kPagesPerRead = 32;
// A record is one scrape or one request; Prometheus makes larger segments for larger ones.
constexpr size_t kRecordSizeMax = 1U << 30U;

enum Fragment : uint8_t { kPageEnd = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };
constexpr uint8_t kTypeMask = 7;
constexpr uint8_t kSnappy = 8;
constexpr uint8_t kZstd = 16;

}  // namespace

int64_t segment_number(std::string_view name) {
  int64_t number = -1;
  if (name.empty() || name[0] == '-' || name.size() > 18) return -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : -1;
}

void PageReader::feed(std::string_view page, uint64_t offset) {
  page_ = page;
  page_offset_ = offset;
  at_ = 0;
}

void PageReader::reset() {
  within_ = false;
  parts_.clear();
  page_ = {};
  at_ = 0;
}

bool PageReader::fail(std::string problem) {
  problem_ = std::move(problem);
  within_ = false;
  parts_.clear();
  at_ = page_.size();
  return false;
}

bool PageReader::next(std::string_view& record) {
  while (at_ < page_.size()) {
    const size_t begin = at_;
    const std::string_view rest = page_.substr(begin);
    const auto head = static_cast<uint8_t>(rest[0]);
    const uint8_t type = head & kTypeMask;
    if (head == kPageEnd) {  // zeros up to the end of the page
      at_ = page_.size();
      return false;
    }
    if (!within_) record_offset_ = page_offset_ + begin;
    if (rest.size() < kFragmentHeaderSize) return fail("a fragment is cut short");
    const size_t size =
        static_cast<size_t>(static_cast<uint8_t>(rest[1])) << 8U | static_cast<uint8_t>(rest[2]);
    const uint32_t stored_crc = Cursor(rest.substr(3)).be32();
    if (rest.size() < kFragmentHeaderSize + size) return fail("a fragment is cut short");
    const std::string_view data = rest.substr(kFragmentHeaderSize, size);
    if (type > kLast) return fail(fmt::format("fragment of type {}", type));
    if (core::crc32c(data) != stored_crc) return fail("a fragment has a bad checksum");
    at_ = begin + kFragmentHeaderSize + size;

    const bool begins = type == kFull || type == kFirst;
    if (begins == within_) {
      // Where a damaged fragment was left out, the rest of its record is of no use.
      const bool had_begun = within_;
      within_ = false;
      parts_.clear();
      if (!begins) continue;
      record_offset_ = page_offset_ + begin;
      if (had_begun) problem_ = "a record has no end";
    }
    if (type == kFull) {
      if (uncompress(data, head, record)) return true;
      continue;
    }
    if (parts_.size() + data.size() > kRecordSizeMax) return fail("a record is too long");
    parts_.append(data);
    within_ = type != kLast;
    if (within_) continue;
    const bool fine = uncompress(parts_, head, record);
    if (record.data() == parts_.data()) {
      plain_.assign(record);
      record = plain_;
    }
    parts_.clear();
    if (fine) return true;
  }
  return false;
}

bool PageReader::uncompress(std::string_view stored, uint8_t flags, std::string_view& record) {
  if ((flags & (kSnappy | kZstd)) == 0) {
    record = stored;
    return true;
  }
  if ((flags & kSnappy) != 0) {
    size_t size = 0;
    if (!snappy::GetUncompressedLength(stored.data(), stored.size(), &size) ||
        size > kRecordSizeMax || !snappy::Uncompress(stored.data(), stored.size(), &plain_)) {
      problem_ = "a record is no snappy";
      return false;
    }
    record = plain_;
    return true;
  }
  // Go's encoder streams: the frame need not say its size.
  const unsigned long long size = ZSTD_getFrameContentSize(stored.data(), stored.size());
  if (size == ZSTD_CONTENTSIZE_ERROR) {
    problem_ = "a record is no zstd";
    return false;
  }
  const bool known = size != ZSTD_CONTENTSIZE_UNKNOWN;
  size_t capacity = known ? static_cast<size_t>(std::min<unsigned long long>(size, kRecordSizeMax))
                          : std::max<size_t>(stored.size() * 8, 4096);
  for (;;) {
    plain_.resize(capacity);
    const size_t got = ZSTD_decompress(plain_.data(), plain_.size(), stored.data(), stored.size());
    if (ZSTD_isError(got) == 0) {
      plain_.resize(got);
      record = plain_;
      return true;
    }
    if (known || capacity >= kRecordSizeMax) {
      problem_ = fmt::format("a record is no zstd: {}", ZSTD_getErrorName(got));
      return false;
    }
    capacity *= 4;
  }
}

Result<LogReader> LogReader::open(core::FileSystem& files, const std::string& dir,
                                  uint64_t first_segment) {
  LogReader reader;
  reader.files_ = &files;
  if (!files.exists(dir)) return reader;
  for (const std::string& name : TRY(files.list(dir))) {
    const int64_t number = segment_number(name);
    if (number < 0 || static_cast<uint64_t>(number) < first_segment) continue;
    Segment segment{dir + "/" + name, static_cast<uint64_t>(number), 0};
    const std::unique_ptr<core::File> file = TRY(files.open(segment.path, core::OpenMode::Read));
    segment.size = TRY(file->size());
    reader.bytes_ += segment.size;
    reader.segments_.push_back(std::move(segment));
  }
  std::ranges::sort(reader.segments_, {}, &Segment::number);
  return reader;
}

Result<bool> LogReader::next(std::string_view& record, Damage* damage) {
  for (;;) {
    const bool got = pages_.next(record);
    if (std::string problem = pages_.take_problem(); !problem.empty()) {
      // The last page of the last segment is what a kill tears.
      if (segment_ + 1 == segments_.size() && offset_ >= segments_[segment_].size) {
        torn_ = true;
      } else if (damage != nullptr) {
        damage->note(damage->records, fmt::format("{}: {}", where(), problem));
      }
    }
    if (got) return true;
    if (segment_ >= segments_.size()) return false;
    const Segment& segment = segments_[segment_];
    if (offset_ >= segment.size) {
      if (pages_.is_within_record()) {
        if (segment_ + 1 == segments_.size()) {
          torn_ = true;
        } else if (damage != nullptr) {
          damage->note(damage->records, fmt::format("{}: a record has no end", where()));
        }
      }
      pages_.reset();
      file_.reset();
      ++segment_;
      offset_ = 0;
      buffer_.clear();
      continue;
    }
    if (file_ == nullptr) file_ = TRY(files_->open(segment.path, core::OpenMode::Read));
    if (offset_ >= buffer_offset_ + buffer_.size() || buffer_.empty()) {
      buffer_offset_ = offset_;
      buffer_ = TRY(file_->read_at(offset_, kPagesPerRead * PageReader::kPageSize)
                        .context("{}: offset {}", segment.path, offset_));
      if (buffer_.empty()) {  // it became shorter meanwhile
        offset_ = segment.size;
        continue;
      }
    }
    const std::string_view page = std::string_view(buffer_).substr(
        static_cast<size_t>(offset_ - buffer_offset_), PageReader::kPageSize);
    pages_.feed(page, offset_);
    offset_ += page.size();
    bytes_read_ += page.size();
  }
}

std::string LogReader::where() const {
  if (segment_ >= segments_.size()) return "end of the log";
  return fmt::format("{}: offset {}", segments_[segment_].path, pages_.record_offset());
}

}  // namespace promtsdb
