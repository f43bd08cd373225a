// /proc/pressure/{cpu,io,memory,irq}: "some avg10=0.00 avg60=0.00 avg300=0.00 total=4347826",
// total in microseconds (Documentation/accounting/psi.rst).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

struct Source {
  std::string_view file;
  std::string_view line;
  MetricInfo metric;
};

// The line "full" of cpu means nothing for a whole system.
constexpr Source kSources[] = {
    {"cpu",
     "some",
     {"node_pressure_cpu_waiting_seconds_total", MetricType::Counter,
      "Total time in seconds that processes have waited for CPU time"}},
    {"io",
     "some",
     {"node_pressure_io_waiting_seconds_total", MetricType::Counter,
      "Total time in seconds that processes have waited due to IO congestion"}},
    {"io",
     "full",
     {"node_pressure_io_stalled_seconds_total", MetricType::Counter,
      "Total time in seconds no process could make progress due to IO congestion"}},
    {"memory",
     "some",
     {"node_pressure_memory_waiting_seconds_total", MetricType::Counter,
      "Total time in seconds that processes have waited for memory"}},
    {"memory",
     "full",
     {"node_pressure_memory_stalled_seconds_total", MetricType::Counter,
      "Total time in seconds no process could make progress due to memory congestion"}},
    {"irq",
     "full",
     {"node_pressure_irq_stalled_seconds_total", MetricType::Counter,
      "Total time in seconds no process could make progress due to IRQ congestion"}},
};

constexpr double kMicrosecondsPerSecond = 1e6;

class PressureCollector final : public Collector {
 public:
  explicit PressureCollector(const Roots& roots) : folder_(roots.proc + "/pressure/") {}

  std::string_view name() const override { return "pressure"; }

  core::Result<void> collect(Output& out) override {
    std::string_view read;
    for (const Source& source : kSources) {
      if (source.file != read) {
        const core::Result<void> result = read_text(folder_ + std::string(source.file), text_);
        // Kernels before 6.1, and those without CONFIG_IRQ_TIME_ACCOUNTING, lack irq alone.
        if (!result && source.file == "irq") return {};
        TRY(result);
        read = source.file;
      }
      std::string_view rest = text_;
      while (!rest.empty()) {
        std::string_view line = take_line(rest);
        if (take_word(line) != source.line) continue;
        const size_t total = line.find("total=");
        if (total == line.npos) continue;
        const std::optional<double> value = to_number(line.substr(total + 6));
        if (value) out.add(source.metric, *value / kMicrosecondsPerSecond);
      }
    }
    return {};
  }

 private:
  const std::string folder_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_pressure_collector(const Settings& settings) {
  return std::make_unique<PressureCollector>(settings.roots());
}

}  // namespace agent
