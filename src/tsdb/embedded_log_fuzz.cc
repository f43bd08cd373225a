// Any bytes as a segment of a log, with its checksums and as if they were right (or no
// input would get past them), as the payload of one batch, and as the log's bounds. Every
// batch that decodes has to survive being encoded and decoded again.

#include "tsdb/embedded_log_bounds.h"
#include "tsdb/embedded_log_record.h"
#include "tsdb/embedded_log_segment.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace {

void check_round_trip(std::string_view payload) {
  storage::LogBatch batch;
  if (!tsdb::decode_batch_payload(payload, batch)) return;
  // Labels of a series that is not new are not written.
  std::string again;
  tsdb::append_batch_payload(again, batch);
  storage::LogBatch second;
  ENSURE(tsdb::decode_batch_payload(again, second).has_value());
  ENSURE(second.series.size() == batch.series.size());
  ENSURE(second.samples.size() == batch.samples.size());
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    ENSURE(second.samples[i].timestamp_ms == batch.samples[i].timestamp_ms);
    ENSURE(model::same_bits(second.samples[i].value, batch.samples[i].value));
  }
  for (size_t i = 0; i < batch.series.size(); ++i) {
    ENSURE(second.series[i].id == batch.series[i].id);
    ENSURE(second.series[i].labels == batch.series[i].labels);
  }
}

void read_segment(std::string_view segment, std::optional<storage::LogPosition> end,
                  tsdb::Checksums checksums) {
  const auto header = tsdb::decode_segment_header(segment);
  tsdb::SegmentHeader salted = header ? *header : tsdb::SegmentHeader{};
  if (!header) salted.salt = tsdb::recover_salt(segment, salted.first).value_or(0);
  tsdb::SegmentReader reader(segment, salted, end, checksums);
  storage::LogPosition position = salted.first;
  while (true) {
    const auto record = reader.next();
    if (record && !*record) break;
    if (record) {
      ENSURE((*record)->position == position);
      check_round_trip((*record)->payload);
    } else {
      const auto gap = reader.pass_over();
      ENSURE(gap.first == position);
      ENSURE(gap.end >= gap.first);
    }
    position = reader.position();
  }
  if (end) ENSURE(reader.position() == std::max(*end, salted.first));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_segment(bytes, std::nullopt, tsdb::Checksums::Verify);
  read_segment(bytes, std::nullopt, tsdb::Checksums::SkipForTest);
  read_segment(bytes, 3, tsdb::Checksums::SkipForTest);
  check_round_trip(bytes);
  if (const auto bounds = tsdb::LogBounds::decode(bytes)) {
    ENSURE(tsdb::LogBounds::decode(bounds->encode()) == *bounds);
  }
  return 0;
}
