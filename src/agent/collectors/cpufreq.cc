// /sys/devices/system/cpu/cpu<n>/cpufreq, in kHz (admin-guide/pm/cpufreq.rst).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

struct File {
  std::string_view name;
  MetricInfo metric;
};
constexpr File kFiles[] = {
    {"cpuinfo_cur_freq",
     {"node_cpu_frequency_hertz", MetricType::Gauge, "Current cpu thread frequency in hertz."}},
    {"cpuinfo_min_freq",
     {"node_cpu_frequency_min_hertz", MetricType::Gauge, "Minimum cpu thread frequency in hertz."}},
    {"cpuinfo_max_freq",
     {"node_cpu_frequency_max_hertz", MetricType::Gauge, "Maximum cpu thread frequency in hertz."}},
    {"scaling_cur_freq",
     {"node_cpu_scaling_frequency_hertz", MetricType::Gauge,
      "Current scaled CPU thread frequency in hertz."}},
    {"scaling_min_freq",
     {"node_cpu_scaling_frequency_min_hertz", MetricType::Gauge,
      "Minimum scaled CPU thread frequency in hertz."}},
    {"scaling_max_freq",
     {"node_cpu_scaling_frequency_max_hertz", MetricType::Gauge,
      "Maximum scaled CPU thread frequency in hertz."}},
};
constexpr MetricInfo kGovernor = {"node_cpu_scaling_governor", MetricType::Gauge,
                                  "Current enabled CPU frequency governor."};
constexpr double kKilohertz = 1000;

}  // namespace

std::unique_ptr<Collector> make_cpufreq_collector(const Settings& settings) {
  return make_simple_collector(
      "cpufreq",
      [folder = settings.roots().sys + "/devices/system/cpu"](Output& out) -> core::Result<void> {
        for (const std::string& entry : list_folder(folder)) {
          if (!entry.starts_with("cpu") || !to_number(std::string_view(entry).substr(3))) continue;
          const std::string_view cpu = std::string_view(entry).substr(3);
          const std::string base = folder + "/" + entry + "/cpufreq/";
          for (const File& file : kFiles) {
            const auto value = read_number(base + std::string(file.name));
            if (value) out.add(file.metric, {{"cpu", cpu}}, *value * kKilohertz);
          }
          const auto current = read_value(base + "scaling_governor");
          const auto available = read_value(base + "scaling_available_governors");
          if (!current || !available) continue;
          std::string_view rest = *available;
          for (std::string_view one = take_word(rest); !one.empty(); one = take_word(rest)) {
            out.add(kGovernor, {{"cpu", cpu}, {"governor", one}}, one == *current ? 1 : 0);
          }
        }
        return {};
      });
}

}  // namespace agent
