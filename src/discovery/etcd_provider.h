// Targets registered in etcd, through its HTTP/JSON gateway (docs/discovery.md):
//
//   log in > read the prefix at revision R, in pages > watch it from R+1 on
//
// A lost watch, a compaction and the refresh interval all begin again at the top, on the
// next endpoint after a failure. Each full read is compared with what is known.

#pragma once

#include "discovery/provider.h"

namespace net {
class StreamClient;
}

namespace discovery {

core::Result<std::unique_ptr<Provider>> make_etcd_provider(const config::EtcdDiscovery& config,
                                                           const std::string& name,
                                                           const ProviderParts& parts);

// The same over a given client. For tests.
std::unique_ptr<Provider> make_etcd_provider(const config::EtcdDiscovery& config,
                                             const std::string& name, const ProviderParts& parts,
                                             std::unique_ptr<net::StreamClient> client);

}  // namespace discovery
