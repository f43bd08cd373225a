// /proc/net/arp: one line per neighbour, its interface in the last column.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kEntries = {"node_arp_entries", MetricType::Gauge, "ARP entries by device"};

}  // namespace

std::unique_ptr<Collector> make_arp_collector(const Settings& settings) {
  return make_simple_collector(
      "arp",
      [path = settings.roots().proc + "/net/arp",
       filter = settings.filter("arp.device")](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::map<std::string_view, double> entries;
        std::string_view rest = text;
        take_line(rest);  // the head
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          std::string_view device;
          for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
            device = word;
          }
          if (!device.empty() && !filter.ignores(device)) ++entries[device];
        }
        for (const auto& [device, count] : entries) out.add(kEntries, {{"device", device}}, count);
        return {};
      });
}

}  // namespace agent
