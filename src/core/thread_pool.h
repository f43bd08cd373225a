// An Executor with its own threads and a bounded queue.

#pragma once

#include "core/executor.h"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace core {

struct ThreadPoolOptions {
  std::string name = "pool";  // names the threads (15 characters show) and its metrics
  size_t threads = 2;
  size_t queue_max = 1024;  // tasks that wait; above it post() refuses
  // How long one idle thread looks for the next task before it sleeps: a task that comes
  // soon after another does not wait until the kernel has woken a thread up. For pools
  // whose tasks are short and waited for.
  int64_t spin_us = 0;
};

// Thread-safe. A task that was accepted runs, also while the pool stops.
class ThreadPool final : public Executor {
 public:
  explicit ThreadPool(ThreadPoolOptions options);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] bool post(Task task) override;
  // Refuses new tasks, runs the waiting ones and joins the threads. Must not be called
  // by a task of this pool.
  void stop();
  size_t waiting() const;

 private:
  void run();
  void spin();

  const ThreadPoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> queue_;                 // guarded by mutex_
  bool stopping_ = false;                  // guarded by mutex_
  std::atomic<bool> has_tasks_ = false;    // changed under mutex_
  std::atomic<bool> is_spinning_ = false;  // one thread at a time
  std::mutex join_mutex_;                  // orders concurrent stop() calls
  std::vector<std::thread> threads_;
};

}  // namespace core
