// Which proxy a request goes through: proxy_url, no_proxy and the environment by the rules
// of Go's golang.org/x/net/http/httpproxy.

#pragma once

#include "core/result.h"
#include "net/client_config.h"
#include "net/client_url.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace net {

// Immutable: thread-safe.
class ProxyChooser {
 public:
  using Environment = std::function<std::string(const char* name)>;

  // InvalidArgument for a URL that does not parse or a scheme other than http and https.
  static core::Result<ProxyChooser> create(const ProxyConfig& config,
                                           const Environment& environment);
  // nullptr: none.
  const ClientUrl* choose(const ClientUrl& url) const;

 private:
  struct Exemption {
    bool is_all = false;
    std::optional<std::vector<uint8_t>> address;  // 16 bytes; IPv4 mapped
    unsigned prefix_bits = 128;
    bool is_network = false;
    std::string port;    // "": every one
    std::string domain;  // ".example.org"
    bool takes_domain_itself = false;
  };

  void add_exemption(std::string entry);
  bool is_exempt(const std::string& host, uint16_t port) const;

  std::optional<ClientUrl> http_;
  std::optional<ClientUrl> https_;
  bool has_exemptions_ = false;  // then loopback is exempt too
  std::vector<Exemption> exemptions_;
};

// The process's own.
std::string environment_variable(const char* name);

}  // namespace net
