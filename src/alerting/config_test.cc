#include "alerting/config.h"

#include <doctest/doctest.h>

using namespace alerting;

namespace {

LoadedConfig must(std::string_view text) {
  auto loaded = load_config(text, "etc/am.yml");
  REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
  return *loaded;
}

std::string error_of(std::string_view text) {
  const auto loaded = load_config(text, "am.yml");
  return loaded ? "no error" : loaded.error().message;
}

constexpr std::string_view kMinimal = "route: {receiver: w}\nreceivers: [{name: w}]\n";

std::string with_webhook(const std::string& members) {
  return "route: {receiver: w}\nreceivers:\n- name: w\n  webhook_configs:\n  - " + members + "\n";
}

}  // namespace

TEST_CASE("an Alertmanager configuration with webhooks is read") {
  const LoadedConfig loaded = must(R"(
global:
  resolve_timeout: 10m
route:
  receiver: team
  group_by: [alertname, cluster]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 12h
receivers:
- name: other
- name: team
  webhook_configs:
  - url: https://user:secret@hooks.example/x
    send_resolved: false
    max_alerts: 5
    timeout: 3s
    http_config:
      authorization:
        type: Token
        credentials: s3cret
  - url_file: url
    http_config: {authorization: {credentials_file: token}}
)");
  CHECK(loaded.unsupported.empty());
  const Config& config = loaded.config;
  CHECK(config.resolve_timeout_ms == 600'000);
  CHECK(config.route.receiver == "team");
  CHECK(config.route.group_by == std::vector<std::string>{"alertname", "cluster"});
  CHECK(config.route.group_wait_ms == 10'000);
  CHECK(config.route.group_interval_ms == 60'000);
  CHECK(config.route.repeat_interval_ms == 43'200'000);
  const Receiver* team = config.find_receiver("team");
  REQUIRE(team != nullptr);
  REQUIRE(team->webhooks.size() == 2);
  CHECK(team->webhooks[0].url.reveal() == "https://user:secret@hooks.example/x");
  CHECK_FALSE(team->webhooks[0].send_resolved);
  CHECK(team->webhooks[0].max_alerts == 5);
  CHECK(team->webhooks[0].timeout_ms == 3'000);
  CHECK(team->webhooks[0].auth_type == "Token");
  CHECK(team->webhooks[0].credentials.reveal() == "s3cret");
  CHECK(team->webhooks[1].url_file == "etc/url");
  CHECK(team->webhooks[1].credentials_file == "etc/token");
  CHECK(team->webhooks[1].send_resolved);
}

TEST_CASE("defaults are Alertmanager's") {
  const Config config = must(kMinimal).config;
  CHECK(config.route.group_wait_ms == 30'000);
  CHECK(config.route.group_interval_ms == 300'000);
  CHECK(config.route.repeat_interval_ms == 14'400'000);
  CHECK(config.route.group_by.empty());
}

TEST_CASE("known keys that have no effect yet are listed with their place") {
  const LoadedConfig loaded = must(
      "global: {slack_api_url: x}\n"
      "route:\n  receiver: w\n  routes: [{receiver: w}]\n"
      "receivers: [{name: w, slack_configs: [{channel: c}], webhook_configs: [{url: http://h/}]}]\n"
      "inhibit_rules: []\n");
  std::string all;
  for (const std::string& one : loaded.unsupported) all += one + "\n";
  CHECK(all ==
        "etc/am.yml:6:1: inhibit_rules in the configuration\n"
        "etc/am.yml:1:10: slack_api_url in global\n"
        "etc/am.yml:5:23: slack_configs in receiver\n"
        "etc/am.yml:4:3: routes in route\n");
}

TEST_CASE("alerts are not routed to where nobody would hear of them") {
  CHECK(
      error_of("route: {receiver: w}\nreceivers: [{name: w, slack_configs: [{channel: c}]}]\n") ==
      "am.yml:1:19: receiver \"w\" has only channels that are not built yet, its pages would reach "
      "nobody; give it webhook_configs");
  must("route: {receiver: w}\nreceivers: [{name: w}]\n");  // on purpose
}

TEST_CASE("errors name file, line and column") {
  CHECK(error_of("rout: {}\n") == "am.yml:1:1: unknown field \"rout\" in the configuration");
  CHECK(error_of("receivers: [{name: w}]\n") == "am.yml:1:1: a configuration needs a route");
  CHECK(error_of("route: {receiver: x}\nreceivers: [{name: w}]\n") ==
        "am.yml:1:19: receiver \"x\" is not defined");
  CHECK(error_of("route: {receiver: w, matchers: [a=b]}\nreceivers: [{name: w}]\n")
            .starts_with("am.yml:1:32: the first route takes every alert"));
  CHECK(error_of("route: {receiver: w, group_by: [a, a]}\nreceivers: [{name: w}]\n") ==
        "am.yml:1:36: label \"a\" is repeated in group_by");
  CHECK(error_of("route: {receiver: w, group_interval: 0s}\nreceivers: [{name: w}]\n") ==
        "am.yml:1:38: group_interval cannot be zero");
  CHECK(error_of("route: {receiver: w, group_wait: soon}\nreceivers: [{name: w}]\n")
            .starts_with("am.yml:1:34: group_wait: "));
  CHECK(error_of("route: {receiver: w}\nreceivers: [{name: w}, {name: w}]\n") ==
        "am.yml:2:31: receiver \"w\" is defined twice");
  CHECK(error_of(with_webhook("send_resolved: true")) ==
        "am.yml:5:5: a webhook needs either url or url_file");
  CHECK(error_of(with_webhook("{url: 'http://h', send_resolved: yes}")) ==
        "am.yml:5:38: send_resolved must be true or false");
  CHECK(error_of(with_webhook("{url: 'http://h', sendresolved: yes}")) ==
        "am.yml:5:23: unknown field \"sendresolved\" in webhook_config");
  CHECK(error_of("[]\n") == "am.yml:1:1: the configuration must be a mapping, not sequence");
}

TEST_CASE("an error never shows a secret") {
  const std::string error = error_of(with_webhook("{url: 'ftp://user:hunter2@h/x'}"));
  CHECK(error == "am.yml:5:11: url must start with http:// or https:// and name a host");
  CHECK(error_of(with_webhook("{url: 'http://'}")) != "no error");
  CHECK(error_of(with_webhook("{url: 'http://a b'}")) != "no error");
}

TEST_CASE("grouping by everything stands alone") {
  CHECK(must("route: {receiver: w, group_by: ['...']}\nreceivers: [{name: w}]\n")
            .config.route.group_by_all);
  CHECK(error_of("route: {receiver: w, group_by: ['...', a]}\nreceivers: [{name: w}]\n") !=
        "no error");
}

TEST_CASE("a webhook address alone makes a configuration") {
  const auto config = webhook_config("http://127.0.0.1:9/x");
  REQUIRE(config);
  CHECK(config->find_receiver(config->route.receiver)->webhooks.size() == 1);
  CHECK(config->route.group_wait_ms <= 1'000);
  CHECK_FALSE(webhook_config("127.0.0.1:9"));
  CHECK(no_receivers().find_receiver("none")->webhooks.empty());
}
