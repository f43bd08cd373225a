#include "core/testing/sim_scheduler.h"

#include <algorithm>

namespace core::testing {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

}  // namespace

TimerId SimScheduler::after(int64_t delay_ms, Task task) {
  const TimerId id = next_id_++;
  const int64_t deadline_ns = clock_.monotonic_ns() + std::max<int64_t>(delay_ms, 0) * kNsPerMs;
  timers_.emplace(Key{deadline_ns, id}, std::move(task));
  deadlines_.emplace(id, deadline_ns);
  return id;
}

void SimScheduler::cancel(TimerId id) {
  const auto found = deadlines_.find(id);
  if (found == deadlines_.end()) return;
  timers_.erase(Key{found->second, id});
  deadlines_.erase(found);
}

bool SimScheduler::post(Task task) {
  after(0, std::move(task));
  return true;
}

bool SimScheduler::step() {
  if (timers_.empty()) return false;
  const auto first = timers_.begin();
  const auto [deadline_ns, id] = first->first;
  const Task task = std::move(first->second);
  timers_.erase(first);
  deadlines_.erase(id);
  // A test may have moved the clock past the deadline: late, as on a busy machine.
  const int64_t ahead_ns = deadline_ns - clock_.monotonic_ns();
  if (ahead_ns > 0) clock_.advance_ms(ahead_ns / kNsPerMs);
  task();
  return true;
}

void SimScheduler::run_for(int64_t duration_ms) {
  const int64_t end_ns = clock_.monotonic_ns() + duration_ms * kNsPerMs;
  while (!timers_.empty() && timers_.begin()->first.first <= end_ns) step();
  const int64_t rest_ns = end_ns - clock_.monotonic_ns();
  if (rest_ns > 0) clock_.advance_ms(rest_ns / kNsPerMs);
}

}  // namespace core::testing
