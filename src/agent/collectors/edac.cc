// /sys/devices/system/edac/mc/mc<n>: memory errors by controller and row.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kCorrectable = {"node_edac_correctable_errors_total", MetricType::Counter,
                                     "Total correctable memory errors."};
constexpr MetricInfo kUncorrectable = {"node_edac_uncorrectable_errors_total", MetricType::Counter,
                                       "Total uncorrectable memory errors."};
constexpr MetricInfo kRowCorrectable = {"node_edac_csrow_correctable_errors_total",
                                        MetricType::Counter,
                                        "Total correctable memory errors for this csrow."};
constexpr MetricInfo kRowUncorrectable = {"node_edac_csrow_uncorrectable_errors_total",
                                          MetricType::Counter,
                                          "Total uncorrectable memory errors for this csrow."};
constexpr std::string_view kController = "mc";
constexpr std::string_view kRow = "csrow";

void add_row(Output& out, std::string_view controller, std::string_view row,
             const std::string& correctable, const std::string& uncorrectable) {
  const LabelPair labels[] = {{"controller", controller}, {"csrow", row}};
  if (const auto count = read_number(correctable)) out.add(kRowCorrectable, labels, *count);
  if (const auto count = read_number(uncorrectable)) out.add(kRowUncorrectable, labels, *count);
}

}  // namespace

std::unique_ptr<Collector> make_edac_collector(const Settings& settings) {
  return make_simple_collector(
      "edac",
      [folder =
           settings.roots().sys + "/devices/system/edac/mc"](Output& out) -> core::Result<void> {
        for (const std::string& entry : list_folder(folder)) {
          if (!entry.starts_with(kController)) continue;
          const std::string_view controller = std::string_view(entry).substr(kController.size());
          if (!to_number(controller)) continue;
          const std::string base = folder + "/" + entry + "/";
          const LabelPair labels[] = {{"controller", controller}};
          if (const auto count = read_number(base + "ce_count"))
            out.add(kCorrectable, labels, *count);
          if (const auto count = read_number(base + "ue_count"))
            out.add(kUncorrectable, labels, *count);
          add_row(out, controller, "unknown", base + "ce_noinfo_count", base + "ue_noinfo_count");
          for (const std::string& row : list_folder(folder + "/" + entry)) {
            if (!row.starts_with(kRow)) continue;
            add_row(out, controller, std::string_view(row).substr(kRow.size()),
                    base + row + "/ce_count", base + row + "/ue_count");
          }
        }
        return {};
      });
}

}  // namespace agent
