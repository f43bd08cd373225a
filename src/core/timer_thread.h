// The embedded Scheduler: one thread that sleeps until the next deadline.

#pragma once

#include "core/scheduler.h"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace core {

// Thread-safe. Tasks may call after() and cancel().
class TimerThread final : public Scheduler {
 public:
  TimerThread();
  ~TimerThread() override;
  TimerThread(const TimerThread&) = delete;
  TimerThread& operator=(const TimerThread&) = delete;

  TimerId after(int64_t delay_ms, Task task) override;
  void cancel(TimerId id) override;
  // Drops what is waiting, lets the running task end and joins. Must not be called by
  // a task. after() is without effect from then on.
  void stop();

 private:
  using Key = std::pair<int64_t, TimerId>;  // monotonic deadline in ns, then insertion

  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<Key, Task> timers_;                      // guarded by mutex_
  std::unordered_map<TimerId, int64_t> deadlines_;  // guarded by mutex_; same keys as timers_
  TimerId next_id_ = 1;                             // guarded by mutex_
  bool stopping_ = false;                           // guarded by mutex_
  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace core
