// web-config.yml: TLS, headers and users of an HTTP server, in the form of Prometheus's
// exporters (https://prometheus.io/docs/prometheus/latest/configuration/https/).

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "core/secret.h"
#include "net/client_config.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace config {

struct WebConfig {
  // PEM text, or the file it is in; all empty: no TLS.
  std::string cert;
  std::string cert_file;
  core::SecretSource key;
  std::string client_ca;
  std::string client_ca_file;
  // "", NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven,
  // RequireAndVerifyClientCert
  std::string client_auth_type;
  std::vector<std::string> client_allowed_sans;
  std::vector<std::string> cipher_suites;      // Go's names: TLS_AES_128_GCM_SHA256
  std::vector<std::string> curve_preferences;  // CurveP256, CurveP384, CurveP521, X25519
  net::TlsVersion min_version = net::TlsVersion::Tls12;
  net::TlsVersion max_version = net::TlsVersion::Tls13;
  bool prefer_server_cipher_suites = true;
  bool http2 = true;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, core::Secret>> users;  // name, bcrypt hash

  bool has_tls() const;
};

// InvalidArgument: file:line:column, the key and what was expected. Files are not opened.
core::Result<WebConfig> parse_web_config(std::string_view text, const std::string& path);

// Reads certificate and key and whether they belong together, and the client CAs.
core::Result<void> check_web_files(const WebConfig& config, core::FileSystem& files);

}  // namespace config
