// The URLs of outgoing requests: http and https only, as Go's net/url reads them.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace net {

struct ClientUrl {
  bool is_https = false;
  std::string host;       // lower case, without brackets
  uint16_t port = 0;      // the scheme's when none is given
  std::string authority;  // as given, for Host: "example.org:9100", "[::1]"
  std::string target;     // path and query, starts with '/'
  bool has_user = false;
  std::string user;      // decoded
  std::string password;  // decoded

  // "http://example.org:9100/metrics?x=y", without user and password.
  std::string text() const;
};

// The error does not hold the password.
core::Result<ClientUrl> parse_client_url(std::string_view url);

// The URL a Location header means, seen from `base`.
core::Result<ClientUrl> resolve_location(const ClientUrl& base, std::string_view location);

// "http://user:***@host/": for error texts.
std::string hide_password(std::string_view url);

// "host:port", brackets around an IPv6 address.
std::string host_port(std::string_view host, uint16_t port);

}  // namespace net
