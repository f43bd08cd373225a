#include "tsdb/testing/memory_log.h"

namespace tsdb::testing {

using core::ErrorCode;
using core::Result;
using storage::LogPosition;

Result<LogPosition> MemoryLog::append(const storage::LogBatch& batch) {
  const std::lock_guard lock(mutex_);
  if (fail_appends_) return core::fail(ErrorCode::Io, "told to fail");
  Record& record = records_.emplace_back();
  record.tenant = batch.tenant;
  record.batch = batch;
  for (const storage::LogSeries& one : batch.series) record.labels.emplace_back(one.labels);
  return low_ + records_.size() - 1;
}

Result<void> MemoryLog::wait_durable(LogPosition) {
  if (fail_waits_) return core::fail(ErrorCode::Io, "told to fail");
  return {};
}

Result<void> MemoryLog::replay(LogPosition from, const Visitor& visit) {
  const std::lock_guard lock(mutex_);
  LogPosition position = low_;
  for (Record& record : records_) {
    record.batch.tenant = record.tenant;
    for (size_t i = 0; i < record.labels.size(); ++i) {
      record.batch.series[i].labels = record.labels[i];
    }
    if (position >= from) TRY(visit(position, record.batch));
    ++position;
  }
  return {};
}

LogPosition MemoryLog::low() const {
  const std::lock_guard lock(mutex_);
  return low_;
}

LogPosition MemoryLog::high() const {
  const std::lock_guard lock(mutex_);
  return low_ + records_.size();
}

Result<void> MemoryLog::truncate_before(LogPosition position) {
  const std::lock_guard lock(mutex_);
  for (; low_ < position && !records_.empty(); ++low_) records_.pop_front();
  return {};
}

}  // namespace tsdb::testing
