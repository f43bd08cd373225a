// /proc/net/dev: one line of counters per interface; nohandler only stands in /sys.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

#define NETDEV_METRIC(field) \
  {"node_network_" field "_total", MetricType::Counter, "Network device statistic " field "."}

// The columns of a line. The kernel has already added up the kinds of errors as
// node_exporter does (net/core/net-procfs.c).
constexpr MetricInfo kColumns[] = {
    NETDEV_METRIC("receive_bytes"),      NETDEV_METRIC("receive_packets"),
    NETDEV_METRIC("receive_errs"),       NETDEV_METRIC("receive_drop"),
    NETDEV_METRIC("receive_fifo"),       NETDEV_METRIC("receive_frame"),
    NETDEV_METRIC("receive_compressed"), NETDEV_METRIC("receive_multicast"),
    NETDEV_METRIC("transmit_bytes"),     NETDEV_METRIC("transmit_packets"),
    NETDEV_METRIC("transmit_errs"),      NETDEV_METRIC("transmit_drop"),
    NETDEV_METRIC("transmit_fifo"),      NETDEV_METRIC("transmit_colls"),
    NETDEV_METRIC("transmit_carrier"),   NETDEV_METRIC("transmit_compressed"),
};
constexpr MetricInfo kNohandler = NETDEV_METRIC("receive_nohandler");

#undef NETDEV_METRIC

class NetdevCollector final : public Collector {
 public:
  explicit NetdevCollector(const Settings& settings)
      : path_(settings.roots().proc + "/net/dev"),
        class_folder_(settings.roots().sys + "/class/net/"),
        filter_(settings.filter("netdev.device")) {}

  std::string_view name() const override { return "netdev"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(path_, text_));
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      // "  eth0: 123 4 ...": large numbers may follow the colon without a blank.
      const size_t colon = line.rfind(':');
      if (colon == line.npos) continue;  // the two head lines
      std::string_view before = line.substr(0, colon);
      const std::string_view device = take_word(before);
      if (filter_.ignores(device)) continue;
      line.remove_prefix(colon + 1);
      for (const MetricInfo& metric : kColumns) {
        const std::optional<double> value = to_number(take_word(line));
        if (value) out.add(metric, {{"device", device}}, *value);
      }
      const std::optional<double> nohandler =
          read_number(class_folder_ + std::string(device) + "/statistics/rx_nohandler");
      if (nohandler) out.add(kNohandler, {{"device", device}}, *nohandler);
    }
    return {};
  }

 private:
  const std::string path_;
  const std::string class_folder_;
  const DeviceFilter filter_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_netdev_collector(const Settings& settings) {
  return std::make_unique<NetdevCollector>(settings);
}

}  // namespace agent
