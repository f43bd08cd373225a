// /sys/class/watchdog/watchdog<n> (ABI/testing/sysfs-class-watchdog).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

struct File {
  std::string_view name;
  MetricInfo metric;
};
#define WATCHDOG(file, field)                                                                    \
  {                                                                                              \
    file, {                                                                                      \
      "node_watchdog_" field, MetricType::Gauge, "Value of /sys/class/watchdog/<watchdog>/" file \
    }                                                                                            \
  }
constexpr File kFiles[] = {
    WATCHDOG("bootstatus", "bootstatus"),   WATCHDOG("fw_version", "fw_version"),
    WATCHDOG("nowayout", "nowayout"),       WATCHDOG("timeleft", "timeleft_seconds"),
    WATCHDOG("timeout", "timeout_seconds"), WATCHDOG("pretimeout", "pretimeout_seconds"),
    WATCHDOG("access_cs0", "access_cs0"),
};
#undef WATCHDOG
constexpr MetricInfo kInfo = {"node_watchdog_info", MetricType::Gauge,
                              "Info of /sys/class/watchdog/<watchdog>"};
constexpr std::string_view kInfoFiles[] = {"options", "identity", "state", "status",
                                           "pretimeout_governor"};

}  // namespace

std::unique_ptr<Collector> make_watchdog_collector(const Settings& settings) {
  return make_simple_collector(
      "watchdog",
      [folder = settings.roots().sys + "/class/watchdog"](Output& out) -> core::Result<void> {
        const std::vector<std::string> watchdogs = list_folder(folder);
        if (watchdogs.empty())
          return core::fail(core::ErrorCode::NotFound, "nothing in {}", folder);
        for (const std::string& name : watchdogs) {
          const std::string base = folder + "/" + name + "/";
          for (const File& file : kFiles) {
            const auto value = read_number(base + std::string(file.name));
            if (value) out.add(file.metric, {{"name", name}}, *value);
          }
          std::vector<std::string> texts;
          for (const std::string_view file : kInfoFiles) {
            texts.push_back(read_value(base + std::string(file)).value_or(""));
          }
          std::vector<LabelPair> labels = {{"name", name}};
          for (size_t i = 0; i < texts.size(); ++i) labels.emplace_back(kInfoFiles[i], texts[i]);
          out.add(kInfo, labels, 1);
        }
        return {};
      });
}

}  // namespace agent
