// A log that forgets less than it is told to, as a log may: segments are whole, removing one
// may fail, and another kind of log forgets when it likes. What stays is replayed again.

#pragma once

#include "core/rng.h"
#include "storage/log.h"

#include <vector>

namespace tsdb::testing {

// Not thread-safe. `log` and `rng` outlive it.
class LaggingLog final : public storage::Log {
 public:
  LaggingLog(storage::Log& log, core::Rng& rng, bool lags) : log_(log), rng_(rng), lags_(lags) {}

  core::Result<storage::LogPosition> append(const storage::LogBatch& batch) override {
    return log_.append(batch);
  }
  core::Result<void> wait_durable(storage::LogPosition position) override {
    return log_.wait_durable(position);
  }
  core::Result<void> replay(storage::LogPosition from, const Visitor& visit) override {
    return log_.replay(from, visit);
  }
  std::vector<storage::LogDamage> damage() const override { return log_.damage(); }
  storage::LogPosition low() const override { return log_.low(); }
  storage::LogPosition high() const override { return log_.high(); }
  core::Result<void> truncate_before(storage::LogPosition position) override {
    if (lags_) {
      if (rng_.below(3) == 0) return {};
      const storage::LogPosition low = log_.low();
      if (position > low) position = low + rng_.below(position - low + 1);
    }
    return log_.truncate_before(position);
  }
  uint64_t size_bytes() const override { return log_.size_bytes(); }

 private:
  storage::Log& log_;
  core::Rng& rng_;
  const bool lags_;
};

}  // namespace tsdb::testing
