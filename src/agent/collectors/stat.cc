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

constexpr MetricInfo kSoftirqs = {"node_softirqs_total", MetricType::Counter,
                                  "Number of softirq calls."};
// The order of the kernel's vectors (include/linux/interrupt.h), behind the sum.
constexpr std::string_view kVectors[] = {"hi",           "timer",   "net_tx", "net_rx",  "block",
                                         "block_iopoll", "tasklet", "sched",  "hrtimer", "rcu"};

class StatCollector final : public Collector {
 public:
  explicit StatCollector(const Settings& settings)
      : path_(settings.roots().proc + "/stat"), with_softirq_(settings.is_on("stat.softirq")) {}

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
      if (!with_softirq_ || key != "softirq") continue;
      take_word(line);
      for (const std::string_view vector : kVectors) {
        const std::optional<double> value = to_number(take_word(line));
        if (value) out.add(kSoftirqs, {{"vector", vector}}, *value);
      }
    }
    return {};
  }

 private:
  const std::string path_;
  const bool with_softirq_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_stat_collector(const Settings& settings) {
  return std::make_unique<StatCollector>(settings);
}

}  // namespace agent
