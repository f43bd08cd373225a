// /sys/class/power_supply/<supply> (power/power_supply_class.rst): microunits, and
// temperatures in tenths of a degree.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <fmt/core.h>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kInfo = {"node_power_supply_info", MetricType::Gauge,
                              "info of /sys/class/power_supply/<power_supply>."};

struct File {
  std::string_view name;
  std::string_view field;
  double divisor = 1;
};
constexpr double kMicro = 1e6;
constexpr double kTenths = 10;
constexpr File kFiles[] = {
    {"authentic", "authentic"},
    {"calibrate", "calibrate"},
    {"capacity", "capacity"},
    {"capacity_alert_max", "capacity_alert_max"},
    {"capacity_alert_min", "capacity_alert_min"},
    {"cycle_count", "cyclecount"},
    {"online", "online"},
    {"present", "present"},
    {"time_to_empty_now", "time_to_empty_seconds"},
    {"time_to_full_now", "time_to_full_seconds"},
    {"current_boot", "current_boot", kMicro},
    {"current_max", "current_max", kMicro},
    {"current_now", "current_ampere", kMicro},
    {"energy_empty", "energy_empty", kMicro},
    {"energy_empty_design", "energy_empty_design", kMicro},
    {"energy_full", "energy_full", kMicro},
    {"energy_full_design", "energy_full_design", kMicro},
    {"energy_now", "energy_watthour", kMicro},
    {"voltage_boot", "voltage_boot", kMicro},
    {"voltage_max", "voltage_max", kMicro},
    {"voltage_max_design", "voltage_max_design", kMicro},
    {"voltage_min", "voltage_min", kMicro},
    {"voltage_min_design", "voltage_min_design", kMicro},
    {"voltage_now", "voltage_volt", kMicro},
    {"voltage_ocv", "voltage_ocv", kMicro},
    {"charge_control_limit", "charge_control_limit", kMicro},
    {"charge_control_limit_max", "charge_control_limit_max", kMicro},
    {"charge_counter", "charge_counter", kMicro},
    {"charge_empty", "charge_empty", kMicro},
    {"charge_empty_design", "charge_empty_design", kMicro},
    {"charge_full", "charge_full", kMicro},
    {"charge_full_design", "charge_full_design", kMicro},
    {"charge_now", "charge_ampere", kMicro},
    {"charge_term_current", "charge_term_current", kMicro},
    {"constant_charge_current", "constant_charge_current", kMicro},
    {"constant_charge_current_max", "constant_charge_current_max", kMicro},
    {"constant_charge_voltage", "constant_charge_voltage", kMicro},
    {"constant_charge_voltage_max", "constant_charge_voltage_max", kMicro},
    {"precharge_current", "precharge_current", kMicro},
    {"input_current_limit", "input_current_limit", kMicro},
    {"power_now", "power_watt", kMicro},
    {"temp", "temp_celsius", kTenths},
    {"temp_alert_max", "temp_alert_max_celsius", kTenths},
    {"temp_alert_min", "temp_alert_min_celsius", kTenths},
    {"temp_ambient", "temp_ambient_celsius", kTenths},
    {"temp_ambient_max", "temp_ambient_max_celsius", kTenths},
    {"temp_ambient_min", "temp_ambient_min_celsius", kTenths},
    {"temp_max", "temp_max_celsius", kTenths},
    {"temp_min", "temp_min_celsius", kTenths},
};
constexpr std::string_view kInfoFiles[] = {
    "capacity_level", "charge_type", "health",     "manufacturer", "model_name", "scope",
    "serial_number",  "status",      "technology", "type",         "usb_type"};

}  // namespace

std::unique_ptr<Collector> make_powersupplyclass_collector(const Settings& settings) {
  return make_simple_collector(
      "powersupplyclass",
      [folder = settings.roots().sys + "/class/power_supply",
       ignored =
           settings.pattern("powersupply.ignored-supplies")](Output& out) -> core::Result<void> {
        for (const std::string& supply : list_folder(folder)) {
          if (ignored.matches(supply)) continue;
          const std::string base = folder + "/" + supply + "/";
          for (const File& file : kFiles) {
            const auto value = read_number(base + std::string(file.name));
            if (!value) continue;
            out.add(fmt::format("node_power_supply_{}", file.field), MetricType::Gauge,
                    fmt::format("{} value of /sys/class/power_supply/<power_supply>.", file.field),
                    std::vector<LabelPair>{{"power_supply", supply}}, *value / file.divisor);
          }
          std::vector<std::string> texts;
          for (const std::string_view file : kInfoFiles) {
            texts.push_back(read_value(base + std::string(file)).value_or(""));
          }
          std::vector<LabelPair> labels = {{"power_supply", supply}};
          for (size_t i = 0; i < texts.size(); ++i) {
            if (!texts[i].empty()) labels.emplace_back(kInfoFiles[i], texts[i]);
          }
          out.add(kInfo, labels, 1);
        }
        return {};
      });
}

}  // namespace agent
