// A Scheduler and Executor in one thread over a FakeClock. Tasks run in the order of
// their deadlines and, at the same deadline, in the order they were given: a run is a
// function of its inputs.

#pragma once

#include "core/executor.h"
#include "core/scheduler.h"
#include "core/testing/fake_clock.h"

#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>

namespace core::testing {

// Confined to the test's thread. Nothing runs but inside run_*() and step().
class SimScheduler final : public Scheduler, public Executor {
 public:
  explicit SimScheduler(FakeClock& clock) : clock_(clock) {}

  TimerId after(int64_t delay_ms, Task task) override;
  void cancel(TimerId id) override;
  // The same as after(0).
  [[nodiscard]] bool post(Task task) override;

  // Moves the clock to the next deadline and runs that one task. False when none waits.
  bool step();
  // Runs all that falls due within `duration_ms`, also what that adds, and leaves the
  // clock `duration_ms` later.
  void run_for(int64_t duration_ms);
  // Runs what is due now, without moving the clock.
  void run_due() { run_for(0); }
  size_t waiting() const { return timers_.size(); }

 private:
  using Key = std::pair<int64_t, TimerId>;  // monotonic deadline in ns, then insertion

  FakeClock& clock_;
  std::map<Key, Task> timers_;
  std::unordered_map<TimerId, int64_t> deadlines_;
  TimerId next_id_ = 1;
};

}  // namespace core::testing
