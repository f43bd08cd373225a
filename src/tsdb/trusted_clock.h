// Wall time for what cannot be undone: closing a range refuses all older samples.
//
// A wall clock that jumps ahead (a wrong time server, a lost battery) takes the newest
// sample with it, so the two agree that the present is long past. The monotonic clock
// does not jump: time that goes ahead of it is believed only after it has stayed there
// for an hour. Until then ranges are merely closed later. Time that jumps back is
// believed at once, for the same reason.

#pragma once

#include "core/clock.h"

#include <cstdint>
#include <optional>

namespace tsdb {

// Not thread-safe. What the clock says at the start is believed.
class TrustedClock {
 public:
  explicit TrustedClock(const core::Clock& clock);

  // Asked often: a jump is noticed by asking.
  int64_t now_ms();

 private:
  struct Doubted {
    int64_t offset_ms = 0;
    int64_t since_ms = 0;  // monotonic
  };

  const core::Clock& clock_;
  int64_t offset_ms_ = 0;  // wall minus monotonic time
  std::optional<Doubted> doubted_;
};

}  // namespace tsdb
