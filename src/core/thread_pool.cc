#include "core/thread_pool.h"

#include "core/log.h"
#include "core/metrics.h"

#include <chrono>
#include <exception>
#include <new>
#include <pthread.h>
#include <utility>

namespace core {

namespace {

constexpr size_t kThreadNameMax = 15;  // of pthread_setname_np, without the NUL

// Leaves the core to its sibling thread for some dozen cycles.
void pause_briefly() {
  for (int i = 0; i < 16; ++i) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
}

}  // namespace

ThreadPool::ThreadPool(ThreadPoolOptions options) : options_(std::move(options)) {
  threads_.reserve(options_.threads);
  for (size_t i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { run(); });
    pthread_setname_np(threads_.back().native_handle(),
                       options_.name.substr(0, kThreadNameMax).c_str());
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

bool ThreadPool::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= options_.queue_max) return false;
    queue_.push_back(std::move(task));
    has_tasks_ = true;
  }
  // The spinning thread looks at the queue before it sleeps.
  if (is_spinning_) return true;
  wake_.notify_one();
  return true;
}

void ThreadPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  const std::lock_guard join_lock(join_mutex_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

size_t ThreadPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void ThreadPool::spin() {
  if (options_.spin_us == 0 || is_spinning_.exchange(true)) return;
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(options_.spin_us);
  while (!has_tasks_ && std::chrono::steady_clock::now() < until) pause_briefly();
  is_spinning_ = false;
}

void ThreadPool::run() {
  static Counter& thrown = counter("petrel_task_exceptions_total",
                                   "Exceptions that reached the end of a task: always a bug.");
  for (;;) {
    Task task;
    {
      spin();
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      has_tasks_ = !queue_.empty();
      // post() may have counted on this thread for more than one task.
      if (has_tasks_) wake_.notify_one();
    }
    try {
      task();
    } catch (const std::bad_alloc&) {
      throw;  // no memory: the process ends here, its log brings everything back
    } catch (const std::exception& error) {
      thrown.add();
      log_error("core", "a task threw", {{"pool", options_.name}, {"error", error.what()}});
    } catch (...) {
      thrown.add();
      log_error("core", "a task threw", {{"pool", options_.name}});
    }
  }
}

}  // namespace core
