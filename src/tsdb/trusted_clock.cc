#include "tsdb/trusted_clock.h"

#include "core/log.h"

#include <cstdlib>

namespace tsdb {

namespace {

// Clocks are set right by less every day; ranges stay open for longer after their end.
constexpr int64_t kJumpMs = 600'000;
// A clock that is wrong for longer is noticed by people first. A machine that slept jumps
// too, rightly; it keeps its ranges in memory for this much longer.
constexpr int64_t kDoubtMs = 3'600'000;

}  // namespace

TrustedClock::TrustedClock(const core::Clock& clock)
    : clock_(clock), offset_ms_(clock.now_ms() - clock.monotonic_ns() / 1'000'000) {}

int64_t TrustedClock::now_ms() {
  const int64_t monotonic_ms = clock_.monotonic_ns() / 1'000'000;
  const int64_t offset_ms = clock_.now_ms() - monotonic_ms;
  if (offset_ms <= offset_ms_ + kJumpMs) {
    doubted_.reset();
    offset_ms_ = offset_ms;
  } else if (!doubted_ || std::abs(offset_ms - doubted_->offset_ms) > kJumpMs) {
    doubted_ = {.offset_ms = offset_ms, .since_ms = monotonic_ms};
    core::log_warn("tsdb", "the wall clock jumped ahead, no range is closed by it for an hour",
                   {{"jump_ms", offset_ms - offset_ms_}});
  } else if (monotonic_ms - doubted_->since_ms >= kDoubtMs) {
    doubted_.reset();
    offset_ms_ = offset_ms;
  }
  return offset_ms_ + monotonic_ms;
}

}  // namespace tsdb
