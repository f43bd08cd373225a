#include "config/schema.h"

#include "config/client_config_reader.h"

#include <doctest/doctest.h>

namespace config {
namespace {

net::ClientConfig client_of(std::string_view text) {
  const auto root = core::parse_yaml(text, "h.yml");
  REQUIRE(root);
  const auto client = read_client_config(*root, {.file = "h.yml", .folder = "/etc/p"});
  REQUIRE_MESSAGE(client, client.error().message);
  return *client;
}

std::string client_error(std::string_view text) {
  const auto root = core::parse_yaml(text, "h.yml");
  if (!root) return root.error().message;
  const auto client = read_client_config(*root, {.file = "h.yml", .folder = "/etc/p"});
  return client ? "" : client.error().message;
}

TEST_CASE("scalars are what YAML 1.1 makes of them") {
  CHECK(*parse_bool("yes"));
  CHECK_FALSE(*parse_bool("Off"));
  CHECK_FALSE(parse_bool("yEs"));
  CHECK(*parse_int("0x1f") == 31);
  CHECK(*parse_int("017") == 15);
  CHECK(*parse_int("-1_000") == -1000);
  CHECK(*parse_int("1e3") == 1000);
  CHECK(*parse_int("-9223372036854775808") == INT64_MIN);
  CHECK_FALSE(parse_int("9223372036854775808"));
  CHECK_FALSE(parse_int("1.5"));
  CHECK_FALSE(parse_int(""));
  CHECK(*parse_uint("18446744073709551615") == UINT64_MAX);
  CHECK_FALSE(parse_uint("-1"));
  CHECK(*parse_float("1.5e1") == 15);
  CHECK(*parse_float("0x10") == 16);
  CHECK_FALSE(parse_float("1.5.1"));
}

TEST_CASE("sizes are powers of 1024 in either spelling, not in both") {
  CHECK(*parse_size("0") == 0);
  CHECK(*parse_size("10MB") == 10 << 20);
  CHECK(*parse_size("1.5KiB") == 1536);
  CHECK(*parse_size("1GB1B") == (1 << 30) + 1);
  for (const char* bad : {"10", "10mb", "MB", "", "1 MB", "1kB", "1KiB1KB", "1e3KB", "99999EB"}) {
    CHECK_MESSAGE(!parse_size(bad), bad);
  }
  CHECK(format_size(1536) == "1KiB512B");
  CHECK(format_size(10 << 20) == "10MiB");
  CHECK(format_size(0) == "0B");
}

TEST_CASE("what a reader would take for something else needs quotes") {
  for (const char* text : {"", "~", "true", "no", "12", "0x1f", "1e3", ".5", "-.inf", "12:30",
                           "2001-01-02", "<<", "1_000"}) {
    CHECK_MESSAGE(needs_quotes(text), text);
  }
  for (const char* text : {"a", "15s", "1.2.3.4", "-", ".", "localhost:9090", "1m", "host:80"}) {
    CHECK_MESSAGE(!needs_quotes(text), text);
  }
}

TEST_CASE("URLs are checked and shown without their password") {
  CHECK(check_url("http://host:9090/path?x=%zz"));
  CHECK(check_url(""));
  CHECK(check_url("http://[::1]:80/"));
  CHECK_FALSE(check_url("http://host:port/"));
  CHECK_FALSE(check_url("http://[::1/"));
  CHECK_FALSE(check_url("http://host/%zz"));
  CHECK_FALSE(check_url(":foo"));
  CHECK(hide_password("http://u:p@h/x") == "http://u:xxxxx@h/x");
  CHECK(hide_password("http://u@h:80/a:b@c") == "http://u@h:80/a:b@c");
  CHECK(url_parts("HTTPS://u:p@h:1/x").scheme == "https");
  CHECK(url_parts("HTTPS://u:p@h:1/x").host == "h:1");
}

TEST_CASE("an http_config is read with its defaults, file names start at its folder") {
  const net::ClientConfig plain = client_of("{}");
  CHECK(plain == net::ClientConfig{});
  const net::ClientConfig full = client_of(
      "basic_auth: {username: u, password_file: pw}\n"
      "tls_config: {ca_file: /ca, min_version: TLS12, insecure_skip_verify: yes}\n"
      "proxy_url: http://proxy:3128\n"
      "no_proxy: localhost\n"
      "proxy_connect_header: {X-A: [one, two]}\n"
      "http_headers: {x-tenant: {values: [a], secrets: [b], files: [c]}}\n"
      "follow_redirects: false\n");
  CHECK(full.basic_auth->password.file == "/etc/p/pw");
  CHECK(full.tls.ca_file == "/ca");
  CHECK(full.tls.min_version == net::TlsVersion::Tls12);
  CHECK(full.tls.insecure_skip_verify);
  CHECK(full.proxy.connect_headers.size() == 2);
  REQUIRE(full.headers.size() == 1);
  CHECK(full.headers[0].name == "X-Tenant");
  CHECK(full.headers[0].files == std::vector<std::string>{"/etc/p/c"});
  CHECK_FALSE(full.follow_redirects);
  CHECK(client_of("bearer_token: abc\n").authorization->credentials.value.reveal() == "abc");
  CHECK(client_of("authorization: {credentials: x}\n").authorization->type == "Bearer");
}

TEST_CASE("ways to authenticate that exclude each other are refused with Prometheus's words") {
  CHECK(client_error("basic_auth: {username: a}\nbearer_token: x\n") ==
        "h.yml:2:15: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
        "configured");
  CHECK(client_error("authorization: {type: BASIC}\n") ==
        "h.yml:1:23: authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
  CHECK(client_error("tls_config:\n  cert: abc\n") ==
        "h.yml:2:3: exactly one of key or key_file must be configured when a client certificate "
        "is configured");
  CHECK(client_error("http_headers: {hOST: {values: [a]}}\n")
            .find("setting header \"Host\" is not allowed") != std::string::npos);
  CHECK(client_error("tls_confg: {}\n") ==
        "h.yml:1:1: unknown key \"tls_confg\" in http_config, did you mean \"tls_config\"?");
  CHECK(client_error("follow_redirects: maybe\n") ==
        "h.yml:1:19: follow_redirects: \"maybe\" is not a boolean, expected true or false");
  CHECK(client_error("basic_auth: [a]\n") ==
        "h.yml:1:13: basic_auth: expected a mapping, found a list");
}

TEST_CASE("a secret may come from the environment") {
  const auto root = core::parse_yaml("bearer_token: ${env:TOKEN}\n", "h.yml");
  REQUIRE(root);
  Source source{.file = "h.yml", .folder = ""};
  source.environment = [](const std::string& name) {
    return name == "TOKEN" ? std::string("from-env") : std::string();
  };
  const auto client = read_client_config(*root, source);
  REQUIRE(client);
  CHECK(client->authorization->credentials.value.reveal() == "from-env");
  const auto unset = core::parse_yaml("bearer_token: ${env:NONE}\n", "h.yml");
  const auto refused = read_client_config(*unset, source);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message ==
        "h.yml:1:15: bearer_token: the environment variable NONE is not set");
}

}  // namespace
}  // namespace config
