// A log of self-contained records in memory: the form Kafka will take, without Kafka.
//
// Each append is encoded to record v1 and kept as bytes; replay decodes those bytes. What
// works on this log does not depend on the series table of the writer. Nothing survives
// the process: for tests and for trying out consumers.

#pragma once

#include "core/result.h"
#include "pipeline/record_v1.h"
#include "storage/log.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

namespace pipeline {

struct InProcessLogOptions {
  uint64_t bytes_max = 256 << 20;  // of encoded records; append() refuses above it
  uint64_t collector_id = 0;       // no two logs of a topic share one at the same time
  Compression compression = Compression::Zstd;
};

// The records. Outlives the logs on it, as a Kafka topic outlives its producers.
struct InProcessTopic {
  std::mutex mutex;
  // Protected by mutex.
  std::deque<std::string> records;
  storage::LogPosition low = 0;
  uint64_t bytes = 0;
};

// Thread-safe; several logs may share a topic.
class InProcessLog final : public storage::Log {
 public:
  InProcessLog(InProcessLogOptions options, InProcessTopic& topic);

  // LimitExceeded when the topic is full: truncate_before() makes room.
  core::Result<storage::LogPosition> append(const storage::LogBatch& batch) override;
  core::Result<void> wait_durable(storage::LogPosition position) override;
  core::Result<void> replay(storage::LogPosition from, const Visitor& visit) override;
  storage::LogPosition low() const override;
  storage::LogPosition high() const override;
  core::Result<void> truncate_before(storage::LogPosition position) override;

 private:
  const InProcessLogOptions options_;
  InProcessTopic& topic_;
  std::atomic<uint64_t> next_seq_;
};

}  // namespace pipeline
