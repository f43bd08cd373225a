// /sys/class/thermal (driver-api/thermal/sysfs-api.rst).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kTemperature = {"node_thermal_zone_temp", MetricType::Gauge,
                                     "Zone temperature in Celsius"};
constexpr MetricInfo kCurrent = {"node_cooling_device_cur_state", MetricType::Gauge,
                                 "Current throttle state of the cooling device"};
constexpr MetricInfo kMaximum = {"node_cooling_device_max_state", MetricType::Gauge,
                                 "Maximum throttle state of the cooling device"};
constexpr std::string_view kZone = "thermal_zone";
constexpr std::string_view kCooling = "cooling_device";
constexpr double kMillidegrees = 1000;

}  // namespace

std::unique_ptr<Collector> make_thermal_zone_collector(const Settings& settings) {
  return make_simple_collector(
      "thermal_zone",
      [folder = settings.roots().sys + "/class/thermal"](Output& out) -> core::Result<void> {
        for (const std::string& entry : list_folder(folder)) {
          const std::string base = folder + "/" + entry + "/";
          const std::string type = read_value(base + "type").value_or("");
          if (entry.starts_with(kZone)) {
            const std::string_view zone = std::string_view(entry).substr(kZone.size());
            const auto value = read_number(base + "temp");  // a sensor that is off has none
            if (value)
              out.add(kTemperature, {{"zone", zone}, {"type", type}}, *value / kMillidegrees);
          } else if (entry.starts_with(kCooling)) {
            const std::string_view name = std::string_view(entry).substr(kCooling.size());
            const LabelPair labels[] = {{"name", name}, {"type", type}};
            if (const auto value = read_number(base + "cur_state"))
              out.add(kCurrent, labels, *value);
            if (const auto value = read_number(base + "max_state"))
              out.add(kMaximum, labels, *value);
          }
        }
        return {};
      });
}

}  // namespace agent
