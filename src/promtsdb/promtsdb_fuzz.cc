// A Prometheus directory comes from elsewhere. Whatever the bytes: an error or a value, never
// a read out of bounds. The first byte says which parser.

#include "promtsdb/block_meta.h"
#include "promtsdb/chunk.h"
#include "promtsdb/head_chunks.h"
#include "promtsdb/index.h"
#include "promtsdb/log_reader.h"
#include "promtsdb/log_record.h"
#include "promtsdb/segments.h"
#include "promtsdb/tombstones.h"

#include <cstdint>

namespace {

constexpr model::TimeRange kAll{INT64_MIN, INT64_MAX};

void read_chunk(std::string_view input) {
  if (input.empty()) return;
  storage::SeriesBatch batch;
  (void)promtsdb::append_chunk(static_cast<uint8_t>(input[0]), input.substr(1), kAll, batch)
      .has_value();
  if (batch.timestamps_ms.size() != batch.values.size()) __builtin_trap();
  for (const model::HistogramSample& one : batch.histograms) {
    uint64_t buckets = 0;
    for (const model::BucketSpan& span : one.histogram.positive_spans) buckets += span.length;
    if (buckets != one.histogram.positive_counts.size()) __builtin_trap();
  }
}

void read_index_series(std::string_view input) {
  auto symbols = promtsdb::Symbols::parse(std::string("\0\0\0\3\1a\1b\1c", 10), 9, 2);
  promtsdb::IndexSeries series;
  if (!promtsdb::parse_index_series(input, *symbols, series)) return;
  for (const auto& [name, value] : series.labels) {
    if (symbols->text(name).empty() || symbols->text(value).empty()) __builtin_trap();
  }
}

void read_symbols(std::string_view input, uint8_t version) {
  auto symbols = promtsdb::Symbols::parse(std::string(input), 9, version);
  if (!symbols) return;
  for (uint32_t ref = 0; ref < 64; ++ref) {
    if (symbols->has(ref)) (void)symbols->text(ref).size();
  }
}

void read_log(std::string_view input) {
  promtsdb::PageReader reader;
  promtsdb::LogRecord record;
  constexpr size_t kPage = promtsdb::PageReader::kPageSize;
  for (size_t offset = 0; offset < input.size(); offset += kPage) {
    reader.feed(input.substr(offset, kPage), offset);
    std::string_view bytes;
    while (reader.next(bytes)) (void)promtsdb::parse_log_record(bytes, record).has_value();
    (void)reader.take_problem();
  }
}

void read_head_chunks(std::string_view input) {
  promtsdb::HeadChunk chunk;
  size_t needed = 0;
  while (!input.empty()) {
    const auto result = promtsdb::parse_head_chunk(input, chunk, needed);
    const bool whole = result == promtsdb::HeadChunkResult::Chunk ||
                       result == promtsdb::HeadChunkResult::BadChecksum;
    if (!whole) return;
    if (needed == 0 || needed > input.size()) __builtin_trap();
    input.remove_prefix(needed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 10) {
    case 0:
      read_chunk(input);
      break;
    case 1:
      read_index_series(input);
      break;
    case 2:
      read_symbols(input, 1);
      break;
    case 3:
      read_symbols(input, 2);
      break;
    case 4:
      read_log(input);
      break;
    case 5: {
      promtsdb::LogRecord record;
      (void)promtsdb::parse_log_record(input, record).has_value();
      break;
    }
    case 6:
      read_head_chunks(input);
      break;
    case 7:
      (void)promtsdb::parse_tombstones(input).has_value();
      break;
    case 8:
      (void)promtsdb::parse_block_meta(input).has_value();
      break;
    default: {
      promtsdb::StoredChunk chunk;
      size_t needed = 0;
      (void)promtsdb::parse_stored_chunk(input, chunk, needed).has_value();
    }
  }
  return 0;
}
