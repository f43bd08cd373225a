// /proc/vmstat: "pgfault 12345". Only the fields that node_exporter takes by default.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <fmt/core.h>

namespace agent {

namespace {

// node_exporter's ^(oom_kill|pgpg|pswp|pg.*fault).*
bool is_wanted(std::string_view field) {
  return field.starts_with("oom_kill") || field.starts_with("pgpg") || field.starts_with("pswp") ||
         (field.starts_with("pg") && field.find("fault") != field.npos);
}

class VmstatCollector final : public Collector {
 public:
  explicit VmstatCollector(const Roots& roots) : path_(roots.proc + "/vmstat") {}

  std::string_view name() const override { return "vmstat"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      const std::string_view field = take_word(line);
      if (!is_wanted(field)) continue;
      const std::optional<double> value = to_number(take_word(line));
      if (!value) continue;
      out.add(fmt::format("node_vmstat_{}", field), model::MetricType::Unknown,
              fmt::format("/proc/vmstat information field {}.", field), {}, *value);
    }
    return {};
  }

 private:
  const std::string path_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_vmstat_collector(const Roots& roots) {
  return std::make_unique<VmstatCollector>(roots);
}

}  // namespace agent
