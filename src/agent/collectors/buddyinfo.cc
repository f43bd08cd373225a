// /proc/buddyinfo: "Node 0, zone DMA 1 0 1 ...", the free blocks of each order.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kBlocks = {"node_buddyinfo_blocks", MetricType::Gauge,
                                "Count of free blocks according to size."};

}  // namespace

std::unique_ptr<Collector> make_buddyinfo_collector(const Settings& settings) {
  return make_simple_collector(
      "buddyinfo",
      [path = settings.roots().proc + "/buddyinfo"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          if (take_word(line) != "Node") continue;
          std::string_view node = take_word(line);
          if (node.ends_with(',')) node.remove_suffix(1);
          take_word(line);  // "zone"
          const std::string_view zone = take_word(line);
          int order = 0;
          for (auto count = to_number(take_word(line)); count; count = to_number(take_word(line))) {
            const std::string size = std::to_string(order++);
            out.add(kBlocks, {{"node", node}, {"zone", zone}, {"size", size}}, *count);
          }
        }
        return {};
      });
}

}  // namespace agent
