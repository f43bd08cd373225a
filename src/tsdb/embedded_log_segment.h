// One segment file of the embedded log: its header, and the records behind it.
//
//   header | record | record | ... | left-overs of a crash or of the file's former life
//
// What ends a segment is a position, never a byte: the segment that follows names the
// position where this one stopped. Only the newest has to find its own end, and there a
// bad record is a torn one unless something behind it says that it was durable. Each
// write to the file begins with a *mark* saying up to where the log was durable then.
// Every segment has a random salt in its checksums, so that no bytes but those written
// to it in this life are ever taken for a record. Layout: docs/formats/log.md.

#pragma once

#include "core/result.h"
#include "storage/log.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tsdb {

inline constexpr size_t kSegmentHeaderBytes = 24;
inline constexpr size_t kRecordHeaderBytes = 20;
// A remote-write request expands to less; a larger size field is damage.
inline constexpr uint32_t kPayloadBytesMax = 256U << 20;

// A batch that needs no other record, or one that continues a run (embedded_log_run.h).
enum class RecordKind : uint8_t { Batch = 1, Mark = 2, Run = 3 };

struct SegmentHeader {
  storage::LogPosition first = 0;  // position of its first batch
  uint32_t salt = 0;
};

// Bytes in front of the zeros at the end. A record may end in zeros of its own.
size_t used_size(std::string_view segment);

std::string encode_segment_header(const SegmentHeader& header);
// Unsupported for a version of the future, which is not damage.
core::Result<SegmentHeader> decode_segment_header(std::string_view segment);
// The salt of a segment with a damaged header, worked out from its first whole record
// at or behind position `first`.
std::optional<uint32_t> recover_salt(std::string_view segment, storage::LogPosition first);

// A record's header without its own checksum, which needs the segment's salt.
std::array<char, kRecordHeaderBytes> begin_record_header(std::string_view payload);
void finish_record_header(char* header, storage::LogPosition position, uint32_t salt);
// A whole mark, for a write whose first batch is at `position`.
std::string encode_mark(storage::LogPosition position, storage::LogPosition durable_end,
                        uint32_t salt);

enum class Checksums { Verify, SkipForTest };

// Borrows the segment's bytes. Marks are consumed silently.
class SegmentReader {
 public:
  struct Record {
    storage::LogPosition position = 0;
    uint64_t offset = 0;  // of the record's header in the file
    RecordKind kind = RecordKind::Batch;
    std::string_view payload;  // of a batch, without its kind
    std::string_view bytes;    // header and payload
  };

  // `end`: where the segment stops, unless it is the newest one, which finds out.
  SegmentReader(std::string_view segment, const SegmentHeader& header,
                std::optional<storage::LogPosition> end, Checksums checksums = Checksums::Verify);

  // What was passed over: the records [first, end) are missing.
  struct Gap {
    storage::LogPosition first = 0;
    storage::LogPosition end = 0;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };

  // Nothing at the end. Corruption names the byte; go on with pass_over().
  core::Result<std::optional<Record>> next();
  // Goes to the next whole record, or to the end when there is none.
  Gap pass_over();

  storage::LogPosition position() const { return position_; }  // of the record to come
  uint64_t offset() const { return offset_; }                  // where it begins
  // Records before it are durable for certain: the marks so far say so.
  storage::LogPosition proven_end() const { return proven_end_; }

 private:
  struct Whole {
    storage::LogPosition position = 0;
    RecordKind kind = RecordKind::Batch;
    std::string_view payload;
    uint64_t bytes = 0;  // with its header
  };
  std::optional<Whole> whole_at(uint64_t offset) const;
  static storage::LogPosition durable_end(const Whole& mark);
  // The next offset from `offset` on at which a record can begin.
  uint64_t skip_zeros(uint64_t offset) const;
  void find_last_mark();
  core::Result<void> judge_bad_record();

  const std::string_view segment_;
  const uint32_t salt_;
  const std::optional<storage::LogPosition> end_;
  const Checksums checksums_;
  uint64_t offset_ = kSegmentHeaderBytes;
  storage::LogPosition position_;
  storage::LogPosition proven_end_;
  // What the marks behind the first bad record prove at most, once it was asked for.
  std::optional<storage::LogPosition> proven_behind_;
  uint64_t proven_behind_at_ = 0;  // offset of that mark
};

}  // namespace tsdb
