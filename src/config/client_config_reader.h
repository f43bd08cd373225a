// Reads the fields of Prometheus's http_config: how to reach an HTTP server
// (prometheus/common, config/http_config.go). They stand in a mapping of their own
// (Alertmanager's http_config) or inline among others (scrape_config).

#pragma once

#include "config/schema.h"
#include "core/result.h"
#include "core/yaml.h"
#include "net/client_config.h"

#include <array>
#include <string_view>

namespace config {

inline constexpr std::array kTlsFields = {
    Field{.key = "ca"},
    Field{.key = "cert"},
    Field{.key = "key", .type = Type::Secret},
    Field{.key = "ca_file", .flags = kPath},
    Field{.key = "cert_file", .flags = kPath},
    Field{.key = "key_file", .flags = kPath},
    Field{.key = "ca_ref", .flags = kNotBuilt},
    Field{.key = "cert_ref", .flags = kNotBuilt},
    Field{.key = "key_ref", .flags = kNotBuilt},
    Field{.key = "server_name"},
    Field{.key = "insecure_skip_verify", .type = Type::Bool, .flags = kShown},
    Field{.key = "min_version"},
    Field{.key = "max_version"},
};
inline constexpr Table kTlsTable{"tls_config", kTlsFields};

inline constexpr std::array kProxyFields = {
    Field{.key = "proxy_url", .type = Type::Url},
    Field{.key = "no_proxy"},
    Field{.key = "proxy_from_environment", .type = Type::Bool},
    Field{.key = "proxy_connect_header",
          .type = Type::Map,
          .element = Type::List,
          .inner = Type::Secret},
};

inline constexpr std::array kBasicAuthFields = {
    Field{.key = "username", .flags = kShown},
    Field{.key = "username_file", .flags = kPath},
    Field{.key = "username_ref", .flags = kNotBuilt},
    Field{.key = "password", .type = Type::Secret},
    Field{.key = "password_file", .flags = kPath},
    Field{.key = "password_ref", .flags = kNotBuilt},
};
inline constexpr Table kBasicAuthTable{"basic_auth", kBasicAuthFields};

inline constexpr std::array kAuthorizationFields = {
    Field{.key = "type"},
    Field{.key = "credentials", .type = Type::Secret},
    Field{.key = "credentials_file", .flags = kPath},
    Field{.key = "credentials_ref", .flags = kNotBuilt},
};
inline constexpr Table kAuthorizationTable{"authorization", kAuthorizationFields};

inline constexpr auto kOAuth2Fields = join_fields(
    std::array{
        Field{.key = "client_id", .flags = kShown},
        Field{.key = "client_secret", .type = Type::Secret},
        Field{.key = "client_secret_file", .flags = kPath},
        Field{.key = "client_secret_ref", .flags = kNotBuilt},
        Field{.key = "scopes", .type = Type::List},
        Field{.key = "token_url", .flags = kShown | kUrlText},
        Field{.key = "endpoint_params", .type = Type::Map},
        Field{.key = "tls_config", .type = Type::Mapping, .table = &kTlsTable},
    },
    kProxyFields);
inline constexpr Table kOAuth2Table{"oauth2", kOAuth2Fields};

inline constexpr std::array kHeaderFields = {
    Field{.key = "values", .type = Type::List},
    Field{.key = "secrets", .type = Type::List, .element = Type::Secret},
    Field{.key = "files", .type = Type::List, .element_flags = kPath},
};
inline constexpr Table kHeaderTable{"http_headers", kHeaderFields};

// For join_fields(). `enable_http2` is the default of that key, which differs.
constexpr auto client_fields(std::string_view enable_http2 = "true") {
  return join_fields(
      std::array{
          Field{.key = "basic_auth",
                .type = Type::Mapping,
                .flags = kOptional,
                .table = &kBasicAuthTable},
          Field{.key = "authorization",
                .type = Type::Mapping,
                .flags = kOptional,
                .table = &kAuthorizationTable},
          Field{.key = "oauth2", .type = Type::Mapping, .flags = kOptional, .table = &kOAuth2Table},
          Field{.key = "bearer_token", .type = Type::Secret},
          Field{.key = "bearer_token_file", .flags = kPath},
          Field{.key = "tls_config", .type = Type::Mapping, .table = &kTlsTable},
          Field{.key = "follow_redirects", .type = Type::Bool, .flags = kShown, .preset = "true"},
          Field{.key = "enable_http2", .type = Type::Bool, .flags = kShown, .preset = enable_http2},
      },
      kProxyFields,
      std::array{Field{.key = "http_headers",
                       .type = Type::Map,
                       .element = Type::Mapping,
                       .table = &kHeaderTable}});
}

// A mapping that holds these fields and no others: http_config of alertmanager.yml.
core::Result<net::ClientConfig> read_client_config(const core::Yaml& node, const Source& source);
// A tls_config mapping: smtp_tls_config of alertmanager.yml.
core::Result<net::TlsConfig> read_tls_config(const core::Yaml& node, const Source& source);

// The same from members of a mapping that was read by a table with client_fields() in
// it. Rewrites `value` as Prometheus does: bearer_token becomes authorization.
core::Result<net::ClientConfig> take_client_config(Value& value, const Source& source);
core::Result<net::TlsConfig> take_tls_config(const Value& tls, const Source& source);

}  // namespace config
