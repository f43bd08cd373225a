// Lets tasks in until it is closed, and waits for those inside: timers, workers and
// clients may call back after their owner has gone.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace scrape {

// Thread-safe. Held by shared_ptr by every task.
class Gate {
 public:
  // Must not be called from inside.
  void close() {
    std::unique_lock lock(mutex_);
    is_open_ = false;
    empty_.wait(lock, [this] { return inside_ == 0; });
  }

  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(gate), is_in_(gate.enter()) {}
    ~Pass() {
      if (is_in_) gate_.leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    explicit operator bool() const { return is_in_; }

   private:
    Gate& gate_;
    bool is_in_;
  };

  // The task, or nothing once the gate is closed.
  template <typename Task>
  static auto guarded(std::shared_ptr<Gate> gate, Task task) {
    return [gate = std::move(gate), task = std::move(task)]() {
      if (const Pass pass(*gate); pass) task();
    };
  }

 private:
  bool enter() {
    const std::lock_guard lock(mutex_);
    inside_ += is_open_ ? 1 : 0;
    return is_open_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--inside_ == 0) empty_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable empty_;
  uint32_t inside_ = 0;  // guarded by mutex_
  bool is_open_ = true;  // guarded by mutex_
};

}  // namespace scrape
