// /proc/stat, the lines cpu0, cpu1, ...: ticks per mode (proc(5)).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <array>
#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kCpu = {"node_cpu_seconds_total", MetricType::Counter,
                             "Seconds the CPUs spent in each mode."};
constexpr MetricInfo kGuest = {"node_cpu_guest_seconds_total", MetricType::Counter,
                               "Seconds the CPUs spent in guests (VMs) for each mode."};

// USER_HZ: the unit of /proc on every architecture Linux runs on.
constexpr double kTicksPerSecond = 100;
// Columns of a line, in order. The last two are guest time, which user and nice contain.
constexpr std::array<std::string_view, 10> kModes = {"user", "nice",    "system", "idle", "iowait",
                                                     "irq",  "softirq", "steal",  "user", "nice"};
constexpr size_t kGuestFrom = 8;
constexpr size_t kIdle = 3;
// A fall of idle time by this much is a CPU that went and came back, not jitter.
constexpr double kRestartSeconds = 3;

using Seconds = std::array<double, kModes.size()>;

class CpuCollector final : public Collector {
 public:
  explicit CpuCollector(const Roots& roots) : path_(roots.proc + "/stat") {}

  std::string_view name() const override { return "cpu"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      std::string_view cpu = take_word(line);
      if (!cpu.starts_with("cpu") || cpu.size() == 3) continue;
      cpu.remove_prefix(3);
      Seconds read{};
      size_t columns = 0;
      for (; columns < read.size(); ++columns) {
        const std::optional<double> ticks = to_number(take_word(line));
        if (!ticks) break;  // old kernels have fewer columns
        read[columns] = *ticks / kTicksPerSecond;
      }
      const Seconds& seconds = advance(cpu, read);
      for (size_t i = 0; i < columns; ++i) {
        out.add(i < kGuestFrom ? kCpu : kGuest, {{"cpu", cpu}, {"mode", kModes[i]}}, seconds[i]);
      }
    }
    return {};
  }

 private:
  // The kernel's idle and iowait times sometimes step back a little, which would look
  // like a counter reset: such a step is held at the old value.
  const Seconds& advance(std::string_view cpu, const Seconds& read) {
    auto at = last_.find(cpu);
    if (at == last_.end()) return last_.emplace(cpu, read).first->second;
    Seconds& seconds = at->second;
    if (seconds[kIdle] - read[kIdle] >= kRestartSeconds) seconds = {};
    for (size_t i = 0; i < read.size(); ++i) seconds[i] = std::max(seconds[i], read[i]);
    return seconds;
  }

  const std::string path_;
  std::string text_;
  std::map<std::string, Seconds, std::less<>> last_;
};

}  // namespace

std::unique_ptr<Collector> make_cpu_collector(const Roots& roots) {
  return std::make_unique<CpuCollector>(roots);
}

}  // namespace agent
