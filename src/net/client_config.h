// How to reach an HTTP server: authentication, TLS, proxy, redirects. The value form
// of Prometheus's http_config (prometheus/common, config/http_config.go); defaults are
// its defaults. Paths are absolute.

#pragma once

#include "core/secret.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace net {

enum class TlsVersion : uint8_t { Default, Tls10, Tls11, Tls12, Tls13 };

struct TlsConfig {
  std::string ca;  // PEM text, or
  std::string ca_file;
  std::string cert;
  std::string cert_file;
  core::SecretSource key;
  std::string server_name;  // for SNI and verification; empty: the host of the URL
  bool insecure_skip_verify = false;
  TlsVersion min_version = TlsVersion::Default;
  TlsVersion max_version = TlsVersion::Default;

  bool operator==(const TlsConfig&) const = default;
};

struct ProxyConfig {
  std::string url;  // may hold a password: never shown
  std::string no_proxy;
  bool from_environment = false;
  std::vector<std::pair<std::string, core::Secret>> connect_headers;

  bool operator==(const ProxyConfig&) const = default;
};

struct BasicAuth {
  std::string username;
  std::string username_file;
  core::SecretSource password;

  bool operator==(const BasicAuth&) const = default;
};

// "Authorization: <type> <credentials>"; bearer_token is read into this too.
struct Authorization {
  std::string type = "Bearer";
  core::SecretSource credentials;

  bool operator==(const Authorization&) const = default;
};

// Client credentials grant (RFC 6749, 4.4).
struct OAuth2 {
  std::string client_id;
  core::SecretSource client_secret;
  std::string token_url;
  std::vector<std::string> scopes;
  std::vector<std::pair<std::string, std::string>> endpoint_params;
  TlsConfig tls;
  ProxyConfig proxy;

  bool operator==(const OAuth2&) const = default;
};

struct ClientHeader {
  std::string name;
  std::vector<std::string> values;
  std::vector<core::Secret> secrets;
  std::vector<std::string> files;

  bool operator==(const ClientHeader&) const = default;
};

struct ClientConfig {
  std::optional<BasicAuth> basic_auth;
  std::optional<Authorization> authorization;
  std::optional<OAuth2> oauth2;
  TlsConfig tls;
  ProxyConfig proxy;
  std::vector<ClientHeader> headers;
  bool follow_redirects = true;
  bool enable_http2 = true;  // accepted; requests are HTTP/1.1

  bool operator==(const ClientConfig&) const = default;
};

}  // namespace net
