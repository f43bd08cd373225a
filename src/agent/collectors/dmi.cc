// /sys/class/dmi/id: what the firmware says about the machine.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kInfo = {
    "node_dmi_info", MetricType::Gauge,
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, "
    "bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, "
    "chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, "
    "product_name, product_serial, product_sku, product_uuid, product_version, system_vendor if "
    "provided by DMI."};

// Labels are named as the files, but for the last.
constexpr std::string_view kFiles[] = {
    "bios_date",      "bios_release",   "bios_vendor",     "bios_version",    "board_asset_tag",
    "board_name",     "board_serial",   "board_vendor",    "board_version",   "chassis_asset_tag",
    "chassis_serial", "chassis_vendor", "chassis_version", "product_family",  "product_name",
    "product_serial", "product_sku",    "product_uuid",    "product_version", "sys_vendor"};

}  // namespace

std::unique_ptr<Collector> make_dmi_collector(const Settings& settings) {
  return make_simple_collector(
      "dmi", [folder = settings.roots().sys + "/class/dmi/id"](Output& out) -> core::Result<void> {
        std::vector<std::pair<std::string_view, std::string>> values;
        for (const std::string_view file : kFiles) {
          auto value = read_value(folder + "/" + std::string(file));
          const std::string_view label = file == "sys_vendor" ? "system_vendor" : file;
          if (value) values.emplace_back(label, std::move(*value));
        }
        if (values.empty()) return core::fail(core::ErrorCode::NotFound, "nothing in {}", folder);
        const std::vector<LabelPair> labels(values.begin(), values.end());
        out.add(kInfo, labels, 1);
        return {};
      });
}

}  // namespace agent
