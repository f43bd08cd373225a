// Any bytes as a segment of a log, with its checksums and as if they were right (or no
// input would get past them), as the payload of one batch, and as the log's bounds. Every
// batch that decodes has to survive being encoded and decoded again.

#include "tsdb/embedded_log_bounds.h"
#include "tsdb/embedded_log_record.h"
#include "tsdb/embedded_log_run.h"
#include "tsdb/embedded_log_segment.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
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

// As the payload of the first record of a run, and written again by somebody who keeps values.
void check_run(std::string_view payload) {
  storage::LogBatch batch;
  tsdb::RunReader reader(0);
  tsdb::SegmentReader::Record record;
  record.kind = tsdb::RecordKind::Run;
  record.payload = payload;
  if (!reader.can_read(record) || !reader.decode(record, batch)) return;
  std::map<uint64_t, storage::LoggedValue> logged;
  for (storage::LogSeries& one : batch.series) one.logged_value = &logged[one.id];
  std::string again;
  tsdb::append_run_payload(again, batch, 0, 1);
  storage::LogBatch second;
  record.payload = again;
  tsdb::RunReader other(0);  // one that has seen no values
  ENSURE(other.decode(record, second).has_value());
  ENSURE(second.series.size() == batch.series.size());
  ENSURE(second.samples.size() == batch.samples.size());
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    ENSURE(second.samples[i].timestamp_ms == batch.samples[i].timestamp_ms);
    ENSURE(model::same_bits(second.samples[i].value, batch.samples[i].value));
  }
}

void read_segment(std::string_view segment, std::optional<storage::LogPosition> end,
                  tsdb::Checksums checksums) {
  const auto header = tsdb::decode_segment_header(segment);
  tsdb::SegmentHeader salted = header ? *header : tsdb::SegmentHeader{};
  if (!header) salted.salt = tsdb::recover_salt(segment, salted.first).value_or(0);
  tsdb::SegmentReader reader(segment, salted, end, checksums);
  tsdb::RunReader runs(salted.first);
  storage::LogBatch batch;
  storage::LogPosition position = salted.first;
  while (true) {
    const auto record = reader.next();
    if (record && !*record) break;
    if (record) {
      ENSURE((*record)->position == position);
      if ((*record)->kind == tsdb::RecordKind::Batch) check_round_trip((*record)->payload);
      if (runs.can_read(**record)) (void)runs.decode(**record, batch);
    } else {
      const auto gap = reader.pass_over();
      runs.note_lost(gap.first, gap.end);
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
  check_run(bytes);
  if (const auto bounds = tsdb::LogBounds::decode(bytes)) {
    ENSURE(tsdb::LogBounds::decode(bounds->encode()) == *bounds);
  }
  return 0;
}
