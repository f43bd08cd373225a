// /sys/class/scsi_tape/st<n>/stats (ABI/testing/sysfs-class-scsi_tape).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <algorithm>

namespace agent {

using model::MetricType;

namespace {

struct File {
  std::string_view name;
  MetricInfo metric;
  double factor = 1;
};
constexpr double kNanosecond = 1e-9;
constexpr File kFiles[] = {
    {"in_flight",
     {"node_tape_io_now", MetricType::Gauge,
      "The number of I/Os currently outstanding to this device."}},
    {"io_ns",
     {"node_tape_io_time_seconds_total", MetricType::Counter,
      "The amount of time spent waiting for all I/O to complete (including read and write). This "
      "includes tape movement commands such as seeking between file or set marks and implicit tape "
      "movement such as when rewind on close tape devices are used."},
     kNanosecond},
    {"other_cnt",
     {"node_tape_io_others_total", MetricType::Counter,
      "The number of I/Os issued to the tape drive other than read or write commands. The time "
      "taken to complete these commands uses the following calculation "
      "io_time_seconds_total-read_time_seconds_total-write_time_seconds_total"}},
    {"read_byte_cnt",
     {"node_tape_read_bytes_total", MetricType::Counter,
      "The number of bytes read from the tape drive."}},
    {"read_cnt",
     {"node_tape_reads_completed_total", MetricType::Counter,
      "The number of read requests issued to the tape drive."}},
    {"read_ns",
     {"node_tape_read_time_seconds_total", MetricType::Counter,
      "The amount of time spent waiting for read requests to complete."},
     kNanosecond},
    {"resid_cnt",
     {"node_tape_residual_total", MetricType::Counter,
      "The number of times during a read or write we found the residual amount to be non-zero. "
      "This should mean that a program is issuing a read larger thean the block size on tape. For "
      "write not all data made it to tape."}},
    {"write_byte_cnt",
     {"node_tape_written_bytes_total", MetricType::Counter,
      "The number of bytes written to the tape drive."}},
    {"write_cnt",
     {"node_tape_writes_completed_total", MetricType::Counter,
      "The number of write requests issued to the tape drive."}},
    {"write_ns",
     {"node_tape_write_time_seconds_total", MetricType::Counter,
      "The amount of time spent waiting for write requests to complete."},
     kNanosecond},
};

// st0, but not st0a or nst0, which are other modes of the same drive.
bool is_drive(std::string_view name) {
  return name.size() > 2 && name.starts_with("st") &&
         std::all_of(name.begin() + 2, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::unique_ptr<Collector> make_tapestats_collector(const Settings& settings) {
  return make_simple_collector(
      "tapestats",
      [folder = settings.roots().sys + "/class/scsi_tape",
       ignored = settings.pattern("tapestats.ignored-devices")](Output& out) -> core::Result<void> {
        const std::vector<std::string> devices = list_folder(folder);
        if (devices.empty())
          return core::fail(core::ErrorCode::NotFound, "no drives in {}", folder);
        for (const std::string& device : devices) {
          if (!is_drive(device) || ignored.matches(device)) continue;
          for (const File& file : kFiles) {
            const auto value =
                read_number(fmt::format("{}/{}/stats/{}", folder, device, file.name));
            if (value) out.add(file.metric, {{"device", device}}, *value * file.factor);
          }
        }
        return {};
      });
}

}  // namespace agent
