// Record v1: a piece of the log that can be read alone, as Kafka will carry it.
//
// One record holds sections, one per tenant; each section has its own table of label
// texts, so that a name or value is written once per section however many series use
// it. Byte layout: docs/formats/record.md.

#pragma once

#include "core/result.h"
#include "storage/log.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pipeline {

inline constexpr uint8_t kRecordV1 = 1;
// Kafka's max.message.bytes of the topics, after compression.
inline constexpr size_t kRecordBytesMax = 4 << 20;
// What a record may expand to, compressed text and repeated labels each.
inline constexpr size_t kRecordBodyBytesMax = 64 << 20;

enum class Compression : uint8_t { None, Zstd };

struct RecordHeader {
  uint64_t collector_id = 0;  // who wrote it, with `seq` unique
  uint64_t seq = 0;
  int64_t accepted_at_ms = 0;
};

// Appends one record to `out`, a section per batch. Batches carry full labels;
// their accepted_at_ms is not used, the header's is.
void append_record_v1(std::string& out, const RecordHeader& header,
                      std::span<const storage::LogBatch> sections,
                      Compression compression = Compression::None);

// Reusable.
struct DecodedRecord {
  RecordHeader header;
  // One per tenant. Every series has its labels, is_new set, and its hash as id.
  std::vector<storage::LogBatch> sections;

  // What the sections borrow, besides the record's bytes.
  std::string body;    // of a compressed record, expanded
  std::string labels;  // of all series
};

// One whole record and nothing behind it; `bytes` are borrowed. Corruption names the byte
// of the (expanded) body; Unsupported for a later version or an unknown flag.
core::Result<void> decode_record_v1(std::string_view bytes, DecodedRecord& record);

// Identity of a label set inside a tenant: XXH3-64 of its canonical bytes.
uint64_t series_hash(std::string_view label_bytes);

}  // namespace pipeline
