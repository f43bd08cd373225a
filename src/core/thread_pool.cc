#include "core/thread_pool.h"

#include "core/log.h"
#include "core/metrics.h"

#include <exception>
#include <new>
#include <pthread.h>
#include <utility>

namespace core {

namespace {

constexpr size_t kThreadNameMax = 15;  // of pthread_setname_np, without the NUL

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
  }
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

void ThreadPool::run() {
  static Counter& thrown = counter("petrel_task_exceptions_total",
                                   "Exceptions that reached the end of a task: always a bug.");
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
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
