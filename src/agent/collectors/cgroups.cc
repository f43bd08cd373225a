// /proc/cgroups: "memory 4 79 1".

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kCount = {"node_cgroups_cgroups", MetricType::Gauge,
                               "Current cgroup number of the subsystem."};
constexpr MetricInfo kEnabled = {"node_cgroups_enabled", MetricType::Gauge,
                                 "Current cgroup number of the subsystem."};

}  // namespace

std::unique_ptr<Collector> make_cgroups_collector(const Settings& settings) {
  return make_simple_collector(
      "cgroups", [path = settings.roots().proc + "/cgroups"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          const std::string_view subsystem = take_word(line);
          if (subsystem.starts_with('#')) continue;
          take_word(line);  // hierarchy
          const auto count = to_number(take_word(line));
          const auto enabled = to_number(take_word(line));
          if (!count || !enabled) continue;
          out.add(kCount, {{"subsys_name", subsystem}}, *count);
          out.add(kEnabled, {{"subsys_name", subsystem}}, *enabled);
        }
        return {};
      });
}

}  // namespace agent
