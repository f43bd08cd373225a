// The other side of discovery: writes one registration into etcd or ZooKeeper and keeps
// it there. For `petrel agent register`.

#pragma once

#include "config/discovery_config.h"
#include "core/file_system.h"
#include "core/result.h"

#include <cstdint>
#include <memory>
#include <string>

namespace discovery {

struct RegistrarOptions {
  std::string path;   // <prefix>/<tenant>/<job>/<instance>
  std::string value;  // JSON
  // Bound to a lease (etcd) or the session (ZooKeeper), so that it goes when its writer
  // does. False: it stays until somebody removes it.
  bool is_bound = true;
  int64_t ttl_ms = 60'000;  // of the lease; a session's is configured
};

// Calls block, up to ten seconds per server. Confined to one thread.
class Registrar {
 public:
  // Leaves the entry as it is; what is bound to a session goes with it.
  virtual ~Registrar() = default;
  // Writes the entry, over an older one at the same path.
  virtual core::Result<void> put() = 0;
  // To be called at each keep_interval_ms(). NotFound: the entry is gone, put it again.
  virtual core::Result<void> keep() = 0;
  virtual int64_t keep_interval_ms() const = 0;
  virtual core::Result<void> remove() = 0;
};

core::Result<std::unique_ptr<Registrar>> make_etcd_registrar(const config::EtcdDiscovery& config,
                                                             RegistrarOptions options,
                                                             core::FileSystem& files);
core::Result<std::unique_ptr<Registrar>> make_zookeeper_registrar(
    const config::ZookeeperDiscovery& config, RegistrarOptions options);

}  // namespace discovery
