// /proc/net/rpc/nfs: what this host asked NFS servers for.

#include "agent/collectors/nfs_calls.h"
#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kPackets = {"node_nfs_packets_total", MetricType::Counter,
                                 "Total NFSd network packets (sent+received) by protocol type."};
constexpr MetricInfo kConnections = {"node_nfs_connections_total", MetricType::Counter,
                                     "Total number of NFSd TCP connections."};
constexpr MetricInfo kRpcs = {"node_nfs_rpcs_total", MetricType::Counter,
                              "Total number of RPCs performed."};
constexpr MetricInfo kRetransmissions = {"node_nfs_rpc_retransmissions_total", MetricType::Counter,
                                         "Number of RPC transmissions performed."};
constexpr MetricInfo kRefreshes = {"node_nfs_rpc_authentication_refreshes_total",
                                   MetricType::Counter,
                                   "Number of RPC authentication refreshes performed."};
constexpr MetricInfo kRequests = {"node_nfs_requests_total", MetricType::Counter,
                                  "Number of NFS procedures invoked."};

}  // namespace

std::unique_ptr<Collector> make_nfs_collector(const Settings& settings) {
  return make_simple_collector(
      "nfs", [path = settings.roots().proc + "/net/rpc/nfs"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          const std::string_view key = take_word(line);
          const std::vector<double> values = take_numbers(line);
          if (key == "net" && values.size() >= 4) {
            out.add(kPackets, {{"protocol", "udp"}}, values[1]);
            out.add(kPackets, {{"protocol", "tcp"}}, values[2]);
            out.add(kConnections, values[3]);
          } else if (key == "rpc" && values.size() >= 3) {
            out.add(kRpcs, values[0]);
            out.add(kRetransmissions, values[1]);
            out.add(kRefreshes, values[2]);
          } else if (key == "proc2") {
            add_nfs_calls(out, kRequests, "2", kNfsCalls2, values);
          } else if (key == "proc3") {
            add_nfs_calls(out, kRequests, "3", kNfsCalls3, values);
          } else if (key == "proc4") {
            add_nfs_calls(out, kRequests, "4", kNfsClientCalls4, values);
          }
        }
        return {};
      });
}

}  // namespace agent
