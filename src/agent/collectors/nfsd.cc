// /proc/net/rpc/nfsd: what this host served as an NFS server.

#include "agent/collectors/nfs_calls.h"
#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kHits = {
    "node_nfsd_reply_cache_hits_total", MetricType::Counter,
    "Total number of NFSd Reply Cache hits (client lost server response)."};
constexpr MetricInfo kMisses = {
    "node_nfsd_reply_cache_misses_total", MetricType::Counter,
    "Total number of NFSd Reply Cache an operation that requires caching (idempotent)."};
constexpr MetricInfo kNoCache = {
    "node_nfsd_reply_cache_nocache_total", MetricType::Counter,
    "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…)."};
constexpr MetricInfo kStale = {"node_nfsd_file_handles_stale_total", MetricType::Counter,
                               "Total number of NFSd stale file handles"};
constexpr MetricInfo kRead = {"node_nfsd_disk_bytes_read_total", MetricType::Counter,
                              "Total NFSd bytes read."};
constexpr MetricInfo kWritten = {"node_nfsd_disk_bytes_written_total", MetricType::Counter,
                                 "Total NFSd bytes written."};
constexpr MetricInfo kThreads = {"node_nfsd_server_threads", MetricType::Gauge,
                                 "Total number of NFSd kernel threads that are running."};
constexpr MetricInfo kCacheSize = {"node_nfsd_read_ahead_cache_size_blocks", MetricType::Gauge,
                                   "How large the read ahead cache is in blocks."};
constexpr MetricInfo kNotFound = {"node_nfsd_read_ahead_cache_not_found_total", MetricType::Counter,
                                  "Total number of NFSd read ahead cache not found."};
constexpr MetricInfo kPackets = {"node_nfsd_packets_total", MetricType::Counter,
                                 "Total NFSd network packets (sent+received) by protocol type."};
constexpr MetricInfo kConnections = {"node_nfsd_connections_total", MetricType::Counter,
                                     "Total number of NFSd TCP connections."};
constexpr MetricInfo kErrors = {"node_nfsd_rpc_errors_total", MetricType::Counter,
                                "Total number of NFSd RPC errors by error type."};
constexpr MetricInfo kRpcs = {"node_nfsd_server_rpcs_total", MetricType::Counter,
                              "Total number of NFSd RPCs."};
constexpr MetricInfo kRequests = {"node_nfsd_requests_total", MetricType::Counter,
                                  "Total number NFSd Requests by method and protocol."};

void add_line(Output& out, std::string_view key, const std::vector<double>& values) {
  const size_t count = values.size();
  if (key == "rc" && count >= 3) {
    out.add(kHits, values[0]);
    out.add(kMisses, values[1]);
    out.add(kNoCache, values[2]);
  } else if (key == "fh" && count >= 1) {
    out.add(kStale, values[0]);
  } else if (key == "io" && count >= 2) {
    out.add(kRead, values[0]);
    out.add(kWritten, values[1]);
  } else if (key == "th" && count >= 1) {
    out.add(kThreads, values[0]);
  } else if (key == "ra" && count >= 12) {
    out.add(kCacheSize, values[0]);
    out.add(kNotFound, values[11]);
  } else if (key == "net" && count >= 4) {
    out.add(kPackets, {{"proto", "udp"}}, values[1]);
    out.add(kPackets, {{"proto", "tcp"}}, values[2]);
    out.add(kConnections, values[3]);
  } else if (key == "rpc" && count >= 5) {
    out.add(kRpcs, values[0]);
    out.add(kErrors, {{"error", "fmt"}}, values[2]);
    out.add(kErrors, {{"error", "auth"}}, values[3]);
    out.add(kErrors, {{"error", "cInt"}}, values[4]);
  } else if (key == "proc2") {
    add_nfs_calls(out, kRequests, "2", kNfsCalls2, values, 1);
  } else if (key == "proc3") {
    add_nfs_calls(out, kRequests, "3", kNfsCalls3, values, 1);
  } else if (key == "proc4ops") {
    add_nfs_calls(out, kRequests, "4", kNfsServerCalls4, values);
  }
}

}  // namespace

std::unique_ptr<Collector> make_nfsd_collector(const Settings& settings) {
  return make_simple_collector(
      "nfsd", [path = settings.roots().proc + "/net/rpc/nfsd"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        while (!rest.empty()) {
          std::string_view line = take_line(rest);
          const std::string_view key = take_word(line);
          add_line(out, key, take_numbers(line));
        }
        return {};
      });
}

}  // namespace agent
