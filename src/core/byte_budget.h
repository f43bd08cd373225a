// A bound on bytes that many hold at a time: the memory of requests that are worked on.

#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace core {

// Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(size_t max) : max_(max) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  size_t used() const { return used_.load(std::memory_order_relaxed); }
  size_t max() const { return max_.load(std::memory_order_relaxed); }
  // What is held stays held.
  void set_max(size_t max) { max_.store(max, std::memory_order_relaxed); }

 private:
  friend class HeldBytes;

  bool try_take(size_t bytes) {
    size_t used = used_.load(std::memory_order_relaxed);
    do {
      const size_t most = max();
      if (used > most || bytes > most - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }

  std::atomic<size_t> used_ = 0;
  std::atomic<size_t> max_;
};

// One holder's share of a budget; given back at the end. The budget outlives it. Confined to
// whoever has it.
class HeldBytes {
 public:
  HeldBytes() = default;  // of no budget: holds everything
  explicit HeldBytes(ByteBudget* budget) : budget_(budget) {}
  HeldBytes(HeldBytes&& other) noexcept
      : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
  HeldBytes& operator=(HeldBytes&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~HeldBytes() { release(); }

  // False when the budget does not have them: then nothing changes.
  [[nodiscard]] bool try_grow(size_t bytes) {
    if (budget_ == nullptr) return true;
    if (!budget_->try_take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }
  // Takes them whatever is left: for what is there already, so that others are refused.
  void grow(size_t bytes) {
    if (budget_ == nullptr) return;
    budget_->used_.fetch_add(bytes, std::memory_order_relaxed);
    bytes_ += bytes;
  }
  void release() {
    if (budget_ != nullptr) budget_->used_.fetch_sub(bytes_, std::memory_order_relaxed);
    bytes_ = 0;
  }

 private:
  ByteBudget* budget_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace core
