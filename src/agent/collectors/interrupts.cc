// /proc/interrupts: a line per interrupt, a column per CPU.

#include "agent/collectors/table.h"
#include "agent/text_file.h"
#include "core/text.h"

#include <algorithm>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kInterrupts = {"node_interrupts_total", MetricType::Counter,
                                    "Interrupt details."};

}  // namespace

std::unique_ptr<Collector> make_interrupts_collector(const Settings& settings) {
  return make_simple_collector(
      "interrupts",
      [path = settings.roots().proc + "/interrupts", filter = settings.filter("interrupts.name"),
       with_zeros = settings.is_on("interrupts.include-zeros")](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        std::vector<std::string> cpus;
        std::string_view head = take_line(rest);
        for (std::string_view cpu = take_word(head); !cpu.empty(); cpu = take_word(head)) {
          cpus.emplace_back(cpu.substr(std::min<size_t>(3, cpu.size())));  // "CPU0"
        }
        std::vector<double> counts;
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          std::string_view name = take_word(line);
          if (!name.ends_with(':')) continue;
          name.remove_suffix(1);
          counts.clear();
          while (counts.size() < cpus.size()) {
            const auto count = to_number(take_word(line));
            if (!count) break;
            counts.push_back(*count);
          }
          if (counts.size() < cpus.size()) continue;  // ERR and MIS are of no CPU
          // Numbered ones: the chip's name, then trigger and devices. Named ones: what they are.
          std::string info;
          std::string devices;
          if (to_number(name)) {
            info = take_word(line);
            for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
              devices.append(devices.empty() ? "" : " ").append(word);
            }
          } else {
            info = core::trim(line);
          }
          if (filter.ignores(fmt::format("{};{};{}", name, info, devices))) continue;
          for (size_t i = 0; i < cpus.size(); ++i) {
            if (counts[i] == 0 && !with_zeros) continue;
            out.add(kInterrupts,
                    {{"cpu", cpus[i]}, {"type", name}, {"info", info}, {"devices", devices}},
                    counts[i]);
          }
        }
        return {};
      });
}

}  // namespace agent
