// /sys/class/nvme.

#include "agent/collectors/table.h"
#include "agent/text_file.h"
#include "core/text.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kInfo = {"node_nvme_info", MetricType::Gauge,
                              "Non-numeric data from /sys/class/nvme/<device>, value is always 1."};

}  // namespace

std::unique_ptr<Collector> make_nvme_collector(const Settings& settings) {
  return make_simple_collector(
      "nvme", [folder = settings.roots().sys + "/class/nvme"](Output& out) -> core::Result<void> {
        const std::vector<std::string> devices = list_folder(folder);
        if (devices.empty())
          return core::fail(core::ErrorCode::NotFound, "no devices in {}", folder);
        for (const std::string& device : devices) {
          const std::string base = folder + "/" + device + "/";
          const std::string firmware = read_value(base + "firmware_rev").value_or("");
          const std::string model = read_value(base + "model").value_or("");
          const std::string serial = read_value(base + "serial").value_or("");
          const std::string state = read_value(base + "state").value_or("");
          out.add(kInfo,
                  {{"device", device},
                   {"firmware_revision", core::trim(firmware)},
                   {"model", core::trim(model)},
                   {"serial", core::trim(serial)},
                   {"state", state}},
                  1);
        }
        return {};
      });
}

}  // namespace agent
