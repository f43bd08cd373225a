// The Clock seam: wall time for samples and rules, monotonic time for intervals.

#pragma once

#include <cstdint>

namespace core {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, milliseconds since the Unix epoch. May jump either way.
  virtual int64_t now_ms() const = 0;
  // Never goes back; only differences mean something.
  virtual int64_t monotonic_ns() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t now_ms() const override;
  int64_t monotonic_ns() const override;
};

}  // namespace core
