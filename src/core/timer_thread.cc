#include "core/timer_thread.h"

#include "core/log.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <pthread.h>

namespace core {

namespace {

using SteadyClock = std::chrono::steady_clock;

// Longer delays are cut to this, so that nanoseconds stay within 64 bits.
constexpr int64_t kDelayMaxMs = 10LL * 365 * 24 * 3600 * 1000;

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(SteadyClock::now().time_since_epoch())
      .count();
}

void run_task(const Task& task) {
  try {
    task();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    log_error("core", "a timer task threw", {{"error", error.what()}});
  } catch (...) {
    log_error("core", "a timer task threw");
  }
}

}  // namespace

TimerThread::TimerThread() : thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "timer");
}

TimerThread::~TimerThread() {
  stop();
}

TimerId TimerThread::after(int64_t delay_ms, Task task) {
  const int64_t delay_ns = std::clamp<int64_t>(delay_ms, 0, kDelayMaxMs) * 1'000'000;
  const std::lock_guard lock(mutex_);
  const TimerId id = next_id_++;
  if (stopping_) return id;
  const int64_t deadline_ns = now_ns() + delay_ns;
  timers_.emplace(Key{deadline_ns, id}, std::move(task));
  deadlines_.emplace(id, deadline_ns);
  if (timers_.begin()->first.second == id) wake_.notify_one();
  return id;
}

void TimerThread::cancel(TimerId id) {
  Task dropped;  // destroyed behind the lock: its captures may call back
  const std::lock_guard lock(mutex_);
  const auto found = deadlines_.find(id);
  if (found == deadlines_.end()) return;
  const auto timer = timers_.find(Key{found->second, id});
  dropped = std::move(timer->second);
  timers_.erase(timer);
  deadlines_.erase(found);
}

void TimerThread::stop() {
  std::map<Key, Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(timers_);
    deadlines_.clear();
  }
  wake_.notify_all();
  const std::lock_guard join_lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void TimerThread::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (timers_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto first = timers_.begin();
    const auto [deadline_ns, id] = first->first;
    if (deadline_ns > now_ns()) {
      wake_.wait_until(lock, SteadyClock::time_point(std::chrono::nanoseconds(deadline_ns)));
      continue;
    }
    Task task = std::move(first->second);
    timers_.erase(first);
    deadlines_.erase(id);
    lock.unlock();
    run_task(task);
    task = nullptr;
    lock.lock();
  }
}

}  // namespace core
