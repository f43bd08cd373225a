#include "tsdb/embedded_log_segment.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/mutation.h"
#include "core/varint.h"

#include <algorithm>
#include <cstring>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogPosition;

namespace {

constexpr std::string_view kMagic("PTRLLOG\x02", 8);  // the last byte is the version
// The first version, which had no runs and is otherwise the same.
constexpr int kOldestVersion = 1;
constexpr size_t kFirstAt = 8;
constexpr size_t kSaltAt = 16;
constexpr size_t kHeaderCrcAt = 20;

// Record header.
constexpr size_t kCrcAt = 0;  // of the rest of the header, begun with the salt
constexpr size_t kPayloadCrcAt = 4;
constexpr size_t kSizeAt = 8;
constexpr size_t kPositionAt = 12;
static_assert(kPositionAt + sizeof(LogPosition) == kRecordHeaderBytes);

// A segment is mostly zeros after a start; they are passed over in blocks of this size.
constexpr std::array<char, 4096> kZeros{};

bool is_zero_block(std::string_view bytes) {
  return bytes.size() == kZeros.size() &&
         std::memcmp(bytes.data(), kZeros.data(), kZeros.size()) == 0;
}

uint32_t header_crc(std::string_view header, uint32_t salt) {
  return core::crc32c(header.substr(kPayloadCrcAt, kRecordHeaderBytes - kPayloadCrcAt), salt);
}

// The salt with which a header has its checksum: CRCs can be run backwards.
uint32_t salt_of(std::string_view header) {
  static const std::array<uint32_t, 256> kTable = [] {
    constexpr uint32_t kPolynomial = 0x82f6'3b78;  // Castagnoli, reflected
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) * kPolynomial);
      table[i] = value;
    }
    return table;
  }();
  uint32_t state = ~core::load_le<uint32_t>(header.substr(kCrcAt));
  for (size_t at = kRecordHeaderBytes; at-- > kPayloadCrcAt;) {
    // The table's entries differ in their top byte, which shows the one that was used.
    uint32_t index = 0;
    while (kTable[index] >> 24U != state >> 24U) ++index;
    state = ((state ^ kTable[index]) << 8U) | (index ^ static_cast<uint8_t>(header[at]));
  }
  return ~state;
}

}  // namespace

size_t used_size(std::string_view segment) {
  while (segment.size() >= kZeros.size() &&
         is_zero_block(segment.substr(segment.size() - kZeros.size()))) {
    segment.remove_suffix(kZeros.size());
  }
  return segment.find_last_not_of('\0') + 1;  // npos + 1 is 0
}

std::string encode_segment_header(const SegmentHeader& header) {
  std::string bytes(kMagic);
  core::append_le(bytes, header.first);
  core::append_le(bytes, header.salt);
  core::append_le(bytes, core::crc32c(bytes));
  ENSURE(bytes.size() == kSegmentHeaderBytes);
  return bytes;
}

Result<SegmentHeader> decode_segment_header(std::string_view segment) {
  if (segment.size() < kSegmentHeaderBytes) {
    return core::fail(ErrorCode::Corruption, "a segment header has {} bytes, the file has {}",
                      kSegmentHeaderBytes, segment.size());
  }
  const std::string_view magic = segment.substr(0, kMagic.size());
  if (magic.substr(0, kMagic.size() - 1) != kMagic.substr(0, kMagic.size() - 1)) {
    return core::fail(ErrorCode::Corruption, "not a segment of the log: bad magic at byte 0");
  }
  const int version = static_cast<uint8_t>(magic.back());
  if (version > kMagic.back()) {
    return core::fail(ErrorCode::Unsupported,
                      "log version {}, this program reads versions {} to {}", version,
                      kOldestVersion, static_cast<int>(kMagic.back()));
  }
  if (version < kOldestVersion) {
    return core::fail(ErrorCode::Corruption, "bad segment header: version {} at byte {}", version,
                      kMagic.size() - 1);
  }
  const auto stored = core::load_le<uint32_t>(segment.substr(kHeaderCrcAt));
  const uint32_t computed = core::crc32c(segment.substr(0, kHeaderCrcAt));
  if (stored != computed) {
    return core::fail(ErrorCode::Corruption,
                      "bad segment header: checksum {:#010x} at byte {}, computed {:#010x}", stored,
                      kHeaderCrcAt, computed);
  }
  return SegmentHeader{.first = core::load_le<LogPosition>(segment.substr(kFirstAt)),
                       .salt = core::load_le<uint32_t>(segment.substr(kSaltAt))};
}

// The first record may have lost a part of its own checksum, which gives another salt: the
// record behind it has to agree, if there is one that does with any.
std::optional<uint32_t> recover_salt(std::string_view segment, LogPosition first) {
  std::optional<uint32_t> lone;
  for (uint64_t at = 0; at + kRecordHeaderBytes < segment.size(); ++at) {
    while (is_zero_block(segment.substr(at, kZeros.size()))) at += kZeros.size() - kPositionAt;
    if (at + kRecordHeaderBytes >= segment.size()) break;
    const std::string_view rest = segment.substr(at);
    const auto size = core::load_le<uint32_t>(rest.substr(kSizeAt));
    if (size == 0 || size > rest.size() - kRecordHeaderBytes) continue;
    // Left-overs of a former life have positions below the first.
    if (core::load_le<LogPosition>(rest.substr(kPositionAt)) - first > segment.size()) continue;
    if (core::load_le<uint32_t>(rest.substr(kPayloadCrcAt)) !=
        core::crc32c(rest.substr(kRecordHeaderBytes, size))) {
      continue;
    }
    const uint32_t salt = salt_of(rest);
    const std::string_view next = rest.substr(kRecordHeaderBytes + size);
    if (next.size() >= kRecordHeaderBytes &&
        core::load_le<uint32_t>(next.substr(kCrcAt)) == header_crc(next, salt)) {
      return salt;
    }
    if (!lone) lone = salt;
  }
  return lone;
}

std::array<char, kRecordHeaderBytes> begin_record_header(std::string_view payload) {
  ENSURE(!payload.empty() && payload.size() <= kPayloadBytesMax);
  std::array<char, kRecordHeaderBytes> header{};
  const uint32_t crc = core::crc32c(payload);
  const auto size = static_cast<uint32_t>(payload.size());
  std::memcpy(header.data() + kPayloadCrcAt, &crc, sizeof(crc));
  std::memcpy(header.data() + kSizeAt, &size, sizeof(size));
  return header;
}

void finish_record_header(char* header, LogPosition position, uint32_t salt) {
  std::memcpy(header + kPositionAt, &position, sizeof(position));
  const uint32_t crc = header_crc({header, kRecordHeaderBytes}, salt);
  std::memcpy(header + kCrcAt, &crc, sizeof(crc));
}

std::string encode_mark(LogPosition position, LogPosition durable_end, uint32_t salt) {
  std::string payload;
  payload.push_back(static_cast<char>(RecordKind::Mark));
  core::append_varint(payload, durable_end);
  std::array<char, kRecordHeaderBytes> header = begin_record_header(payload);
  finish_record_header(header.data(), position, salt);
  return std::string(header.data(), header.size()) + payload;
}

SegmentReader::SegmentReader(std::string_view segment, const SegmentHeader& header,
                             std::optional<LogPosition> end, Checksums checksums)
    : segment_(segment),
      salt_(header.salt),
      end_(end),
      checksums_(checksums),
      position_(header.first),
      proven_end_(header.first) {}

LogPosition SegmentReader::durable_end(const Whole& mark) {
  std::string_view payload = mark.payload;
  LogPosition position = 0;
  return core::take_varint(payload, position) ? position : 0;
}

std::optional<SegmentReader::Whole> SegmentReader::whole_at(uint64_t offset) const {
  if (offset > segment_.size() || segment_.size() - offset < kRecordHeaderBytes) return {};
  const std::string_view rest = segment_.substr(offset);
  const auto size = core::load_le<uint32_t>(rest.substr(kSizeAt));
  if (size == 0 || size > kPayloadBytesMax || size > rest.size() - kRecordHeaderBytes) return {};
  // Cheap enough for the search through a whole segment: a position is at least the one
  // that is due, and a record takes more than one byte.
  const auto position = core::load_le<LogPosition>(rest.substr(kPositionAt));
  if (position - position_ > segment_.size()) return {};

  const std::string_view payload = rest.substr(kRecordHeaderBytes, size);
  if (checksums_ == Checksums::Verify && !PETREL_MUTATED("log-no-record-checksum")) {
    if (core::load_le<uint32_t>(rest.substr(kCrcAt)) != header_crc(rest, salt_)) return {};
    if (core::load_le<uint32_t>(rest.substr(kPayloadCrcAt)) != core::crc32c(payload)) return {};
  }
  const auto kind = static_cast<RecordKind>(payload.front());
  if (kind != RecordKind::Batch && kind != RecordKind::Mark && kind != RecordKind::Run) return {};
  return Whole{.position = position,
               .kind = kind,
               .payload = payload.substr(1),
               .bytes = kRecordHeaderBytes + size};
}

Result<std::optional<SegmentReader::Record>> SegmentReader::next() {
  while (!end_ || position_ < *end_) {
    const std::optional<Whole> whole = whole_at(offset_);
    if (!whole || whole->position != position_) {
      TRY(judge_bad_record());
      return std::nullopt;
    }
    const uint64_t offset = offset_;
    offset_ += whole->bytes;
    if (whole->kind != RecordKind::Mark) {
      ++position_;
      return Record{.position = whole->position,
                    .offset = offset,
                    .kind = whole->kind,
                    .payload = whole->payload,
                    .bytes = segment_.substr(offset, whole->bytes)};
    }
    proven_end_ = std::max(proven_end_, durable_end(*whole));
  }
  return std::nullopt;
}

// A record's size is never zero: none begins where that field lies within zeros.
uint64_t SegmentReader::skip_zeros(uint64_t offset) const {
  while (offset < segment_.size() && is_zero_block(segment_.substr(offset, kZeros.size()))) {
    offset += kZeros.size() - kPositionAt;
  }
  return offset;
}

// Once per segment: what lies behind one bad record lies behind the later ones or in front
// of them.
void SegmentReader::find_last_mark() {
  proven_behind_ = 0;
  for (uint64_t offset = skip_zeros(offset_); offset + kRecordHeaderBytes < segment_.size();
       offset = skip_zeros(offset + 1)) {
    const std::optional<Whole> whole = whole_at(offset);
    if (!whole || whole->kind != RecordKind::Mark || durable_end(*whole) <= *proven_behind_) {
      continue;
    }
    proven_behind_ = durable_end(*whole);
    proven_behind_at_ = offset;
  }
}

// A torn record was never acknowledged: the log ends before it. It is damage when it was
// durable once, which a later segment, or a mark behind it, knows.
Result<void> SegmentReader::judge_bad_record() {
  if (end_) {
    return core::fail(ErrorCode::Corruption,
                      "bad record at byte {}: record {} is missing, the segment ends with {}",
                      offset_, position_, *end_ - 1);
  }
  if (PETREL_MUTATED("log-all-damage-is-torn")) return {};
  if (!proven_behind_) find_last_mark();
  if (*proven_behind_ <= position_ || proven_behind_at_ < offset_) return {};
  return core::fail(
      ErrorCode::Corruption,
      "bad record at byte {}: record {} was durable, says a whole record behind it at byte {}",
      offset_, position_, proven_behind_at_);
}

SegmentReader::Gap SegmentReader::pass_over() {
  Gap gap{.first = position_, .end = position_, .offset = offset_};
  for (uint64_t offset = skip_zeros(offset_); offset + kRecordHeaderBytes < segment_.size();
       offset = skip_zeros(offset + 1)) {
    const std::optional<Whole> whole = whole_at(offset);
    if (!whole || (end_ && whole->position > *end_)) continue;
    gap.end = whole->position;
    gap.bytes = offset - offset_;
    position_ = whole->position;
    offset_ = offset;
    return gap;
  }
  if (end_) gap.end = *end_;
  gap.bytes = segment_.size() - std::min<uint64_t>(offset_, segment_.size());
  position_ = gap.end;
  offset_ = segment_.size();
  return gap;
}

}  // namespace tsdb
