#include "config/web_config.h"

#include "config/schema.h"
#include "core/yaml.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace config {
namespace {

using core::ErrorCode;
using core::Result;

constexpr std::array kTlsServerFields = {
    Field{.key = "cert"},
    Field{.key = "key", .type = Type::Secret},
    Field{.key = "client_ca"},
    Field{.key = "cert_file", .flags = kPath},
    Field{.key = "key_file", .flags = kPath},
    Field{.key = "client_auth_type"},
    Field{.key = "client_ca_file", .flags = kPath},
    Field{.key = "cipher_suites", .type = Type::List},
    Field{.key = "curve_preferences", .type = Type::List},
    Field{.key = "min_version", .preset = "TLS12"},
    Field{.key = "max_version", .preset = "TLS13"},
    Field{.key = "prefer_server_cipher_suites", .type = Type::Bool, .preset = "true"},
    Field{.key = "client_allowed_sans", .type = Type::List},
};
constexpr Table kTlsServerTable{"tls_server_config", kTlsServerFields};
constexpr std::array kHttpServerFields = {
    Field{.key = "http2", .type = Type::Bool, .preset = "true"},
    Field{.key = "headers", .type = Type::Map},
};
constexpr Table kHttpServerTable{"http_server_config", kHttpServerFields};
constexpr std::array kWebFields = {
    Field{.key = "tls_server_config", .type = Type::Mapping, .table = &kTlsServerTable},
    Field{.key = "http_server_config", .type = Type::Mapping, .table = &kHttpServerTable},
    Field{.key = "basic_auth_users", .type = Type::Map, .element = Type::Secret},
};
constexpr Table kWebTable{"the web configuration", kWebFields};

constexpr std::string_view kCiphers[] = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    // Go counts these as insecure since 1.22; configurations name them.
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
};
constexpr std::string_view kCurves[] = {"CurveP256", "CurveP384", "CurveP521", "X25519"};
constexpr std::string_view kClientAuthTypes[] = {"",
                                                 "NoClientCert",
                                                 "RequestClientCert",
                                                 "RequireClientCert",
                                                 "RequireAnyClientCert",
                                                 "VerifyClientCertIfGiven",
                                                 "RequireAndVerifyClientCert"};

Result<net::TlsVersion> version_of(const Value& value, const Source& source) {
  if (value.text == "TLS10") return net::TlsVersion::Tls10;
  if (value.text == "TLS11") return net::TlsVersion::Tls11;
  if (value.text == "TLS12") return net::TlsVersion::Tls12;
  if (value.text == "TLS13") return net::TlsVersion::Tls13;
  return error_at(source, value,
                  fmt::format("{}: unknown TLS version: {}, expected TLS10, TLS11, TLS12 or TLS13",
                              value.key, value.text));
}

template <size_t N>
Result<std::vector<std::string>> names_of(const Value& list, const std::string_view (&known)[N],
                                          std::string_view what, const Source& source) {
  for (const Value& item : list.items) {
    if (std::ranges::count(known, item.text) > 0) continue;
    return error_at(source, item, fmt::format("unknown {}: {}", what, item.text));
  }
  return list.texts();
}

Result<void> check_header(const Value& header, const Source& source) {
  constexpr std::string_view kFree[] = {"Strict-Transport-Security", "X-XSS-Protection",
                                        "Content-Security-Policy"};
  const auto expect = [&](std::string_view allowed) {
    return error_at(source, header,
                    fmt::format("invalid value for {}. Expected one of: [{}], but got: \"{}\"",
                                header.key, allowed, header.text));
  };
  if (std::ranges::count(kFree, header.key) > 0) return {};
  if (header.key == "X-Content-Type-Options") {
    if (header.text == "nosniff") return {};
    return expect("\"nosniff\"");
  }
  if (header.key == "X-Frame-Options") {
    if (header.text == "deny" || header.text == "sameorigin") return {};
    return expect("\"deny\" \"sameorigin\"");
  }
  return error_at(source, header,
                  fmt::format("HTTP header \"{}\" can not be configured", header.key));
}

// $2<minor>$<cost>$<53 characters>, as golang.org/x/crypto/bcrypt judges it. The hash
// itself is in no message.
Result<void> check_hash(const Value& user, const Source& source) {
  constexpr size_t kHashSizeMin = 59;
  const std::string_view hash = user.text;
  const auto bad = [&](std::string_view reason) {
    return error_at(source, user, fmt::format("basic_auth_users: \"{}\": {}", user.key, reason));
  };
  if (hash.size() < kHashSizeMin) {
    return bad("crypto/bcrypt: hashedSecret too short to be a bcrypted password");
  }
  if (hash[0] != '$') return bad("crypto/bcrypt: bcrypt hashes must start with '$'");
  if (hash[1] > '2') return bad("crypto/bcrypt: the version of the hash is newer than 2");
  const std::string_view cost_text = hash.substr(hash[2] == '$' ? 3 : 4, 2);
  int cost = 0;
  const auto [end, error] = std::from_chars(cost_text.data(), cost_text.data() + 2, cost);
  if (error != std::errc() || end != cost_text.data() + 2 || cost < 4 || cost > 31) {
    return bad(
        fmt::format("crypto/bcrypt: cost {} is outside allowed inclusive range 4..31", cost_text));
  }
  return {};
}

Result<void> take_tls(const Value& tls, WebConfig& config, const Source& source) {
  config.cert = tls.at("cert").text;
  config.cert_file = tls.at("cert_file").text;
  config.key = {.value = core::Secret(tls.at("key").text), .file = tls.at("key_file").text};
  config.client_ca = tls.at("client_ca").text;
  config.client_ca_file = tls.at("client_ca_file").text;
  config.client_allowed_sans = tls.at("client_allowed_sans").texts();
  config.prefer_server_cipher_suites = tls.at("prefer_server_cipher_suites").is_on();
  // A section that is null keeps nothing of its defaults, as in Go.
  if (!tls.at("min_version").text.empty()) {
    config.min_version = TRY(version_of(tls.at("min_version"), source));
  }
  if (!tls.at("max_version").text.empty()) {
    config.max_version = TRY(version_of(tls.at("max_version"), source));
  }
  config.cipher_suites = TRY(names_of(tls.at("cipher_suites"), kCiphers, "cipher", source));
  config.curve_preferences = TRY(names_of(tls.at("curve_preferences"), kCurves, "curve", source));
  const Value& auth = tls.at("client_auth_type");
  config.client_auth_type = auth.text == "RequireClientCert" ? "RequireAnyClientCert" : auth.text;
  if (!config.has_tls()) return {};
  if (config.cert.empty() && config.cert_file.empty()) {
    return error_at(source, tls, "missing one of cert or cert_file");
  }
  if (config.key.empty()) return error_at(source, tls, "missing one of key or key_file");
  if (std::ranges::count(kClientAuthTypes, auth.text) == 0) {
    return error_at(source, auth, "Invalid ClientAuth: " + auth.text);
  }
  const bool has_ca = !config.client_ca.empty() || !config.client_ca_file.empty();
  if (has_ca && (auth.text.empty() || auth.text == "NoClientCert")) {
    return error_at(source, tls, "Client CA's have been configured without a Client Auth Policy");
  }
  return {};
}

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

BioPtr bytes_of(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

// A key with a passphrase is not asked for one.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) {
  return -1;
}

}  // namespace

bool WebConfig::has_tls() const {
  return !(cert.empty() && cert_file.empty() && key.empty() && client_ca.empty() &&
           client_ca_file.empty() && client_auth_type.empty());
}

Result<WebConfig> parse_web_config(std::string_view text, const std::string& path) {
  const core::Yaml root = TRY(core::parse_yaml(text, path));
  const Source source{.file = path, .folder = folder_of(path)};
  const Value value = TRY(read_mapping(kWebTable, root, source));
  WebConfig config;
  const Value& http = value.at("http_server_config");
  config.http2 = http.at("http2").is_on();
  for (const Value& header : http.at("headers").items) {
    TRY(check_header(header, source));
    config.headers.emplace_back(header.key, header.text);
  }
  for (const Value& user : value.at("basic_auth_users").items) {
    TRY(check_hash(user, source));
    config.users.emplace_back(user.key, core::Secret(user.text));
  }
  TRY(take_tls(value.at("tls_server_config"), config, source));
  return config;
}

Result<void> check_web_files(const WebConfig& config, core::FileSystem& files) {
  if (!config.has_tls()) return {};
  std::string cert_text = config.cert;
  if (!config.cert_file.empty()) {
    cert_text = TRY(files.read_file(config.cert_file)
                        .context("failed to read cert_file ({})", config.cert_file));
  }
  std::string key_text = config.key.value.reveal();
  if (!config.key.file.empty()) {
    key_text = TRY(
        files.read_file(config.key.file).context("failed to read key_file ({})", config.key.file));
  }
  const auto bad = [](std::string_view reason) {
    return core::fail(ErrorCode::InvalidArgument, "failed to load X509KeyPair: {}", reason);
  };
  const BioPtr cert_bytes = bytes_of(cert_text);
  const X509Ptr cert{PEM_read_bio_X509(cert_bytes.get(), nullptr, &no_passphrase, nullptr),
                     &X509_free};
  if (!cert) return bad("no PEM certificate was found");
  const BioPtr key_bytes = bytes_of(key_text);
  const KeyPtr key{PEM_read_bio_PrivateKey(key_bytes.get(), nullptr, &no_passphrase, nullptr),
                   &EVP_PKEY_free};
  if (!key) return bad("no PEM private key was found");
  if (X509_check_private_key(cert.get(), key.get()) != 1) {
    return bad("the private key does not match the certificate");
  }
  if (!config.client_ca_file.empty()) TRY(files.read_file(config.client_ca_file));
  return {};
}

}  // namespace config
