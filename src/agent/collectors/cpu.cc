// /proc/stat, the lines cpu0, cpu1, ...: ticks per mode (proc(5)); facts about each CPU
// from /proc/cpuinfo and /sys/devices/system/cpu.

#include "agent/collectors/table.h"
#include "agent/text_file.h"
#include "core/text.h"

#include <array>
#include <map>
#include <set>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kCpu = {"node_cpu_seconds_total", MetricType::Counter,
                             "Seconds the CPUs spent in each mode."};
constexpr MetricInfo kGuest = {"node_cpu_guest_seconds_total", MetricType::Counter,
                               "Seconds the CPUs spent in guests (VMs) for each mode."};

constexpr MetricInfo kInfo = {"node_cpu_info", MetricType::Gauge,
                              "CPU information from /proc/cpuinfo."};
constexpr MetricInfo kFlag = {
    "node_cpu_flag_info", MetricType::Gauge,
    "The `flags` field of CPU information from /proc/cpuinfo taken from the first core."};
constexpr MetricInfo kBug = {
    "node_cpu_bug_info", MetricType::Gauge,
    "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core."};
constexpr MetricInfo kCoreThrottles = {"node_cpu_core_throttles_total", MetricType::Counter,
                                       "Number of times this CPU core has been throttled."};
constexpr MetricInfo kPackageThrottles = {"node_cpu_package_throttles_total", MetricType::Counter,
                                          "Number of times this CPU package has been throttled."};
constexpr MetricInfo kIsolated = {
    "node_cpu_isolated", MetricType::Gauge,
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated."};
constexpr MetricInfo kOnline = {"node_cpu_online", MetricType::Gauge,
                                "CPUs that are online and being scheduled."};

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
  explicit CpuCollector(const Settings& settings)
      : path_(settings.roots().proc + "/stat"),
        info_path_(settings.roots().proc + "/cpuinfo"),
        folder_(settings.roots().sys + "/devices/system/cpu"),
        flags_(settings.pattern("cpu.info.flags-include")),
        bugs_(settings.pattern("cpu.info.bugs-include")),
        with_guest_(settings.is_on("cpu.guest")),
        with_info_(settings.is_on("cpu.info") || flags_.is_set() || bugs_.is_set()) {}

  std::string_view name() const override { return "cpu"; }

  core::Result<void> collect(Output& out) override {
    if (with_info_) TRY(add_info(out));
    add_topology(out);
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
        if (i >= kGuestFrom && !with_guest_) break;
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

  // Paragraphs of "key : value", one per CPU.
  core::Result<void> add_info(Output& out) {
    TRY(read_text(info_path_, text_));
    std::map<std::string_view, std::string_view> fields;
    bool is_first = true;
    std::string_view rest = text_;
    while (!rest.empty() || !fields.empty()) {
      const std::string_view line = take_line(rest);
      const size_t colon = line.find(':');
      if (colon != line.npos) {
        fields[core::trim(line.substr(0, colon))] = core::trim(line.substr(colon + 1));
        if (!rest.empty()) continue;
      }
      if (fields.contains("processor"))
        add_info_of_one(out, fields, std::exchange(is_first, false));
      fields.clear();
    }
    return {};
  }

  void add_info_of_one(Output& out, std::map<std::string_view, std::string_view>& fields,
                       bool is_first) const {
    out.add(kInfo,
            {{"package", fields["physical id"]},
             {"core", fields["core id"]},
             {"cpu", fields["processor"]},
             {"vendor", fields["vendor_id"]},
             {"family", fields["cpu family"]},
             {"model", fields["model"]},
             {"model_name", fields["model name"]},
             {"microcode", fields["microcode"]},
             {"stepping", fields["stepping"]},
             {"cachesize", fields["cache size"]}},
            1);
    if (!is_first) return;
    const auto add_words = [&out](std::string_view words, const Pattern& wanted,
                                  const MetricInfo& metric, std::string_view label) {
      for (std::string_view word = take_word(words); !word.empty(); word = take_word(words)) {
        if (wanted.matches(word)) out.add(metric, {{label, word}}, 1);
      }
    };
    add_words(fields["flags"], flags_, kFlag, "flag");
    add_words(fields["bugs"], bugs_, kBug, "bug");
  }

  // Throttling is counted per core and package, which several CPUs share.
  void add_topology(Output& out) const {
    std::set<std::pair<std::string, std::string>> cores;
    std::set<std::string> packages;
    for (const std::string& entry : list_folder(folder_)) {
      if (!entry.starts_with("cpu") || !to_number(std::string_view(entry).substr(3))) continue;
      const std::string base = folder_ + "/" + entry;
      const std::string_view cpu = std::string_view(entry).substr(3);
      if (const auto online = read_number(base + "/online")) {
        out.add(kOnline, {{"cpu", cpu}}, *online);
      }
      const auto package = read_value(base + "/topology/physical_package_id");
      const auto core_id = read_value(base + "/topology/core_id");
      if (!package || !core_id) continue;
      const auto core_count = read_number(base + "/thermal_throttle/core_throttle_count");
      if (core_count && cores.emplace(*package, *core_id).second) {
        out.add(kCoreThrottles, {{"package", *package}, {"core", *core_id}}, *core_count);
      }
      const auto package_count = read_number(base + "/thermal_throttle/package_throttle_count");
      if (package_count && packages.insert(*package).second) {
        out.add(kPackageThrottles, {{"package", *package}}, *package_count);
      }
    }
    add_isolated(out);
  }

  // "1,4-7"
  void add_isolated(Output& out) const {
    const std::string list = read_value(folder_ + "/isolated").value_or("");
    std::string_view rest = list;
    while (!rest.empty()) {
      const std::string_view range = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(range.size() + 1, rest.size()));
      const size_t dash = range.find('-');
      const auto first = to_number(range.substr(0, dash));
      const auto last = dash == range.npos ? first : to_number(range.substr(dash + 1));
      if (!first || !last || *last > kCpusMax) return;
      for (int cpu = static_cast<int>(*first); cpu <= static_cast<int>(*last); ++cpu) {
        out.add(kIsolated, {{"cpu", std::to_string(cpu)}}, 1);
      }
    }
  }

  static constexpr double kCpusMax = 65536;  // of a list that makes sense

  const std::string path_;
  const std::string info_path_;
  const std::string folder_;
  const Pattern flags_;
  const Pattern bugs_;
  const bool with_guest_;
  const bool with_info_;
  std::string text_;
  std::map<std::string, Seconds, std::less<>> last_;
};

}  // namespace

std::unique_ptr<Collector> make_cpu_collector(const Settings& settings) {
  return std::make_unique<CpuCollector>(settings);
}

}  // namespace agent
