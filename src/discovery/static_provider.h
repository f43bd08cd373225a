// static_configs: the targets that stand in the configuration.

#pragma once

#include "discovery/provider.h"

namespace discovery {

core::Result<std::unique_ptr<Provider>> make_static_provider(const config::StaticDiscovery& config,
                                                             const std::string& name,
                                                             const ProviderParts& parts);

}  // namespace discovery
