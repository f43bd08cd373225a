// /proc/loadavg: "0.20 0.18 0.12 1/80 11206".

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kLoads[] = {
    {"node_load1", MetricType::Gauge, "1m load average."},
    {"node_load5", MetricType::Gauge, "5m load average."},
    {"node_load15", MetricType::Gauge, "15m load average."},
};

class LoadavgCollector final : public Collector {
 public:
  explicit LoadavgCollector(const Roots& roots) : path_(roots.proc + "/loadavg") {}

  std::string_view name() const override { return "loadavg"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view line = text_;
    for (const MetricInfo& metric : kLoads) {
      const std::string_view word = take_word(line);
      const std::optional<double> load = to_number(word);
      if (!load) {
        return core::fail(core::ErrorCode::Io, "{}: \"{}\" where a number is due", path_, word);
      }
      out.add(metric, *load);
    }
    return {};
  }

 private:
  const std::string path_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_loadavg_collector(const Settings& settings) {
  return std::make_unique<LoadavgCollector>(settings.roots());
}

}  // namespace agent
