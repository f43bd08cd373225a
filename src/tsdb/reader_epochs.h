// Tells when the last reader that may still use something has left.
//
// A reader enters and gets the number of the current epoch; a writer that takes
// something out of sight remembers the epoch of that moment and frees it once all
// readers that entered in it or before have left.

#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

namespace tsdb {

// Thread-safe.
class ReaderEpochs {
 public:
  // Held by a reader; leaves when destroyed.
  class Pin {
   public:
    Pin() = default;
    explicit Pin(ReaderEpochs& owner) : owner_(&owner), epoch_(owner.enter()) {}
    Pin(Pin&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), epoch_(other.epoch_) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(epoch_, other.epoch_);
      return *this;
    }
    ~Pin() {
      if (owner_ != nullptr) owner_->leave(epoch_);
    }

   private:
    ReaderEpochs* owner_ = nullptr;
    uint64_t epoch_ = 0;
  };

  // Ends the current epoch and returns it: what was taken out of sight before the call
  // is unused once is_over() says so.
  uint64_t close() {
    const std::lock_guard lock(mutex_);
    return now_++;
  }
  bool is_over(uint64_t epoch) const {
    const std::lock_guard lock(mutex_);
    return active_.empty() || active_.begin()->first > epoch;
  }
  bool idle() const {
    const std::lock_guard lock(mutex_);
    return active_.empty();
  }

 private:
  uint64_t enter() {
    const std::lock_guard lock(mutex_);
    ++active_[now_];
    return now_;
  }
  void leave(uint64_t epoch) {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(epoch);
    if (--found->second == 0) active_.erase(found);
  }

  mutable std::mutex mutex_;
  uint64_t now_ = 0;
  std::map<uint64_t, uint32_t> active_;  // epoch -> readers
};

}  // namespace tsdb
