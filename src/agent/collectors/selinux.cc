// /sys/fs/selinux and /etc/selinux/config.

#include "agent/collectors/table.h"
#include "agent/text_file.h"
#include "core/text.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kEnabled = {"node_selinux_enabled", MetricType::Gauge,
                                 "SELinux is enabled, 1 is true, 0 is false"};
constexpr MetricInfo kConfigured = {"node_selinux_config_mode", MetricType::Gauge,
                                    "Configured SELinux enforcement mode"};
constexpr MetricInfo kCurrent = {"node_selinux_current_mode", MetricType::Gauge,
                                 "Current SELinux enforcement mode"};

// 1 enforcing, 0 permissive, -1 disabled.
double configured_mode(const std::string& path) {
  std::string text;
  if (!read_text(path, text)) return -1;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = core::trim(take_line(rest));
    if (line == "SELINUX=enforcing") return 1;
    if (line == "SELINUX=permissive") return 0;
  }
  return -1;
}

}  // namespace

std::unique_ptr<Collector> make_selinux_collector(const Settings& settings) {
  return make_simple_collector(
      "selinux",
      [enforce = settings.roots().sys + "/fs/selinux/enforce",
       config = settings.roots().etc + "/selinux/config"](Output& out) -> core::Result<void> {
        const auto mode = read_number(enforce);
        out.add(kEnabled, mode ? 1 : 0);
        if (!mode) return {};
        out.add(kConfigured, configured_mode(config));
        out.add(kCurrent, *mode);
        return {};
      });
}

}  // namespace agent
