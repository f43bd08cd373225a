// /sys/fs/btrfs/<uuid>/ (fs/btrfs/sysfs.c).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kInfo = {"node_btrfs_info", MetricType::Gauge, "Filesystem information"};
constexpr MetricInfo kReserve = {"node_btrfs_global_rsv_size_bytes", MetricType::Gauge,
                                 "Size of global reserve."};
constexpr MetricInfo kDeviceSize = {"node_btrfs_device_size_bytes", MetricType::Gauge,
                                    "Size of a device that is part of the filesystem."};
constexpr MetricInfo kReserved = {"node_btrfs_reserved_bytes", MetricType::Gauge,
                                  "Amount of space reserved for a data type"};
constexpr MetricInfo kUsed = {"node_btrfs_used_bytes", MetricType::Gauge,
                              "Amount of used space by a layout/data type"};
constexpr MetricInfo kSize = {"node_btrfs_size_bytes", MetricType::Gauge,
                              "Amount of space allocated for a layout/data type"};
constexpr MetricInfo kRatio = {"node_btrfs_allocation_ratio", MetricType::Gauge,
                               "Data allocation ratio for a layout/data type"};

constexpr std::string_view kGroups[] = {"data", "metadata", "mixed", "system"};
constexpr double kSectorBytes = 512;

struct Layout {
  std::string_view name;
  // How many bytes of disk a byte takes; 0: by the number of devices (parity).
  double copies;
  double parities = 0;
};
constexpr Layout kLayouts[] = {{"single", 1}, {"dup", 2},      {"raid0", 1},
                               {"raid1", 2},  {"raid1c3", 3},  {"raid1c4", 4},
                               {"raid10", 2}, {"raid5", 0, 1}, {"raid6", 0, 2}};

void add_group(Output& out, const std::string& base, std::string_view uuid, std::string_view group,
               double devices) {
  const std::string folder = base + "/allocation/" + std::string(group);
  if (const auto reserved = read_number(folder + "/bytes_reserved")) {
    out.add(kReserved, {{"block_group_type", group}, {"uuid", uuid}}, *reserved);
  }
  for (const Layout& layout : kLayouts) {
    const std::string one = folder + "/" + std::string(layout.name);
    const auto total = read_number(one + "/total_bytes");
    const auto used = read_number(one + "/used_bytes");
    if (!total || !used) continue;
    double ratio = layout.copies;
    if (ratio == 0) ratio = devices > layout.parities ? devices / (devices - layout.parities) : 0;
    const LabelPair labels[] = {{"block_group_type", group}, {"mode", layout.name}, {"uuid", uuid}};
    out.add(kUsed, labels, *used);
    out.add(kSize, labels, *total);
    out.add(kRatio, labels, ratio);
  }
}

}  // namespace

std::unique_ptr<Collector> make_btrfs_collector(const Settings& settings) {
  return make_simple_collector(
      "btrfs", [folder = settings.roots().sys + "/fs/btrfs/"](Output& out) -> core::Result<void> {
        for (const std::string& uuid : list_folder(folder)) {
          if (uuid.find('-') == uuid.npos) continue;  // "features"
          const std::string base = folder + uuid;
          const std::string label = read_value(base + "/label").value_or("");
          out.add(kInfo, {{"label", label}, {"uuid", uuid}}, 1);
          if (const auto size = read_number(base + "/allocation/global_rsv_size")) {
            out.add(kReserve, {{"uuid", uuid}}, *size);
          }
          const std::vector<std::string> devices = list_folder(base + "/devices");
          for (const std::string& device : devices) {
            const auto sectors = read_number(base + "/devices/" + device + "/size");
            if (!sectors) continue;
            out.add(kDeviceSize, {{"device", device}, {"uuid", uuid}}, *sectors * kSectorBytes);
          }
          for (const std::string_view group : kGroups) {
            add_group(out, base, uuid, group, static_cast<double>(devices.size()));
          }
        }
        return {};
      });
}

}  // namespace agent
