// /sys/class/net/<interface>/: one attribute per file (sysfs-class-net in the kernel's
// ABI documents). An attribute that an interface lacks, or does not have while it is
// down, gives no series.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kUp = {"node_network_up", MetricType::Gauge,
                            "Value is 1 if operstate is 'up', 0 otherwise."};
constexpr MetricInfo kInfo = {"node_network_info", MetricType::Gauge,
                              "Non-numeric data from /sys/class/net/<iface>, value is always 1."};

struct Attribute {
  const char* file;
  MetricInfo metric;
  double factor = 1;
};

#define NETCLASS(file, field, type)                                \
  file, {                                                          \
    "node_network_" field, type, "Network device property: " field \
  }

constexpr double kMegabitBytes = 1e6 / 8;

constexpr Attribute kAttributes[] = {
    {NETCLASS("addr_assign_type", "address_assign_type", MetricType::Gauge)},
    {NETCLASS("carrier", "carrier", MetricType::Gauge)},
    {NETCLASS("carrier_changes", "carrier_changes_total", MetricType::Counter)},
    {NETCLASS("carrier_up_count", "carrier_up_changes_total", MetricType::Counter)},
    {NETCLASS("carrier_down_count", "carrier_down_changes_total", MetricType::Counter)},
    {NETCLASS("dev_id", "device_id", MetricType::Gauge)},
    {NETCLASS("dormant", "dormant", MetricType::Gauge)},
    {NETCLASS("flags", "flags", MetricType::Gauge)},
    {NETCLASS("ifindex", "iface_id", MetricType::Gauge)},
    {NETCLASS("iflink", "iface_link", MetricType::Gauge)},
    {NETCLASS("link_mode", "iface_link_mode", MetricType::Gauge)},
    {NETCLASS("mtu", "mtu_bytes", MetricType::Gauge)},
    {NETCLASS("name_assign_type", "name_assign_type", MetricType::Gauge)},
    {NETCLASS("netdev_group", "net_dev_group", MetricType::Gauge)},
    // -1 where the driver does not know, as node_exporter 1.x passes it on.
    {NETCLASS("speed", "speed_bytes", MetricType::Gauge), kMegabitBytes},
    {NETCLASS("tx_queue_len", "transmit_queue_length", MetricType::Gauge)},
    {NETCLASS("type", "protocol_type", MetricType::Gauge)},
};

#undef NETCLASS

class NetclassCollector final : public Collector {
 public:
  explicit NetclassCollector(const Settings& settings)
      : folder_(settings.roots().sys + "/class/net"),
        ignored_(settings.pattern("netclass.ignored-devices")),
        ignores_invalid_speed_(settings.is_on("netclass.ignore-invalid-speed")) {}

  std::string_view name() const override { return "netclass"; }

  core::Result<void> collect(Output& out) override {
    const std::vector<std::string> devices = list_folder(folder_);
    if (devices.empty()) {
      return core::fail(core::ErrorCode::NotFound, "no interfaces in {}", folder_);
    }
    for (const std::string& device : devices) {
      if (ignored_.matches(device)) continue;
      const std::string base = folder_ + "/" + device + "/";
      const std::optional<std::string> state = read_value(base + "operstate");
      if (!state) continue;  // a file such as bonding_masters, or an interface just gone
      out.add(kUp, {{"device", device}}, *state == "up" ? 1 : 0);
      const std::string address = read_value(base + "address").value_or("");
      const std::string broadcast = read_value(base + "broadcast").value_or("");
      const std::string duplex = read_value(base + "duplex").value_or("");
      const std::string alias = read_value(base + "ifalias").value_or("");
      out.add(kInfo,
              {{"device", device},
               {"address", address},
               {"broadcast", broadcast},
               {"duplex", duplex},
               {"operstate", *state},
               {"ifalias", alias}},
              1);
      for (const Attribute& attribute : kAttributes) {
        const std::optional<double> value = read_number(base + attribute.file);
        if (!value || (*value < 0 && attribute.factor != 1 && ignores_invalid_speed_)) continue;
        out.add(attribute.metric, {{"device", device}}, *value * attribute.factor);
      }
    }
    return {};
  }

 private:
  const std::string folder_;
  const Pattern ignored_;
  const bool ignores_invalid_speed_;
};

}  // namespace

std::unique_ptr<Collector> make_netclass_collector(const Settings& settings) {
  return std::make_unique<NetclassCollector>(settings);
}

}  // namespace agent
