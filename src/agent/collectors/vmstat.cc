// /proc/vmstat: "pgfault 12345". Only the fields that --collector.vmstat.fields names.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <fmt/core.h>

namespace agent {

namespace {

class VmstatCollector final : public Collector {
 public:
  explicit VmstatCollector(const Settings& settings)
      : path_(settings.roots().proc + "/vmstat"), fields_(settings.pattern("vmstat.fields")) {}

  std::string_view name() const override { return "vmstat"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      const std::string_view field = take_word(line);
      if (!fields_.matches(field)) continue;
      const std::optional<double> value = to_number(take_word(line));
      if (!value) continue;
      out.add(fmt::format("node_vmstat_{}", field), model::MetricType::Unknown,
              fmt::format("/proc/vmstat information field {}.", field), {}, *value);
    }
    return {};
  }

 private:
  const std::string path_;
  const Pattern fields_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_vmstat_collector(const Settings& settings) {
  return std::make_unique<VmstatCollector>(settings);
}

}  // namespace agent
