// /sys/class/powercap/intel-rapl:*: energy in microjoules (power/powercap/powercap.rst). Only
// root may read it on most kernels.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr double kMicrojoules = 1e6;

// "package-0" is package 0; of "core", "dram" and so on the zones are numbered as they come.
struct Zone {
  std::string name;
  std::string index;
};

Zone zone_of(std::string name, std::map<std::string, int>& seen) {
  const size_t dash = name.rfind('-');
  if (dash != name.npos && to_number(std::string_view(name).substr(dash + 1))) {
    return {name.substr(0, dash), name.substr(dash + 1)};
  }
  for (char& c : name) {
    const bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!is_fine) c = '_';
  }
  const int index = seen[name]++;
  return {std::move(name), std::to_string(index)};
}

}  // namespace

std::unique_ptr<Collector> make_rapl_collector(const Settings& settings) {
  return make_simple_collector(
      "rapl",
      [folder = settings.roots().sys + "/class/powercap",
       with_zone = settings.is_on("rapl.enable-zone-label")](Output& out) -> core::Result<void> {
        std::map<std::string, int> seen;
        bool found = false;
        for (const std::string& entry : list_folder(folder)) {
          if (!entry.starts_with("intel-rapl:")) continue;
          const std::string path = folder + "/" + entry;
          auto name = read_value(path + "/name");
          if (!name) continue;
          found = true;
          const Zone zone = zone_of(std::move(*name), seen);
          const auto energy = read_number(path + "/energy_uj");
          if (!energy) continue;
          const std::string metric = with_zone
                                         ? "node_rapl_joules_total"
                                         : fmt::format("node_rapl_{}_joules_total", zone.name);
          const std::string help = with_zone
                                       ? "Current RAPL value in joules"
                                       : fmt::format("Current RAPL {} value in joules", zone.name);
          std::vector<LabelPair> labels = {{"index", zone.index}, {"path", path}};
          if (with_zone) labels.emplace_back("rapl_zone", zone.name);
          out.add(metric, MetricType::Counter, help, labels, *energy / kMicrojoules);
        }
        if (!found) return core::fail(core::ErrorCode::NotFound, "no zones in {}", folder);
        return {};
      });
}

}  // namespace agent
