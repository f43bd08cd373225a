// A clock that stands still until the test moves it.

#pragma once

#include "core/clock.h"

#include <atomic>

namespace core::testing {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t now_ms = 1'700'000'000'000) : now_ms_(now_ms) {}

  int64_t now_ms() const override { return now_ms_; }
  int64_t monotonic_ns() const override { return monotonic_ns_; }

  void advance_ms(int64_t delta_ms) {
    now_ms_ += delta_ms;
    monotonic_ns_ += delta_ms * 1'000'000;
  }
  // Wall time only: what NTP or an operator does.
  void jump_to_ms(int64_t now_ms) { now_ms_ = now_ms; }

 private:
  std::atomic<int64_t> now_ms_;
  std::atomic<int64_t> monotonic_ns_ = 1'000'000'000;
};

}  // namespace core::testing
