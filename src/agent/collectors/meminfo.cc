// /proc/meminfo: "MemTotal:  16384 kB", "Active(anon):  12 kB", "HugePages_Total:  0".

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <fmt/core.h>

namespace agent {

using model::MetricType;

namespace {

class MeminfoCollector final : public Collector {
 public:
  explicit MeminfoCollector(const Roots& roots) : path_(roots.proc + "/meminfo") {}

  std::string_view name() const override { return "meminfo"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      std::string_view key = take_word(line);
      if (!key.ends_with(':')) continue;
      key.remove_suffix(1);
      const std::optional<double> value = to_number(take_word(line));
      if (!value) continue;
      const bool in_kilobytes = take_word(line) == "kB";

      field_.clear();
      for (const char c : key) {
        // Active(anon) becomes Active_anon.
        if (c != ')') field_ += c == '(' ? '_' : c;
      }
      if (in_kilobytes) field_ += "_bytes";
      metric_ = "node_memory_" + field_;
      help_ = fmt::format("Memory information field {}.", field_);
      out.add(metric_, field_.ends_with("_total") ? MetricType::Counter : MetricType::Gauge, help_,
              {}, in_kilobytes ? *value * 1024 : *value);
    }
    return {};
  }

 private:
  const std::string path_;
  std::string text_;
  std::string field_;
  std::string metric_;
  std::string help_;
};

}  // namespace

std::unique_ptr<Collector> make_meminfo_collector(const Settings& settings) {
  return std::make_unique<MeminfoCollector>(settings.roots());
}

}  // namespace agent
