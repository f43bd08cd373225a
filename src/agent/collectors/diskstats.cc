// /proc/diskstats: one line of counters per block device (admin-guide/iostats.rst); the
// names that udev knows stand in /run/udev/data/b<major>:<minor>.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr double kSectorBytes = 512;  // whatever the device's own sectors are
constexpr double kMillisecond = 1e-3;

struct Column {
  MetricInfo metric;
  double factor = 1;
};

// The columns after major, minor and name. Older kernels have fewer.
constexpr Column kColumns[] = {
    {{"node_disk_reads_completed_total", MetricType::Counter,
      "The total number of reads completed successfully."}},
    {{"node_disk_reads_merged_total", MetricType::Counter, "The total number of reads merged."}},
    {{"node_disk_read_bytes_total", MetricType::Counter,
      "The total number of bytes read successfully."},
     kSectorBytes},
    {{"node_disk_read_time_seconds_total", MetricType::Counter,
      "The total number of seconds spent by all reads."},
     kMillisecond},
    {{"node_disk_writes_completed_total", MetricType::Counter,
      "The total number of writes completed successfully."}},
    {{"node_disk_writes_merged_total", MetricType::Counter, "The number of writes merged."}},
    {{"node_disk_written_bytes_total", MetricType::Counter,
      "The total number of bytes written successfully."},
     kSectorBytes},
    {{"node_disk_write_time_seconds_total", MetricType::Counter,
      "This is the total number of seconds spent by all writes."},
     kMillisecond},
    {{"node_disk_io_now", MetricType::Gauge, "The number of I/Os currently in progress."}},
    {{"node_disk_io_time_seconds_total", MetricType::Counter, "Total seconds spent doing I/Os."},
     kMillisecond},
    {{"node_disk_io_time_weighted_seconds_total", MetricType::Counter,
      "The weighted # of seconds spent doing I/Os."},
     kMillisecond},
    {{"node_disk_discards_completed_total", MetricType::Counter,
      "The total number of discards completed successfully."}},
    {{"node_disk_discards_merged_total", MetricType::Counter,
      "The total number of discards merged."}},
    {{"node_disk_discarded_sectors_total", MetricType::Counter,
      "The total number of sectors discarded successfully."}},
    {{"node_disk_discard_time_seconds_total", MetricType::Counter,
      "This is the total number of seconds spent by all discards."},
     kMillisecond},
    {{"node_disk_flush_requests_total", MetricType::Counter,
      "The total number of flush requests completed successfully"}},
    {{"node_disk_flush_requests_time_seconds_total", MetricType::Counter,
      "This is the total number of seconds spent by all flush requests."},
     kMillisecond},
};

constexpr MetricInfo kInfo = {"node_disk_info", MetricType::Gauge,
                              "Info of /sys/block/<block_device>."};
constexpr MetricInfo kFilesystemInfo = {"node_disk_filesystem_info", MetricType::Gauge,
                                        "Info about disk filesystem."};
constexpr MetricInfo kDeviceMapperInfo = {"node_disk_device_mapper_info", MetricType::Gauge,
                                          "Info about disk device mapper."};

class DiskstatsCollector final : public Collector {
 public:
  explicit DiskstatsCollector(const Settings& settings)
      : path_(settings.roots().proc + "/diskstats"),
        udev_folder_(settings.roots().udev_data),
        filter_(settings.filter("diskstats.device")) {}

  std::string_view name() const override { return "diskstats"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      const std::string_view major = take_word(line);
      const std::string_view minor = take_word(line);
      const std::string_view device = take_word(line);
      if (device.empty() || filter_.ignores(device)) continue;
      add_infos(out, device, major, minor);
      for (const Column& column : kColumns) {
        const std::optional<double> value = to_number(take_word(line));
        if (!value) break;
        out.add(column.metric, {{"device", device}}, *value * column.factor);
      }
    }
    return {};
  }

 private:
  void add_infos(Output& out, std::string_view device, std::string_view major,
                 std::string_view minor) {
    read_udev(major, minor);
    // The serial printed on the disk; virtio disks only have ID_SERIAL.
    std::string_view serial = udev("SCSI_IDENT_SERIAL");
    if (serial.empty()) serial = udev("ID_SERIAL_SHORT");
    out.add(kInfo,
            {{"device", device},
             {"major", major},
             {"minor", minor},
             {"path", udev("ID_PATH")},
             {"wwn", udev("ID_WWN")},
             {"model", udev("ID_MODEL")},
             {"serial", serial},
             {"revision", udev("ID_REVISION")}},
            1);
    if (const std::string_view type = udev("ID_FS_TYPE"); !type.empty()) {
      out.add(kFilesystemInfo,
              {{"device", device},
               {"type", type},
               {"usage", udev("ID_FS_USAGE")},
               {"uuid", udev("ID_FS_UUID")},
               {"version", udev("ID_FS_VERSION")}},
              1);
    }
    if (const std::string_view mapped = udev("DM_NAME"); !mapped.empty()) {
      out.add(kDeviceMapperInfo,
              {{"device", device},
               {"name", mapped},
               {"uuid", udev("DM_UUID")},
               {"vg_name", udev("DM_VG_NAME")},
               {"lv_name", udev("DM_LV_NAME")},
               {"lv_layer", udev("DM_LV_LAYER")}},
              1);
    }
  }

  // Lines "E:ID_MODEL=QEMU_HARDDISK".
  void read_udev(std::string_view major, std::string_view minor) {
    properties_.clear();
    const std::string path = fmt::format("{}/b{}:{}", udev_folder_, major, minor);
    if (!read_text(path, udev_text_)) return;
    std::string_view rest = udev_text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      const size_t equals = line.find('=');
      if (!line.starts_with("E:") || equals == line.npos) continue;
      properties_[line.substr(2, equals - 2)] = line.substr(equals + 1);
    }
  }

  std::string_view udev(std::string_view key) const {
    const auto at = properties_.find(key);
    return at == properties_.end() ? std::string_view() : at->second;
  }

  const std::string path_;
  const std::string udev_folder_;
  const DeviceFilter filter_;
  std::string text_;
  std::string udev_text_;
  std::map<std::string_view, std::string_view> properties_;  // of the device in hand
};

}  // namespace

std::unique_ptr<Collector> make_diskstats_collector(const Settings& settings) {
  return std::make_unique<DiskstatsCollector>(settings);
}

}  // namespace agent
