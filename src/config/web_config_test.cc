#include "config/web_config.h"

#include <doctest/doctest.h>

namespace config {
namespace {

std::string error_of(std::string_view text) {
  const auto config = parse_web_config(text, "w.yml");
  return config ? "" : config.error().message;
}

constexpr std::string_view kHash = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay";

TEST_CASE("an empty web configuration asks for nothing") {
  const auto config = parse_web_config("", "w.yml");
  REQUIRE(config);
  CHECK_FALSE(config->has_tls());
  CHECK(config->http2);
  CHECK(config->min_version == net::TlsVersion::Tls12);
}

TEST_CASE("TLS, headers and users are read") {
  const auto config = parse_web_config(
      fmt::format("tls_server_config:\n"
                  "  {{cert_file: c.pem, key_file: /k.pem, client_auth_type: RequireClientCert,\n"
                  "   client_ca_file: ca.pem, min_version: TLS13,\n"
                  "   cipher_suites: [TLS_AES_128_GCM_SHA256], curve_preferences: [X25519]}}\n"
                  "http_server_config: {{http2: no, headers: {{X-Frame-Options: deny}}}}\n"
                  "basic_auth_users: {{alice: {}}}\n",
                  kHash),
      "/etc/w.yml");
  REQUIRE_MESSAGE(config, config.error().message);
  CHECK(config->cert_file == "/etc/c.pem");
  CHECK(config->key.file == "/k.pem");
  CHECK(config->client_auth_type == "RequireAnyClientCert");
  CHECK(config->min_version == net::TlsVersion::Tls13);
  CHECK_FALSE(config->http2);
  CHECK(config->users.at(0).second.reveal() == kHash);
}

TEST_CASE("what is wrong is told with its place and never with the hash") {
  CHECK(error_of("tls_server_config: {cert_file: c}\n") ==
        "w.yml:1:20: missing one of key or key_file");
  CHECK(error_of("tls_server_config: {key_file: c}\n") ==
        "w.yml:1:20: missing one of cert or cert_file");
  CHECK(error_of("tls_server_config: {cert_file: c, key_file: k, client_auth_type: Any}\n") ==
        "w.yml:1:66: Invalid ClientAuth: Any");
  CHECK(error_of("tls_server_config: {cert_file: c, key_file: k, client_ca: x}\n") ==
        "w.yml:1:20: Client CA's have been configured without a Client Auth Policy");
  CHECK(error_of("tls_server_config: {min_version: TLS9}\n") ==
        "w.yml:1:34: min_version: unknown TLS version: TLS9, expected TLS10, TLS11, TLS12 or "
        "TLS13");
  CHECK(error_of("tls_server_config: {cipher_suites: [X]}\n") == "w.yml:1:37: unknown cipher: X");
  CHECK(error_of("http_server_config: {headers: {X-Other: a}}\n") ==
        "w.yml:1:41: HTTP header \"X-Other\" can not be configured");
  CHECK(error_of("http_server_config: {headers: {X-Frame-Options: a}}\n") ==
        "w.yml:1:49: invalid value for X-Frame-Options. Expected one of: [\"deny\" "
        "\"sameorigin\"], but got: \"a\"");
  CHECK(error_of("basic_auth_users: {a: plain}\n") ==
        "w.yml:1:23: basic_auth_users: \"a\": crypto/bcrypt: hashedSecret too short to be a "
        "bcrypted password");
  CHECK(error_of("tls_config: {}\n") ==
        "w.yml:1:1: unknown key \"tls_config\" in the web "
        "configuration");
}

TEST_CASE("certificate and key are read and must belong together") {
  core::PosixFileSystem files;
  const auto missing =
      parse_web_config("tls_server_config: {cert_file: /none.pem, key_file: /none.key}\n", "w.yml");
  REQUIRE(missing);
  const auto read = check_web_files(*missing, files);
  REQUIRE_FALSE(read);
  CHECK(read.error().message.starts_with("failed to read cert_file (/none.pem)"));
  const auto junk = parse_web_config("tls_server_config: {cert: a, key: b}\n", "w.yml");
  REQUIRE(junk);
  const auto loaded = check_web_files(*junk, files);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().message == "failed to load X509KeyPair: no PEM certificate was found");
}

}  // namespace
}  // namespace config
