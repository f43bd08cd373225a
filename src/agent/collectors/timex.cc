// adjtimex(2): how well the kernel's clock is kept in step.

#include "agent/collectors/timex.h"

#include "agent/collectors/table.h"

#include <cerrno>
#include <cstring>
#include <sys/timex.h>

namespace agent {

using model::MetricType;

namespace {

constexpr double kMicroseconds = 1e6;
constexpr double kNanoseconds = 1e9;
// Frequencies are parts per million with 16 bits of fraction.
constexpr double kScaledPpm = 1e6 * 65536;

class TimexCollector final : public Collector {
 public:
  std::string_view name() const override { return "timex"; }

  core::Result<void> collect(Output& out) override {
    timex kernel{};
    const int state = ::adjtimex(&kernel);
    if (state < 0) {
      return core::fail(errno == EPERM ? core::ErrorCode::NotFound : core::ErrorCode::Io,
                        "adjtimex: {}", std::strerror(errno));
    }
    add_timex(kernel, state, out);
    return {};
  }
};

}  // namespace

void add_timex(const timex& kernel, int clock_state, Output& out) {
  const auto gauge = [&out](std::string_view name, std::string_view help, double value) {
    out.add({name, MetricType::Gauge, help}, value);
  };
  const auto counter = [&out](std::string_view name, std::string_view help, auto value) {
    out.add({name, MetricType::Counter, help}, static_cast<double>(value));
  };
  const auto number = [](auto value) { return static_cast<double>(value); };
  const double unit = (kernel.status & STA_NANO) != 0 ? kNanoseconds : kMicroseconds;

  gauge("node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
        clock_state == TIME_ERROR ? 0 : 1);
  gauge("node_timex_offset_seconds", "Time offset in between local system and reference clock.",
        number(kernel.offset) / unit);
  gauge("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.",
        1 + number(kernel.freq) / kScaledPpm);
  gauge("node_timex_maxerror_seconds", "Maximum error in seconds.",
        number(kernel.maxerror) / kMicroseconds);
  gauge("node_timex_estimated_error_seconds", "Estimated error in seconds.",
        number(kernel.esterror) / kMicroseconds);
  gauge("node_timex_status", "Value of the status array bits.", kernel.status);
  gauge("node_timex_loop_time_constant", "Phase-locked loop time constant.",
        number(kernel.constant));
  gauge("node_timex_tick_seconds", "Seconds between clock ticks.",
        number(kernel.tick) / kMicroseconds);
  gauge("node_timex_pps_frequency_hertz", "Pulse per second frequency.",
        number(kernel.ppsfreq) / kScaledPpm);
  gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter.", number(kernel.jitter) / unit);
  gauge("node_timex_pps_shift_seconds", "Pulse per second interval duration.", kernel.shift);
  gauge("node_timex_pps_stability_hertz",
        "Pulse per second stability, average of recent frequency changes.",
        number(kernel.stabil) / kScaledPpm);
  counter("node_timex_pps_jitter_total", "Pulse per second count of jitter limit exceeded events.",
          kernel.jitcnt);
  counter("node_timex_pps_calibration_total", "Pulse per second count of calibration intervals.",
          kernel.calcnt);
  counter("node_timex_pps_error_total", "Pulse per second count of calibration errors.",
          kernel.errcnt);
  counter("node_timex_pps_stability_exceeded_total",
          "Pulse per second count of stability limit exceeded events.", kernel.stbcnt);
  gauge("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.", kernel.tai);
}

std::unique_ptr<Collector> make_timex_collector(const Settings& /*settings*/) {
  return std::make_unique<TimexCollector>();
}

}  // namespace agent
