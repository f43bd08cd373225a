// The Scheduler seam: things that happen at a time. The embedded form is
// core::TimerThread, the simulated one core::testing::SimScheduler, which steps a
// FakeClock from deadline to deadline in one thread.

#pragma once

#include "core/executor.h"

#include <cstdint>

namespace core {

using TimerId = uint64_t;

// Thread-safe. Tasks run one after another on the scheduler's own thread and must
// be short: long work posts to an Executor.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // Runs `task` once, `delay_ms` from now by the monotonic clock (0: as soon as possible).
  virtual TimerId after(int64_t delay_ms, Task task) = 0;
  // A task that has started is not stopped. Unknown ids are ignored.
  virtual void cancel(TimerId id) = 0;
};

}  // namespace core
