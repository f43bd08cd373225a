#include "app/http_guard.h"

#include "core/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>

namespace app {
namespace {

// POST forms of reads (long queries): a foreign page cannot change anything with them.
constexpr std::array<std::string_view, 8> kReadPrefixes = {
    "/api/v1/query",  "/api/v1/labels",      "/api/v1/label/",      "/api/v1/series",
    "/api/v1/format", "/api/v1/parse_query", "/api/v1/query_range", "/api/v1/query_exemplars"};

bool is_read(const net::Request& request) {
  if (request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS")
    return true;
  return std::any_of(kReadPrefixes.begin(), kReadPrefixes.end(),
                     [&](std::string_view prefix) { return request.path.starts_with(prefix); });
}

// "https://host:port" -> "host:port"
std::string_view authority_of(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  return url.substr(0, url.find('/'));
}

net::Response refusal(int status, std::string message) {
  return net::Response::text(status, std::move(message) + "\n");
}

}  // namespace

std::string_view host_part(std::string_view address) {
  if (address.starts_with('[')) {
    const size_t end = address.find(']');
    return end == std::string_view::npos ? address : address.substr(1, end - 1);
  }
  const size_t colon = address.rfind(':');
  // More than one colon without brackets: a bare IPv6 address.
  if (colon == std::string_view::npos || address.find(':') != colon) return address;
  return address.substr(0, colon);
}

bool is_ip_literal(std::string_view host) {
  const std::string text(host);
  std::array<unsigned char, sizeof(in6_addr)> address;
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
  return host.starts_with("127.") && is_ip_literal(host);
}

core::Result<void> check_listen_address(std::string_view address, bool allow_anonymous) {
  const std::string_view host = host_part(address);
  if (allow_anonymous || is_loopback_host(host)) return {};
  return core::fail(core::ErrorCode::InvalidArgument,
                    "--web.listen-address={}: beyond loopback anyone who reaches the port could "
                    "read and write, because authentication is not built yet; use a loopback "
                    "address such as 127.0.0.1:9090 behind a proxy, or accept this with "
                    "--web.allow-anonymous",
                    address);
}

HttpGuard::HttpGuard(HttpGuardOptions options) : allowed_(std::move(options.allowed_hosts)) {
  for (std::string& host : allowed_) host = core::lower(host);
  if (!options.external_url.empty()) {
    allowed_.push_back(core::lower(host_part(authority_of(options.external_url))));
  }
  if (options.allow_anonymous) allowed_.emplace_back("*");
}

// An IP literal cannot be rebound by DNS, so it is always fine.
bool HttpGuard::is_allowed_host(std::string_view host) const {
  if (is_loopback_host(host) || is_ip_literal(host)) return true;
  return std::any_of(allowed_.begin(), allowed_.end(), [host](const std::string& allowed) {
    return allowed == "*" || allowed == host;
  });
}

std::optional<net::Response> HttpGuard::refuse(const net::Request& request) const {
  const std::string authority = core::lower(request.header("Host").value_or(""));
  if (!is_allowed_host(host_part(authority))) {
    return refusal(421, "The host name \"" + std::string(host_part(authority)) +
                            "\" is not one of this server; allow it with --web.allowed-hosts");
  }
  const std::optional<std::string_view> origin = request.header("Origin");
  if (origin && !is_read(request) && core::lower(authority_of(*origin)) != authority) {
    return refusal(403, "Cross-site request refused: Origin \"" + std::string(*origin) +
                            "\" is not this server");
  }
  return std::nullopt;
}

}  // namespace app
