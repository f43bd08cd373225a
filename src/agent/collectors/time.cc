// The wall clock, its zone, and /sys/devices/system/clocksource.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <ctime>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kTime = {"node_time_seconds", MetricType::Gauge,
                              "System time in seconds since epoch (1970)."};
constexpr MetricInfo kZone = {"node_time_zone_offset_seconds", MetricType::Gauge,
                              "System time zone offset in seconds."};
constexpr MetricInfo kAvailable = {
    "node_time_clocksource_available_info", MetricType::Gauge,
    "Available clocksources read from '/sys/devices/system/clocksource'."};
constexpr MetricInfo kCurrent = {
    "node_time_clocksource_current_info", MetricType::Gauge,
    "Current clocksource read from '/sys/devices/system/clocksource'."};

constexpr std::string_view kDevicePrefix = "clocksource";

class TimeCollector final : public Collector {
 public:
  explicit TimeCollector(const Settings& settings)
      : folder_(settings.roots().sys + "/devices/system/clocksource"), clock_(settings.clock()) {}

  std::string_view name() const override { return "time"; }

  core::Result<void> collect(Output& out) override {
    const int64_t now_ms = clock_.now_ms();
    out.add(kTime, static_cast<double>(now_ms) / 1000);
    const std::time_t now = now_ms / 1000;
    std::tm local{};
    ::localtime_r(&now, &local);
    out.add(kZone, {{"time_zone", local.tm_zone}}, static_cast<double>(local.tm_gmtoff));

    for (const std::string& entry : list_folder(folder_)) {
      if (!entry.starts_with(kDevicePrefix)) continue;
      const std::string_view device = std::string_view(entry).substr(kDevicePrefix.size());
      const std::string base = folder_ + "/" + entry;
      const std::string available = read_value(base + "/available_clocksource").value_or("");
      std::string_view rest = available;
      for (std::string_view one = take_word(rest); !one.empty(); one = take_word(rest)) {
        out.add(kAvailable, {{"device", device}, {"clocksource", one}}, 1);
      }
      if (const auto current = read_value(base + "/current_clocksource")) {
        out.add(kCurrent, {{"device", device}, {"clocksource", *current}}, 1);
      }
    }
    return {};
  }

 private:
  const std::string folder_;
  const core::Clock& clock_;
};

}  // namespace

std::unique_ptr<Collector> make_time_collector(const Settings& settings) {
  return std::make_unique<TimeCollector>(settings);
}

}  // namespace agent
