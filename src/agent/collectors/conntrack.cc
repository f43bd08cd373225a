// The connection tracking table: /proc/sys/net/netfilter, and /proc/net/stat/nf_conntrack,
// where each CPU has a line of hexadecimal counters.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kEntries = {
    "node_nf_conntrack_entries", MetricType::Gauge,
    "Number of currently allocated flow entries for connection tracking."};
constexpr MetricInfo kLimit = {"node_nf_conntrack_entries_limit", MetricType::Gauge,
                               "Maximum size of connection tracking table."};

struct Column {
  std::string_view name;
  MetricInfo metric;
};
constexpr Column kColumns[] = {
    {"found",
     {"node_nf_conntrack_stat_found", MetricType::Gauge,
      "Number of searched entries which were successful."}},
    {"invalid",
     {"node_nf_conntrack_stat_invalid", MetricType::Gauge,
      "Number of packets seen which can not be tracked."}},
    {"ignore",
     {"node_nf_conntrack_stat_ignore", MetricType::Gauge,
      "Number of packets seen which are already connected to a conntrack entry."}},
    {"insert",
     {"node_nf_conntrack_stat_insert", MetricType::Gauge,
      "Number of entries inserted into the list."}},
    {"insert_failed",
     {"node_nf_conntrack_stat_insert_failed", MetricType::Gauge,
      "Number of entries for which list insertion was attempted but failed."}},
    {"drop",
     {"node_nf_conntrack_stat_drop", MetricType::Gauge,
      "Number of packets dropped due to conntrack failure."}},
    {"early_drop",
     {"node_nf_conntrack_stat_early_drop", MetricType::Gauge,
      "Number of dropped conntrack entries to make room for new ones, if maximum table size was "
      "reached."}},
    {"search_restart",
     {"node_nf_conntrack_stat_search_restart", MetricType::Gauge,
      "Number of conntrack table lookups which had to be restarted due to hashtable resizes."}},
};

// Sums over the CPUs, by column. Newer kernels name "clashres" what was "searched".
std::map<std::string_view, double> sum_columns(std::string_view text) {
  std::map<std::string_view, double> sums;
  const std::string_view head = take_line(text);
  while (!text.empty()) {
    std::string_view names = head;
    std::string_view line = take_line(text);
    for (std::string_view name = take_word(names); !name.empty(); name = take_word(names)) {
      const auto value = to_number("0x" + std::string(take_word(line)));
      if (value) sums[name] += *value;
    }
  }
  return sums;
}

}  // namespace

std::unique_ptr<Collector> make_conntrack_collector(const Settings& settings) {
  return make_simple_collector(
      "conntrack", [proc = settings.roots().proc](Output& out) -> core::Result<void> {
        std::string text;
        for (const auto& [file, metric] :
             {std::pair("/sys/net/netfilter/nf_conntrack_count", &kEntries),
              std::pair("/sys/net/netfilter/nf_conntrack_max", &kLimit)}) {
          TRY(read_text(proc + file, text));
          std::string_view line = text;
          if (const auto value = to_number(take_word(line))) out.add(*metric, *value);
        }
        TRY(read_text(proc + "/net/stat/nf_conntrack", text));
        const std::map<std::string_view, double> sums = sum_columns(text);
        for (const Column& column : kColumns) {
          const auto at = sums.find(column.name);
          out.add(column.metric, at == sums.end() ? 0 : at->second);
        }
        return {};
      });
}

}  // namespace agent
