// /proc/schedstat: "cpu0 0 0 0 0 0 0 <running ns> <waiting ns> <timeslices>"
// (scheduler/sched-stats.rst).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kRunning = {"node_schedstat_running_seconds_total", MetricType::Counter,
                                 "Number of seconds CPU spent running a process."};
constexpr MetricInfo kWaiting = {"node_schedstat_waiting_seconds_total", MetricType::Counter,
                                 "Number of seconds spent by processing waiting for this CPU."};
constexpr MetricInfo kTimeslices = {"node_schedstat_timeslices_total", MetricType::Counter,
                                    "Number of timeslices executed by CPU."};
constexpr double kNanoseconds = 1e9;

}  // namespace

std::unique_ptr<Collector> make_schedstat_collector(const Settings& settings) {
  return make_simple_collector(
      "schedstat",
      [path = settings.roots().proc + "/schedstat"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          std::string_view cpu = take_word(line);
          if (!cpu.starts_with("cpu")) continue;
          cpu.remove_prefix(3);
          for (int i = 0; i < 6; ++i) take_word(line);
          const auto running = to_number(take_word(line));
          const auto waiting = to_number(take_word(line));
          const auto timeslices = to_number(take_word(line));
          if (!running || !waiting || !timeslices) continue;
          out.add(kRunning, {{"cpu", cpu}}, *running / kNanoseconds);
          out.add(kWaiting, {{"cpu", cpu}}, *waiting / kNanoseconds);
          out.add(kTimeslices, {{"cpu", cpu}}, *timeslices);
        }
        return {};
      });
}

}  // namespace agent
