// http_sd_configs: target groups that a server answers with (prometheus/discovery/http;
// https://prometheus.io/docs/prometheus/latest/http_sd/).

#pragma once

#include "discovery/provider.h"

namespace net {
class HttpClient;
}

namespace discovery {

core::Result<std::unique_ptr<Provider>> make_http_provider(const config::HttpDiscovery& config,
                                                           const std::string& name,
                                                           const ProviderParts& parts);

// The same over a given client. For tests.
std::unique_ptr<Provider> make_http_provider(const config::HttpDiscovery& config,
                                             const std::string& name, const ProviderParts& parts,
                                             std::unique_ptr<net::HttpClient> client);

}  // namespace discovery
