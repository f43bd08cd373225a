// /sys/class/hwmon/hwmon<n>: sensors. A file is <type><number>_<property>, in thousandths
// or millionths of a unit (hwmon/sysfs-interface.rst).

#include "agent/collectors/table.h"
#include "agent/text_file.h"
#include "core/text.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <fmt/core.h>
#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kChipName = {"node_hwmon_chip_names", MetricType::Gauge,
                                  "Annotation metric for human-readable chip names"};
constexpr MetricInfo kLabel = {"node_hwmon_sensor_label", MetricType::Gauge,
                               "Label for given chip and sensor"};
constexpr MetricInfo kBeep = {"node_hwmon_beep_enabled", MetricType::Gauge,
                              "Hardware beep enabled"};
constexpr MetricInfo kVrm = {"node_hwmon_voltage_regulator_version", MetricType::Gauge,
                             "Hardware voltage regulator"};
constexpr MetricInfo kInterval = {"node_hwmon_update_interval_seconds", MetricType::Gauge,
                                  "Hardware monitor update interval"};

constexpr std::string_view kTypes[] = {
    "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
    "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"};
constexpr double kThousandth = 1e-3;
constexpr double kMillionth = 1e-6;

// Letters, digits, underscores and colons; the rest becomes "_", none at the ends.
std::string cleaned(std::string_view name) {
  std::string out;
  for (const char c : core::lower(core::trim(name, " \t\r\n"))) {
    const bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '_';
    out += is_fine ? c : '_';
  }
  return std::string(core::trim(out, "_"));
}

struct FileName {
  std::string type;
  std::string number;  // "0" where the name has none
  std::string property;
};

// "temp1_crit_alarm" is temp, 1, crit_alarm; "update_interval" is one word.
std::optional<FileName> parse_name(std::string_view name) {
  const size_t digit = std::min(name.find_first_of("0123456789"), name.size());
  FileName parsed;
  if (digit < name.size()) {
    const size_t end = std::min(name.find_first_not_of("0123456789", digit), name.size());
    parsed.type = name.substr(0, digit);
    parsed.number = name.substr(digit, end - digit);
    if (end < name.size()) {
      if (name[end] != '_') return std::nullopt;
      parsed.property = name.substr(end + 1);
    }
  } else {
    parsed.type = name;
    parsed.number = "0";
  }
  const bool is_known =
      std::find(std::begin(kTypes), std::end(kTypes), parsed.type) != std::end(kTypes);
  return is_known ? std::optional(parsed) : std::nullopt;
}

struct Sensor {
  std::string type;
  std::map<std::string, std::string> properties;
};
using Sensors = std::map<std::string, Sensor>;

void read_sensors(const std::string& folder, Sensors& sensors) {
  for (const std::string& file : list_folder(folder)) {
    const auto name = parse_name(file);
    if (!name) continue;
    // Blanks stay, as in node_exporter: some drivers' labels end with one.
    std::string value;
    if (!read_text(folder + "/" + file, value)) continue;
    while (value.ends_with('\n')) value.pop_back();
    Sensor& sensor = sensors[name->type + name->number];
    sensor.type = name->type;
    sensor.properties.emplace(name->property, std::move(value));
  }
}

// The device's place on its bus, which stays the same after a restart: platform_coretemp_0.
std::string chip_of(const std::string& folder, const std::string& entry) {
  char real[PATH_MAX];
  if (::realpath((folder + "/device").c_str(), real) != nullptr) {
    const std::string_view path = real;
    const size_t slash = path.rfind('/');
    const std::string_view parent = path.substr(0, slash);
    const std::string device = cleaned(path.substr(slash + 1));
    const std::string bus = cleaned(parent.substr(parent.rfind('/') + 1));
    if (!device.empty() && !bus.empty()) return bus + "_" + device;
    if (!device.empty()) return device;
  }
  const std::string name = cleaned(read_value(folder + "/name").value_or(""));
  return name.empty() ? entry : name;
}

struct Unit {
  std::string_view suffix;
  double factor;
  MetricType type;
  std::string help;
};

Unit unit_of(std::string_view type, std::string_view element) {
  const auto gauge = [](std::string_view suffix, double factor, std::string help) {
    return Unit{suffix, factor, MetricType::Gauge, std::move(help)};
  };
  if (type == "in" || type == "cpu") {
    return gauge("_volts", kThousandth, fmt::format("Hardware monitor for voltage ({})", element));
  }
  if (type == "temp" && element != "type") {
    return gauge(
        "_celsius", kThousandth,
        fmt::format("Hardware monitor for temperature ({})", element.empty() ? "input" : element));
  }
  if (type == "curr") {
    return gauge("_amps", kThousandth, fmt::format("Hardware monitor for current ({})", element));
  }
  if (type == "energy") {
    return {"_joule_total", kMillionth, MetricType::Counter,
            fmt::format("Hardware monitor for joules used so far ({})", element)};
  }
  if (type == "power" && element == "accuracy") {
    return gauge("", kMillionth, "Hardware monitor power meter accuracy, as a ratio");
  }
  if (type == "power" && element.starts_with("average_interval")) {
    return gauge("_seconds", kThousandth,
                 fmt::format("Hardware monitor power usage update interval ({})", element));
  }
  if (type == "power") {
    return gauge("_watt", kMillionth,
                 fmt::format("Hardware monitor for power usage in watts ({})", element));
  }
  if (type == "humidity") {
    return gauge(
        "", kMillionth,
        fmt::format("Hardware monitor for humidity, as a ratio (multiply with 100.0 to get "
                    "the humidity as a percentage) ({})",
                    element));
  }
  if (type == "fan" &&
      (element == "input" || element == "min" || element == "max" || element == "target")) {
    return gauge("_rpm", 1,
                 fmt::format("Hardware monitor for fan revolutions per minute ({})", element));
  }
  return gauge(type == "freq" && element == "input" ? "_freq_mhz" : "",
               type == "freq" && element == "input" ? kMillionth : 1,
               fmt::format("Hardware monitor {} element {}", type, element));
}

void add_property(Output& out, const Sensor& sensor, const std::string& element,
                  const std::string& text, std::span<const LabelPair> labels) {
  const auto value = to_number(core::trim(text));
  if (!value) return;
  std::string metric = "node_hwmon_" + sensor.type;
  if (element == "input") {
    if (sensor.properties.contains("")) metric += "_input";
  } else if (!element.empty()) {
    metric += "_" + cleaned(element);
  }
  if (element == "fault" || element == "alarm") {
    out.add(metric, MetricType::Gauge,
            fmt::format("Hardware sensor {} status ({})", element, sensor.type), labels, *value);
    return;
  }
  if (element == "beep") {
    out.add(metric + "_enabled", MetricType::Gauge, "Hardware monitor sensor has beeping enabled",
            labels, *value);
    return;
  }
  const Unit unit = unit_of(sensor.type, element);
  out.add(metric + std::string(unit.suffix), unit.type, unit.help, labels, *value * unit.factor);
}

void add_sensor(Output& out, std::string_view chip, const std::string& name, const Sensor& sensor) {
  const LabelPair labels[] = {{"chip", chip}, {"sensor", name}};
  if (const auto at = sensor.properties.find("label"); at != sensor.properties.end()) {
    if (!at->second.empty()) {
      out.add(kLabel, {{"chip", chip}, {"sensor", name}, {"label", at->second}}, 1);
    }
  }
  for (const auto& [type, metric, factor] :
       {std::tuple("beep_enable", &kBeep, 1.0), std::tuple("vrm", &kVrm, 1.0),
        std::tuple("update_interval", &kInterval, kThousandth)}) {
    if (sensor.type != type) continue;
    const auto value = to_number(core::trim(sensor.properties.begin()->second));
    if (value) out.add(*metric, labels, *value * factor);
    return;
  }
  for (const auto& [element, text] : sensor.properties) {
    if (element != "label") add_property(out, sensor, element, text, labels);
  }
}

}  // namespace

std::unique_ptr<Collector> make_hwmon_collector(const Settings& settings) {
  return make_simple_collector(
      "hwmon",
      [folder = settings.roots().sys + "/class/hwmon",
       filter = settings.filter("hwmon.chip")](Output& out) -> core::Result<void> {
        const std::vector<std::string> entries = list_folder(folder);
        if (entries.empty()) {
          return core::fail(core::ErrorCode::NotFound, "no sensors in {}", folder);
        }
        for (const std::string& entry : entries) {
          const std::string base = folder + "/" + entry;
          const std::string chip = chip_of(base, entry);
          if (filter.ignores(chip)) continue;
          Sensors sensors;
          read_sensors(base, sensors);
          read_sensors(base + "/device", sensors);  // where older drivers keep them
          const std::string name = cleaned(read_value(base + "/name").value_or(""));
          if (!name.empty()) out.add(kChipName, {{"chip", chip}, {"chip_name", name}}, 1);
          for (const auto& [sensor, found] : sensors) add_sensor(out, chip, sensor, found);
        }
        return {};
      });
}

}  // namespace agent
