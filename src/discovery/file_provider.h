// file_sd_configs: target groups from JSON and YAML files (prometheus/discovery/file).
// Files are read again when their folder changes and at every refresh interval.

#pragma once

#include "discovery/provider.h"

namespace discovery {

core::Result<std::unique_ptr<Provider>> make_file_provider(const config::FileDiscovery& config,
                                                           const std::string& name,
                                                           const ProviderParts& parts);

}  // namespace discovery
