#include "core/clock.h"

#include <ctime>

namespace core {
namespace {

int64_t read_ns(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

int64_t SystemClock::now_ms() const {
  return read_ns(CLOCK_REALTIME) / 1'000'000;
}
int64_t SystemClock::monotonic_ns() const {
  return read_ns(CLOCK_MONOTONIC);
}

}  // namespace core
