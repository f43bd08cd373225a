// What stands between the network and the API while no login is built: who may reach
// the port, and what a foreign web page may make a browser send to it.

#pragma once

#include "core/result.h"
#include "net/http.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace app {

struct HttpGuardOptions {
  bool allow_anonymous = false;            // --web.allow-anonymous
  std::vector<std::string> allowed_hosts;  // --web.allowed-hosts
  std::string external_url;                // its host is allowed too
};

// Immutable, thread-safe.
class HttpGuard {
 public:
  explicit HttpGuard(HttpGuardOptions options);

  // The answer that refuses the request, or nothing. Two attacks end here: DNS rebinding
  // (a foreign name that resolves to loopback: 421) and cross-site requests that change
  // something (an Origin other than this server: 403).
  std::optional<net::Response> refuse(const net::Request& request) const;

 private:
  bool is_allowed_host(std::string_view host) const;

  std::vector<std::string> allowed_;
};

// "host:port", "[::1]:port" or ":port" without the port.
std::string_view host_part(std::string_view address);
bool is_loopback_host(std::string_view host);
bool is_ip_literal(std::string_view host);

// InvalidArgument when the address is not loopback and the waiver was not given.
core::Result<void> check_listen_address(std::string_view address, bool allow_anonymous);

}  // namespace app
