#include "net/client_proxy.h"

#include <doctest/doctest.h>
#include <map>

namespace net {

namespace {

ProxyConfig config_of(std::string url, std::string no_proxy = {}) {
  ProxyConfig config;
  config.url = std::move(url);
  config.no_proxy = std::move(no_proxy);
  return config;
}

ProxyChooser chooser(const ProxyConfig& config, std::map<std::string, std::string> set = {}) {
  auto made = ProxyChooser::create(config, [&](const char* name) { return set[name]; });
  REQUIRE_MESSAGE(made, made.error().message);
  return std::move(*made);
}

std::string chosen(const ProxyChooser& proxies, const char* url) {
  const ClientUrl* const proxy = proxies.choose(*parse_client_url(url));
  return proxy == nullptr ? "none" : proxy->text();
}

bool is_exempt(const std::string& no_proxy, const char* url) {
  return chosen(chooser(config_of("http://proxy:3128", no_proxy)), url) == "none";
}

}  // namespace

TEST_CASE("proxy_url holds for everything, also loopback, until no_proxy says otherwise") {
  const ProxyChooser all = chooser(config_of("http://user:pass@proxy:3128"));
  CHECK(chosen(all, "http://a/") == "http://proxy:3128/");
  CHECK(chosen(all, "https://a/") == "http://proxy:3128/");
  CHECK(chosen(all, "http://127.0.0.1/") == "http://proxy:3128/");
  CHECK(is_exempt("x", "http://127.0.0.1/"));
  CHECK(is_exempt("x", "http://localhost/"));
  CHECK(is_exempt("x", "http://[::1]/"));
  CHECK(chosen(chooser({}), "http://a/") == "none");
  CHECK(chosen(chooser(config_of("proxy:3128")), "http://a/") == "http://proxy:3128/");
}

TEST_CASE("no_proxy: domains, addresses, networks and ports") {
  CHECK(is_exempt("*", "http://anything/"));
  CHECK(is_exempt("foo.com", "http://foo.com/"));
  CHECK(is_exempt("foo.com", "http://bar.foo.com/"));
  CHECK_FALSE(is_exempt("foo.com", "http://barfoo.com/"));
  CHECK_FALSE(is_exempt(".foo.com", "http://foo.com/"));
  CHECK(is_exempt(".foo.com", "http://bar.foo.com/"));
  CHECK(is_exempt("*.foo.com", "http://bar.foo.com/"));
  CHECK_FALSE(is_exempt("*.foo.com", "http://foo.com/"));
  CHECK(is_exempt(" X , FOO.com ", "http://foo.COM/"));
  CHECK(is_exempt("foo.com:443", "https://foo.com/"));
  CHECK_FALSE(is_exempt("foo.com:80", "https://foo.com/"));
  CHECK(is_exempt("10.0.0.1", "http://10.0.0.1:9100/"));
  CHECK(is_exempt("10.0.0.1:9100", "http://10.0.0.1:9100/"));
  CHECK_FALSE(is_exempt("10.0.0.1:9101", "http://10.0.0.1:9100/"));
  CHECK(is_exempt("10.0.0.0/8", "http://10.9.9.9/"));
  CHECK_FALSE(is_exempt("10.0.0.0/8", "http://11.0.0.1/"));
  CHECK_FALSE(is_exempt("10.0.0.0/8", "http://name/"));
  CHECK(is_exempt("fd00::/8", "http://[fd00::5]/"));
  CHECK(is_exempt("[fd00::5]:80", "http://[fd00::5]/"));
  CHECK(is_exempt("fd00::5", "http://[fd00::5]/"));
  CHECK_FALSE(is_exempt("::/0", "http://10.0.0.1/"));
  CHECK_FALSE(is_exempt("10.0.0.0/40,:80,,", "http://10.0.0.1/"));
}

TEST_CASE("The environment names proxies, in capitals first") {
  ProxyConfig from_environment;
  from_environment.from_environment = true;
  const ProxyChooser proxies = chooser(from_environment, {{"HTTP_PROXY", "one:1"},
                                                          {"http_proxy", "two:2"},
                                                          {"https_proxy", "https://three:3"},
                                                          {"no_proxy", "free.org"}});
  CHECK(chosen(proxies, "http://a/") == "http://one:1/");
  CHECK(chosen(proxies, "https://a/") == "https://three:3/");
  CHECK(chosen(proxies, "https://x.free.org/") == "none");
  CHECK(chosen(proxies, "http://127.1.2.3/") == "none");
  CHECK(chosen(chooser(from_environment), "http://a/") == "none");
}

TEST_CASE("A proxy that cannot be used is refused without its password") {
  const auto error = [](const char* url) {
    return ProxyChooser::create(config_of(url), environment_variable).error().message;
  };
  CHECK(error("socks5://u:secret@p:1") ==
        "proxy scheme \"socks5\" is not supported; use http or https");
  CHECK(error("http://u:secret@p:x").find("secret") == std::string::npos);
}

}  // namespace net
