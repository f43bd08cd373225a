// /sys/kernel/mm/ksm (admin-guide/mm/ksm.rst).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

struct File {
  std::string_view name;
  MetricInfo metric;
  double factor = 1;
};
#define KSM_GAUGE(file) {file, {"node_ksmd_" file, MetricType::Gauge, "ksmd '" file "' file."}}
constexpr File kFiles[] = {
    {"full_scans", {"node_ksmd_full_scans_total", MetricType::Counter, "ksmd 'full_scans' file."}},
    KSM_GAUGE("merge_across_nodes"),
    KSM_GAUGE("pages_shared"),
    KSM_GAUGE("pages_sharing"),
    KSM_GAUGE("pages_to_scan"),
    KSM_GAUGE("pages_unshared"),
    KSM_GAUGE("pages_volatile"),
    KSM_GAUGE("run"),
    {"sleep_millisecs",
     {"node_ksmd_sleep_seconds", MetricType::Gauge, "ksmd 'sleep_millisecs' file."},
     1e-3},
};
#undef KSM_GAUGE

}  // namespace

std::unique_ptr<Collector> make_ksmd_collector(const Settings& settings) {
  return make_simple_collector(
      "ksmd",
      [folder = settings.roots().sys + "/kernel/mm/ksm/"](Output& out) -> core::Result<void> {
        for (const File& file : kFiles) {
          std::string text;
          TRY(read_text(folder + std::string(file.name), text));
          std::string_view line = text;
          if (const auto value = to_number(take_word(line)))
            out.add(file.metric, *value * file.factor);
        }
        return {};
      });
}

}  // namespace agent
