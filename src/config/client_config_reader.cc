#include "config/client_config_reader.h"

#include <algorithm>
#include <optional>

namespace config {
namespace {

using core::Result;

// Set by the client itself, or by what signs a request (common/config/headers.go).
constexpr std::array<std::string_view, 17> kReservedHeaders = {
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
};
constexpr std::string_view kReservedContentHash = "X-Amz-Content-Sha256";

constexpr auto kClientFields = client_fields();
constexpr Table kClientTable{"http_config", kClientFields};

// x-FOO-bar > X-Foo-Bar
std::string canonical_header(std::string_view name) {
  std::string canonical(name);
  bool starts_word = true;
  for (char& c : canonical) {
    const bool is_lower = c >= 'a' && c <= 'z';
    const bool is_upper = c >= 'A' && c <= 'Z';
    if ((starts_word && is_lower) || (!starts_word && is_upper)) c = static_cast<char>(c ^ 0x20);
    starts_word = c == '-';
  }
  return canonical;
}

size_t count_set(const Value& value, std::initializer_list<std::string_view> keys) {
  return static_cast<size_t>(
      std::ranges::count_if(keys, [&value](auto key) { return !value.at(key).is_zero(); }));
}

core::SecretSource secret_of(const Value& value, std::string_view key, std::string_view file_key) {
  return {.value = core::Secret(value.at(key).text), .file = value.at(file_key).text};
}

Result<net::TlsVersion> tls_version(const Value& version, const Source& source) {
  const std::string& text = version.text;
  if (text.empty()) {
    if (version.given) return error_at(source, version, "unknown TLS version: ");
    return net::TlsVersion::Default;
  }
  if (text == "TLS10") return net::TlsVersion::Tls10;
  if (text == "TLS11") return net::TlsVersion::Tls11;
  if (text == "TLS12") return net::TlsVersion::Tls12;
  if (text == "TLS13") return net::TlsVersion::Tls13;
  return error_at(source, version,
                  fmt::format("{}: unknown TLS version: {}, expected TLS10, TLS11, TLS12 or TLS13",
                              version.key, text));
}

Result<net::ProxyConfig> take_proxy(const Value& value, const Source& source) {
  const Value& url = value.at("proxy_url");
  const Value& no_proxy = value.at("no_proxy");
  const Value& environment = value.at("proxy_from_environment");
  const Value& connect = value.at("proxy_connect_header");
  if (!connect.is_zero() && !environment.is_on() && url.is_zero()) {
    return error_at(source, connect,
                    "if proxy_connect_header is configured, proxy_url or proxy_from_environment "
                    "must also be configured");
  }
  if (environment.is_on() && !url.is_zero()) {
    return error_at(source, url,
                    "if proxy_from_environment is configured, proxy_url must not be configured");
  }
  if (environment.is_on() && !no_proxy.is_zero()) {
    return error_at(source, no_proxy,
                    "if proxy_from_environment is configured, no_proxy must not be configured");
  }
  if (!url.given && !no_proxy.is_zero()) {
    return error_at(source, no_proxy,
                    "if no_proxy is configured, proxy_url must also be configured");
  }
  net::ProxyConfig proxy;
  proxy.url = url.text;
  proxy.no_proxy = no_proxy.text;
  proxy.from_environment = environment.is_on();
  for (const Value& header : connect.items) {
    for (const Value& secret : header.items) {
      proxy.connect_headers.emplace_back(header.key, core::Secret(secret.text));
    }
  }
  return proxy;
}

Result<net::BasicAuth> take_basic_auth(const Value& value, const Source& source) {
  if (count_set(value, {"username", "username_file", "username_ref"}) > 1) {
    return error_at(
        source, value,
        "at most one of basic_auth username, username_file & username_ref must be configured");
  }
  if (count_set(value, {"password", "password_file", "password_ref"}) > 1) {
    return error_at(
        source, value,
        "at most one of basic_auth password, password_file & password_ref must be configured");
  }
  return net::BasicAuth{.username = value.at("username").text,
                        .username_file = value.at("username_file").text,
                        .password = secret_of(value, "password", "password_file")};
}

Result<net::OAuth2> take_oauth2(const Value& value, const Source& source) {
  if (value.at("client_id").is_zero()) {
    return error_at(source, value, "oauth2 client_id must be configured");
  }
  if (value.at("token_url").is_zero()) {
    return error_at(source, value, "oauth2 token_url must be configured");
  }
  if (count_set(value, {"client_secret", "client_secret_file", "client_secret_ref"}) > 1) {
    return error_at(source, value,
                    "at most one of oauth2 client_secret, client_secret_file & client_secret_ref "
                    "must be configured");
  }
  net::OAuth2 oauth2;
  oauth2.client_id = value.at("client_id").text;
  oauth2.client_secret = secret_of(value, "client_secret", "client_secret_file");
  oauth2.token_url = value.at("token_url").text;
  oauth2.scopes = value.at("scopes").texts();
  for (const Value& parameter : value.at("endpoint_params").items) {
    oauth2.endpoint_params.emplace_back(parameter.key, parameter.text);
  }
  oauth2.tls = TRY(take_tls_config(value.at("tls_config"), source));
  oauth2.proxy = TRY(take_proxy(value, source));
  return oauth2;
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// Which of the ways to authenticate may stand together (HTTPClientConfig.Validate).
Result<void> check_authentication(Value& value, const Source& source) {
  const Value& token = value.at("bearer_token");
  const Value& token_file = value.at("bearer_token_file");
  const bool has_basic = value.at("basic_auth").given;
  const bool has_oauth2 = value.at("oauth2").given;
  const bool has_bearer = !token.is_zero() || !token_file.is_zero();
  Value& authorization = value.at("authorization");
  if (!token.is_zero() && !token_file.is_zero()) {
    return error_at(source, token_file,
                    "at most one of bearer_token & bearer_token_file must be configured");
  }
  if ((has_basic || has_oauth2) && has_bearer) {
    return error_at(
        source, token.is_zero() ? token_file : token,
        "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
  }
  if (!authorization.given) {
    if (has_oauth2 && has_basic) {
      return error_at(source, value.at("oauth2"),
                      "at most one of basic_auth, oauth2 & authorization must be configured");
    }
    return {};
  }
  if (has_bearer) {
    return error_at(source, authorization,
                    "authorization is not compatible with bearer_token & bearer_token_file");
  }
  if (count_set(authorization, {"credentials", "credentials_file", "credentials_ref"}) > 1) {
    return error_at(
        source, authorization,
        "at most one of authorization credentials & credentials_file must be configured");
  }
  Value& type = authorization.at("type");
  type.set_text(std::string(trim(type.text)));
  if (type.text.empty()) type.set_text("Bearer");
  if (type.text.size() == 5 && canonical_header(type.text) == "Basic") {
    return error_at(source, type,
                    "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
  }
  if (has_basic || has_oauth2) {
    return error_at(source, authorization,
                    "at most one of basic_auth, oauth2 & authorization must be configured");
  }
  return {};
}

void move_bearer_token(Value& value) {
  Value& token = value.at("bearer_token");
  Value& token_file = value.at("bearer_token_file");
  if (token.is_zero() && token_file.is_zero()) return;
  Value& authorization = value.at("authorization");
  authorization.given = true;
  authorization.at("type").set_text("Bearer");
  authorization.at("credentials").set_text(std::move(token.text));
  authorization.at("credentials_file").set_text(std::move(token_file.text));
  token.set_text("");
  token_file.set_text("");
}

Result<std::vector<net::ClientHeader>> take_headers(const Value& headers, const Source& source) {
  std::vector<net::ClientHeader> all;
  for (const Value& header : headers.items) {
    const std::string name = canonical_header(header.key);
    if (std::ranges::count(kReservedHeaders, name) > 0 || name == kReservedContentHash) {
      return error_at(source, header, fmt::format("setting header \"{}\" is not allowed", name));
    }
    net::ClientHeader& taken = all.emplace_back();
    taken.name = name;
    taken.values = header.at("values").texts();
    for (const Value& secret : header.at("secrets").items) taken.secrets.emplace_back(secret.text);
    taken.files = header.at("files").texts();
  }
  return all;
}

}  // namespace

Result<net::TlsConfig> take_tls_config(const Value& tls, const Source& source) {
  if (count_set(tls, {"ca", "ca_file", "ca_ref"}) > 1) {
    return error_at(source, tls, "at most one of ca, ca_file & ca_ref must be configured");
  }
  const size_t certs = count_set(tls, {"cert", "cert_file", "cert_ref"});
  const size_t keys = count_set(tls, {"key", "key_file", "key_ref"});
  if (certs > 1) {
    return error_at(source, tls, "at most one of cert, cert_file & cert_ref must be configured");
  }
  if (keys > 1) {
    return error_at(source, tls, "at most one of key and key_file must be configured");
  }
  if (certs > 0 && keys == 0) {
    return error_at(source, tls,
                    "exactly one of key or key_file must be configured when a client certificate "
                    "is configured");
  }
  if (keys > 0 && certs == 0) {
    return error_at(
        source, tls,
        "exactly one of cert or cert_file must be configured when a client key is configured");
  }
  net::TlsConfig config;
  config.ca = tls.at("ca").text;
  config.ca_file = tls.at("ca_file").text;
  config.cert = tls.at("cert").text;
  config.cert_file = tls.at("cert_file").text;
  config.key = secret_of(tls, "key", "key_file");
  config.server_name = tls.at("server_name").text;
  config.insecure_skip_verify = tls.at("insecure_skip_verify").is_on();
  config.min_version = TRY(tls_version(tls.at("min_version"), source));
  config.max_version = TRY(tls_version(tls.at("max_version"), source));
  return config;
}

Result<net::ClientConfig> take_client_config(Value& value, const Source& source) {
  TRY(check_authentication(value, source));
  move_bearer_token(value);
  net::ClientConfig client;
  if (const Value& basic = value.at("basic_auth"); basic.given) {
    client.basic_auth = TRY(take_basic_auth(basic, source));
  }
  if (const Value& authorization = value.at("authorization"); authorization.given) {
    client.authorization = net::Authorization{
        .type = authorization.at("type").text,
        .credentials = secret_of(authorization, "credentials", "credentials_file")};
  }
  if (const Value& oauth2 = value.at("oauth2"); oauth2.given) {
    client.oauth2 = TRY(take_oauth2(oauth2, source));
  }
  client.tls = TRY(take_tls_config(value.at("tls_config"), source));
  client.proxy = TRY(take_proxy(value, source));
  client.headers = TRY(take_headers(value.at("http_headers"), source));
  client.follow_redirects = value.at("follow_redirects").is_on();
  client.enable_http2 = value.at("enable_http2").is_on();
  return client;
}

Result<net::ClientConfig> read_client_config(const core::Yaml& node, const Source& source) {
  Value value = TRY(read_mapping(kClientTable, node, source));
  return take_client_config(value, source);
}

Result<net::TlsConfig> read_tls_config(const core::Yaml& node, const Source& source) {
  return take_tls_config(TRY(read_mapping(kTlsTable, node, source)), source);
}

}  // namespace config
