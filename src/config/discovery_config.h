// Where targets come from, as configured. One struct per provider that is built; every
// other kind that Prometheus 3 knows is kept by name only.

#pragma once

#include "model/labels.h"
#include "net/client_config.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace config {

// Targets with labels in common. `source` tells the groups of one provider apart: an
// update replaces the group of the same source.
struct TargetGroup {
  std::string source;
  model::Labels labels;
  // Label sets of their own, each with __address__; they win over `labels`.
  std::vector<model::Labels> targets;

  bool operator==(const TargetGroup&) const = default;
};

struct StaticDiscovery {
  std::vector<TargetGroup> groups;
  bool operator==(const StaticDiscovery&) const = default;
};

struct FileDiscovery {
  std::vector<std::string> files;  // absolute patterns; the last part may hold '*'
  int64_t refresh_interval_ms = 5 * 60'000;
  bool operator==(const FileDiscovery&) const = default;
};

struct HttpDiscovery {
  std::string url;
  int64_t refresh_interval_ms = 60'000;
  net::ClientConfig client;
  bool operator==(const HttpDiscovery&) const = default;
};

struct DnsDiscovery {
  std::vector<std::string> names;
  std::string type = "SRV";  // SRV, A, AAAA, MX, NS
  uint16_t port = 0;         // required unless SRV
  int64_t refresh_interval_ms = 30'000;
  std::string server = {};  // "127.0.0.1:5353", asked instead of resolv.conf's; no key sets it
  bool operator==(const DnsDiscovery&) const = default;
};

// etcd_sd_configs, Petrel's own: see docs/discovery.md.
struct EtcdDiscovery {
  std::vector<std::string> endpoints;  // http://host:2379
  std::string prefix = "/petrel/sd/";
  std::string username;
  core::SecretSource password;
  net::TlsConfig tls;
  int64_t refresh_interval_ms = 5 * 60'000;  // full read beside the watch
  bool operator==(const EtcdDiscovery&) const = default;
};

// zookeeper_sd_configs, Petrel's own.
struct ZookeeperDiscovery {
  std::vector<std::string> servers;  // host:2181
  std::string prefix = "/petrel/sd";
  int64_t session_timeout_ms = 30'000;
  int64_t refresh_interval_ms = 5 * 60'000;
  bool operator==(const ZookeeperDiscovery&) const = default;
};

using DiscoveryConfig = std::variant<StaticDiscovery, FileDiscovery, HttpDiscovery, DnsDiscovery,
                                     EtcdDiscovery, ZookeeperDiscovery>;

}  // namespace config
