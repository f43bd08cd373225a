// Targets registered in ZooKeeper (docs/discovery.md), as nodes below
// <prefix>/<tenant>/<job>/<instance>. Every level is watched; ZooKeeper's watches fire
// once, so each read sets the next one. A lost session is replaced and all is read again.

#pragma once

#include "discovery/provider.h"

namespace discovery {

class ZookeeperConnector;

core::Result<std::unique_ptr<Provider>> make_zookeeper_provider(
    const config::ZookeeperDiscovery& config, const std::string& name, const ProviderParts& parts);

// The same over given sessions. For tests.
std::unique_ptr<Provider> make_zookeeper_provider(const config::ZookeeperDiscovery& config,
                                                  const std::string& name,
                                                  const ProviderParts& parts,
                                                  std::unique_ptr<ZookeeperConnector> connector);

}  // namespace discovery
