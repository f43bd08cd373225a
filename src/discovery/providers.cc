// The one table of providers: which kind of configuration is read by which class.

#include "discovery/dns_provider.h"
#include "discovery/etcd_provider.h"
#include "discovery/file_provider.h"
#include "discovery/http_provider.h"
#include "discovery/provider.h"
#include "discovery/static_provider.h"
#include "discovery/zookeeper_provider.h"

#include <variant>

namespace discovery {

core::Result<std::unique_ptr<Provider>> make_provider(const config::DiscoveryConfig& config,
                                                      const std::string& name,
                                                      const ProviderParts& parts) {
  struct Table {
    const std::string& name;
    const ProviderParts& parts;

    using Made = core::Result<std::unique_ptr<Provider>>;
    Made operator()(const config::StaticDiscovery& of) const {
      return make_static_provider(of, name, parts);
    }
    Made operator()(const config::FileDiscovery& of) const {
      return make_file_provider(of, name, parts);
    }
    Made operator()(const config::HttpDiscovery& of) const {
      return make_http_provider(of, name, parts);
    }
    Made operator()(const config::DnsDiscovery& of) const {
      return make_dns_provider(of, name, parts);
    }
    Made operator()(const config::EtcdDiscovery& of) const {
      return make_etcd_provider(of, name, parts);
    }
    Made operator()(const config::ZookeeperDiscovery& of) const {
      return make_zookeeper_provider(of, name, parts);
    }
  };
  return std::visit(Table{name, parts}, config);
}

}  // namespace discovery
