#include "pipeline/in_process_log.h"

#include <algorithm>

namespace pipeline {

using core::ErrorCode;
using core::Result;
using storage::LogBatch;
using storage::LogPosition;

InProcessLog::InProcessLog(InProcessLogOptions options, InProcessTopic& topic)
    : options_(options), topic_(topic), next_seq_(high()) {}

Result<LogPosition> InProcessLog::append(const LogBatch& batch) {
  std::string record;
  append_record_v1(record,
                   {.collector_id = options_.collector_id,
                    .seq = next_seq_++,
                    .accepted_at_ms = batch.accepted_at_ms},
                   std::span(&batch, 1), options_.compression);
  if (record.size() > kRecordBytesMax) {
    return core::fail(ErrorCode::TooLarge, "a record of {} bytes, the log takes {} at most",
                      record.size(), kRecordBytesMax);
  }
  const std::lock_guard lock(topic_.mutex);
  if (topic_.bytes + record.size() > options_.bytes_max) {
    return core::fail(ErrorCode::LimitExceeded, "the log in memory is full: {} of {} bytes",
                      topic_.bytes, options_.bytes_max);
  }
  topic_.bytes += record.size();
  topic_.records.push_back(std::move(record));
  return topic_.low + topic_.records.size() - 1;
}

// As durable as it gets.
Result<void> InProcessLog::wait_durable(LogPosition position) {
  ENSURE(position < high());
  return {};
}

Result<void> InProcessLog::replay(LogPosition from, const Visitor& visit) {
  DecodedRecord record;
  for (LogPosition position = from;; ++position) {
    std::string bytes;
    {
      // Not held during the visit, which may append.
      const std::lock_guard lock(topic_.mutex);
      position = std::max(position, topic_.low);
      if (position >= topic_.low + topic_.records.size()) return {};
      bytes = topic_.records[position - topic_.low];
    }
    TRY(decode_record_v1(bytes, record).context("log record {}", position));
    ENSURE(record.sections.size() == 1);
    TRY(visit(position, record.sections.front()).context("replay record {}", position));
  }
}

LogPosition InProcessLog::low() const {
  const std::lock_guard lock(topic_.mutex);
  return topic_.low;
}

LogPosition InProcessLog::high() const {
  const std::lock_guard lock(topic_.mutex);
  return topic_.low + topic_.records.size();
}

Result<void> InProcessLog::truncate_before(LogPosition position) {
  const std::lock_guard lock(topic_.mutex);
  while (topic_.low < position && !topic_.records.empty()) {
    topic_.bytes -= topic_.records.front().size();
    topic_.records.pop_front();
    ++topic_.low;
  }
  return {};
}

}  // namespace pipeline
