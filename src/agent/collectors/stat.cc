// /proc/stat, the lines about the whole system (proc(5)).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

struct Line {
  std::string_view key;
  MetricInfo metric;
};

constexpr Line kLines[] = {
    {"intr", {"node_intr_total", MetricType::Counter, "Total number of interrupts serviced."}},
    {"ctxt",
     {"node_context_switches_total", MetricType::Counter, "Total number of context switches."}},
    {"btime", {"node_boot_time_seconds", MetricType::Gauge, "Node boot time, in unixtime."}},
    {"processes", {"node_forks_total", MetricType::Counter, "Total number of forks."}},
    {"procs_running",
     {"node_procs_running", MetricType::Gauge, "Number of processes in runnable state."}},
    {"procs_blocked",
     {"node_procs_blocked", MetricType::Gauge,
      "Number of processes blocked waiting for I/O to complete."}},
};

class StatCollector final : public Collector {
 public:
  explicit StatCollector(const Roots& roots) : path_(roots.proc + "/stat") {}

  std::string_view name() const override { return "stat"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      const std::string_view key = take_word(line);
      for (const Line& known : kLines) {
        if (known.key != key) continue;
        const std::optional<double> value = to_number(take_word(line));
        if (value) out.add(known.metric, *value);
      }
    }
    return {};
  }

 private:
  const std::string path_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_stat_collector(const Roots& roots) {
  return std::make_unique<StatCollector>(roots);
}

}  // namespace agent
