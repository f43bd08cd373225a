// /proc/softirqs: a line per kind, a column per CPU.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <algorithm>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kSoftirqs = {"node_softirqs_functions_total", MetricType::Counter,
                                  "Softirq counts per CPU."};

}  // namespace

std::unique_ptr<Collector> make_softirqs_collector(const Settings& settings) {
  return make_simple_collector(
      "softirqs", [path = settings.roots().proc + "/softirqs"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        const std::string_view head = take_line(rest);
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          std::string_view type = take_word(line);
          if (!type.ends_with(':')) continue;
          type.remove_suffix(1);
          std::string_view cpus = head;
          for (std::string_view cpu = take_word(cpus); !cpu.empty(); cpu = take_word(cpus)) {
            const auto count = to_number(take_word(line));
            if (!count) break;
            out.add(kSoftirqs,
                    {{"cpu", cpu.substr(std::min<size_t>(3, cpu.size()))}, {"type", type}}, *count);
          }
        }
        return {};
      });
}

}  // namespace agent
