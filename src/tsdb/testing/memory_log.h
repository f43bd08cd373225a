// A self-contained log in memory that can be told to fail.

#pragma once

#include "storage/log.h"

#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace tsdb::testing {

// Thread-safe.
class MemoryLog final : public storage::Log {
 public:
  core::Result<storage::LogPosition> append(const storage::LogBatch& batch) override;
  core::Result<void> wait_durable(storage::LogPosition position) override;
  core::Result<void> replay(storage::LogPosition from, const Visitor& visit) override;
  storage::LogPosition low() const override;
  storage::LogPosition high() const override;
  core::Result<void> truncate_before(storage::LogPosition position) override;

  void fail_appends(bool fail) { fail_appends_ = fail; }
  void fail_waits(bool fail) { fail_waits_ = fail; }

 private:
  // A batch with the bytes it borrowed.
  struct Record {
    std::string tenant;
    std::vector<std::string> labels;
    storage::LogBatch batch;
  };

  mutable std::mutex mutex_;
  std::deque<Record> records_;
  storage::LogPosition low_ = 0;
  bool fail_appends_ = false;
  bool fail_waits_ = false;
};

}  // namespace tsdb::testing
