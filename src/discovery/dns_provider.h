// dns_sd_configs: targets from SRV, A, AAAA, MX and NS records (prometheus/discovery/dns).

#pragma once

#include "discovery/provider.h"

namespace discovery {

class DnsResolver;

core::Result<std::unique_ptr<Provider>> make_dns_provider(const config::DnsDiscovery& config,
                                                          const std::string& name,
                                                          const ProviderParts& parts);

// The same over a given resolver. For tests.
core::Result<std::unique_ptr<Provider>> make_dns_provider(const config::DnsDiscovery& config,
                                                          const std::string& name,
                                                          const ProviderParts& parts,
                                                          std::unique_ptr<DnsResolver> resolver);

}  // namespace discovery
