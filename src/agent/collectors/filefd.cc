// /proc/sys/fs/file-nr: allocated, unused (always 0), maximum.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kAllocated = {"node_filefd_allocated", MetricType::Gauge,
                                   "File descriptor statistics: allocated."};
constexpr MetricInfo kMaximum = {"node_filefd_maximum", MetricType::Gauge,
                                 "File descriptor statistics: maximum."};

class FilefdCollector final : public Collector {
 public:
  explicit FilefdCollector(const Roots& roots) : path_(roots.proc + "/sys/fs/file-nr") {}

  std::string_view name() const override { return "filefd"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view line = text_;
    const std::optional<double> allocated = to_number(take_word(line));
    take_word(line);
    const std::optional<double> maximum = to_number(take_word(line));
    if (!allocated || !maximum) {
      return core::fail(core::ErrorCode::Io, "{}: expected three numbers", path_);
    }
    out.add(kAllocated, *allocated);
    out.add(kMaximum, *maximum);
    return {};
  }

 private:
  const std::string path_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_filefd_collector(const Settings& settings) {
  return std::make_unique<FilefdCollector>(settings.roots());
}

}  // namespace agent
