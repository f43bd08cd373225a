#include "alerting/config.h"

#include "alerting/config_receivers.h"
#include "templates/template_set.h"

#include <doctest/doctest.h>

using namespace alerting;

namespace {

LoadedConfig must(std::string_view text) {
  auto loaded = load_config(text, "/etc/am.yml");
  REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
  return *loaded;
}

std::string error_of(std::string_view text) {
  const auto loaded = load_config(text, "am.yml");
  return loaded ? "no error" : loaded.error().message;
}

constexpr std::string_view kMinimal = "route: {receiver: w}\nreceivers: [{name: w}]\n";

std::string with(const std::string& list, const std::string& members,
                 const std::string& global = "") {
  return "route: {receiver: w}\nglobal: {" + global + "}\nreceivers:\n- name: w\n  " + list +
         ":\n  - " + members + "\n";
}

std::string with_webhook(const std::string& members) {
  return with("webhook_configs", members);
}

}  // namespace

TEST_CASE("an Alertmanager configuration with webhooks is read") {
  const LoadedConfig loaded = must(R"(
global:
  resolve_timeout: 10m
  http_config: {basic_auth: {username: u, password: p}}
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
    http_config: {authorization: {credentials_file: token}, proxy_url: http://proxy:3128}
  - url: http://h/
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
  REQUIRE(team->webhooks.size() == 3);
  const WebhookConfig& first = team->webhooks[0];
  CHECK(first.url.reveal() == "https://user:secret@hooks.example/x");
  CHECK_FALSE(first.send_resolved);
  CHECK(first.max_alerts == 5);
  CHECK(first.timeout_ms == 3'000);
  REQUIRE(first.http.authorization);
  CHECK(first.http.authorization->type == "Token");
  CHECK(first.http.authorization->credentials.value.reveal() == "s3cret");
  CHECK_FALSE(first.http.basic_auth);
  const WebhookConfig& second = team->webhooks[1];
  CHECK(second.url_file == "/etc/url");
  CHECK(second.http.authorization->credentials.file == "/etc/token");
  CHECK(second.http.proxy.url == "http://proxy:3128");
  CHECK(second.send_resolved);
  REQUIRE(team->webhooks[2].http.basic_auth);
  CHECK(team->webhooks[2].http.basic_auth->username == "u");
}

TEST_CASE("mail takes from global what it leaves out") {
  const LoadedConfig loaded = must(R"(
global:
  smtp_smarthost: '[::1]:587'
  smtp_from: Petrel <petrel@example.org>
  smtp_auth_username: u
  smtp_auth_password: global
  smtp_require_tls: false
  smtp_tls_config: {insecure_skip_verify: true}
route: {receiver: w}
receivers:
- name: w
  email_configs:
  - to: a@example.org, b@example.org
  - to: c@example.org
    from: other@example.org
    smarthost: mail.example.org:465
    hello: me.example.org
    auth_password_file: secret/password
    auth_identity: i
    require_tls: true
    send_resolved: true
    tls_config: {server_name: mx}
    headers: {subject: "S {{ .Status }}", reply-to: r@example.org}
    html: ''
    text: plain
    threading: {enabled: true, thread_by_date: daily}
)");
  CHECK(loaded.unsupported.empty());
  const std::vector<EmailConfig>& emails = loaded.config.find_receiver("w")->emails;
  REQUIRE(emails.size() == 2);
  CHECK(emails[0].host == "::1");
  CHECK(emails[0].port == "587");
  CHECK(emails[0].from == "Petrel <petrel@example.org>");
  CHECK(emails[0].hello == "localhost");
  CHECK(emails[0].auth_username == "u");
  CHECK(emails[0].auth_password.value.reveal() == "global");
  CHECK_FALSE(emails[0].require_tls);
  CHECK_FALSE(emails[0].send_resolved);
  CHECK(emails[0].tls.insecure_skip_verify);
  CHECK_FALSE(emails[0].implicit_tls);
  CHECK(emails[1].from == "other@example.org");
  CHECK(emails[1].host == "mail.example.org");
  CHECK(emails[1].hello == "me.example.org");
  CHECK(emails[1].auth_password.value.empty());
  CHECK(emails[1].auth_password.file == "/etc/secret/password");
  CHECK(emails[1].auth_identity == "i");
  CHECK(emails[1].require_tls);
  CHECK(emails[1].send_resolved);
  CHECK(emails[1].tls.server_name == "mx");
  CHECK(emails[1].headers == std::vector<std::pair<std::string, std::string>>{
                                 {"Reply-To", "r@example.org"}, {"Subject", "S {{ .Status }}"}});
  CHECK(emails[1].html.empty());
  CHECK(emails[1].text == "plain");
  CHECK(emails[1].threading);
  CHECK(emails[1].thread_by_date);
}

TEST_CASE("defaults are Alertmanager's") {
  const Config config = must(kMinimal).config;
  CHECK(config.route.group_wait_ms == 30'000);
  CHECK(config.route.group_interval_ms == 300'000);
  CHECK(config.route.repeat_interval_ms == 14'400'000);
  CHECK(config.route.group_by.empty());
  CHECK(must("global:\n" + std::string(kMinimal)).config.resolve_timeout_ms == 300'000);
}

TEST_CASE("routes inherit what they leave out, and not what they match") {
  const Config config = must(R"(
route:
  receiver: w
  group_by: [alertname]
  group_wait: 1s
  routes:
  - matchers: [team="a", 'severity=~"page|warn"']
    group_interval: 2m
    continue: true
    routes:
    - match: {tier: gold}
      group_by: []
  - match_re: {team: b.*}
    receiver: v
    group_by: ['...']
receivers: [{name: w}, {name: v}]
)")
                            .config;
  REQUIRE(config.route.routes.size() == 2);
  const Route& a = config.route.routes[0];
  CHECK(a.receiver == "w");
  CHECK(a.group_wait_ms == 1'000);
  CHECK(a.group_interval_ms == 120'000);
  CHECK(a.continues);
  CHECK(a.key == R"({}/{severity=~"page|warn",team="a"})");
  REQUIRE(a.routes.size() == 1);
  CHECK(a.routes[0].group_interval_ms == 120'000);
  CHECK(a.routes[0].group_by.empty());
  CHECK_FALSE(a.routes[0].continues);
  CHECK(a.routes[0].key == R"({}/{severity=~"page|warn",team="a"}/{tier="gold"})");
  const Route& b = config.route.routes[1];
  CHECK(b.receiver == "v");
  CHECK(b.group_by_all);
  CHECK(b.group_by.empty());
}

TEST_CASE("known keys that have no effect yet are listed with their place") {
  const LoadedConfig loaded = must(
      "global: {slack_api_url: 'http://s/'}\n"
      "route: {receiver: w}\n"
      "receivers: [{name: w, slack_configs: [{channel: c}], webhook_configs: [{url: http://h/}]}]\n"
      "inhibit_rules: []\n");
  std::string all;
  for (const std::string& one : loaded.unsupported) all += one + "\n";
  CHECK(all ==
        "global.slack_api_url (/etc/am.yml:1:10)\n"
        "inhibit_rules (/etc/am.yml:4:1)\n"
        "slack_configs of receiver \"w\" (/etc/am.yml:3:38)\n");
}

TEST_CASE("alerts are not routed to where nobody would hear of them") {
  const std::string text =
      "route: {receiver: v, routes: [{matchers: [a=b], receiver: w}]}\n"
      "global: {slack_api_url: 'http://s/'}\n"
      "receivers: [{name: v}, {name: w, slack_configs: [{channel: c}]}]\n";
  CHECK(error_of(text) ==
        "am.yml: receiver \"w\" has only channels that are not built yet (slack_configs): its "
        "pages would reach nobody; give it webhook_configs or email_configs");
  const auto read = read_config(text, "am.yml");
  REQUIRE(read);
  CHECK(read->unreachable.size() == 1);
  CHECK(error_of(with_webhook("{url: 'http://{{ .Receiver }}/'}"))
            .find("has only channels that are not built yet") != std::string::npos);
  CHECK(error_of(with_webhook("{url: 'http://h/', http_config: {oauth2: {client_id: a, "
                              "client_secret: b, token_url: 'http://t/'}}}"))
            .find("webhook_configs with oauth2") != std::string::npos);
  must("route: {receiver: w}\nreceivers: [{name: w}]\n");  // on purpose
  must("route: {receiver: w}\nreceivers: [{name: w}, {name: v, sns_configs: [{topic_arn: x}]}]\n");
}

TEST_CASE("errors name file, line and column") {
  CHECK(error_of("rout: {}\n") ==
        "am.yml:1:1: unknown key \"rout\" in the configuration, did you mean \"route\"?");
  CHECK(error_of("receivers: [{name: w}]\n") == "am.yml:1:1: no route provided in config");
  CHECK(error_of("route: {receiver: x}\nreceivers: [{name: w}]\n") ==
        "am.yml:1:19: undefined receiver \"x\" used in route");
  CHECK(error_of("route: {receiver: w, matchers: [a=b]}\nreceivers: [{name: w}]\n") ==
        "am.yml:1:32: root route must not have any matchers");
  CHECK(error_of("route: {receiver: w, group_by: [a, a]}\nreceivers: [{name: w}]\n") ==
        "am.yml:1:36: duplicated label \"a\" in group_by");
  CHECK(error_of("route: {receiver: w, group_interval: 0s}\nreceivers: [{name: w}]\n") ==
        "am.yml:1:38: group_interval cannot be zero");
  CHECK(error_of("route: {receiver: w, group_wait: soon}\nreceivers: [{name: w}]\n")
            .starts_with("am.yml:1:34: group_wait: "));
  CHECK(error_of("route: {receiver: w}\nreceivers: [{name: w}, {name: w}]\n") ==
        "am.yml:2:31: notification config name \"w\" is not unique");
  CHECK(error_of(with_webhook("send_resolved: true")) ==
        "am.yml:6:5: one of url or url_file must be configured");
  CHECK(error_of(with_webhook("{url: 'http://h', send_resolved: 'true'}"))
            .starts_with("am.yml:6:38: send_resolved: expected true or false"));
  CHECK(error_of(with_webhook("{url: 'http://h', sendresolved: yes}"))
            .starts_with("am.yml:6:23: unknown key \"sendresolved\" in webhook_config"));
  CHECK(error_of("[]\n") == "am.yml:1:1: the configuration: expected a mapping, found a list");
  CHECK(error_of("route: {receiver: w, routes: [{matchers: ['a=~\"[\"']}]}\nreceivers: "
                 "[{name: w}]\n")
            .starts_with("am.yml:1:43: matchers: "));
}

TEST_CASE("an error never shows a secret") {
  const std::string error = error_of(with_webhook("{url: 'ftp://user:hunter2@h/x'}"));
  CHECK(error == "am.yml:6:11: url: a URL must start with http:// or https://");
  for (const char* url : {"http://", "http://a b/hunter2", "http://h:hunter2/", "hunter2"}) {
    CAPTURE(url);
    const std::string other = error_of(with_webhook(std::string("{url: '") + url + "'}"));
    CHECK(other != "no error");
    CHECK(other.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("grouping by everything stands alone") {
  CHECK(must("route: {receiver: w, group_by: ['...']}\nreceivers: [{name: w}]\n")
            .config.route.group_by_all);
  CHECK(error_of("route: {receiver: w, group_by: ['...', a]}\nreceivers: [{name: w}]\n") !=
        "no error");
}

TEST_CASE("template files are read, and a bad one is refused by its name") {
  const std::string folder = TESTDATA_DIR "/templates/";
  const std::string text =
      std::string(kMinimal) + "templates: ['" + folder + "g*.tmpl', '" + folder + "no*such']\n";
  const auto loaded = load_config(text, "/am.yml");
  REQUIRE(loaded);
  CHECK(loaded->config.templates->expand("{{ template \"__subject\" }}", {}, 0).value() == "mine");
  const auto bad =
      load_config(std::string(kMinimal) + "templates: ['" + folder + "*.tmpl']\n", "/am.yml");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message.find("bad.tmpl:1:") != std::string::npos);
  CHECK(error_of(std::string(kMinimal) + "templates: ['[']\n") ==
        "am.yml:3:13: syntax error in pattern");
}

TEST_CASE("durations of channels are Go's") {
  CHECK(parse_go_duration_ms("1h30m").value() == 5'400'000);
  CHECK(parse_go_duration_ms("1.5s").value() == 1'500);
  CHECK(parse_go_duration_ms("250ms").value() == 250);
  CHECK(parse_go_duration_ms("-2s").value() == -2'000);
  CHECK(parse_go_duration_ms("0").value() == 0);
  for (const char* text : {"", "5", "1d", "s", "1x", "1h 5m", "--1s", "1e3s", "infs"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_go_duration_ms(text));
  }
}

TEST_CASE("a webhook address alone makes a configuration") {
  const auto config = webhook_config("http://127.0.0.1:9/x");
  REQUIRE(config);
  CHECK(config->find_receiver(config->route.receiver)->webhooks.size() == 1);
  CHECK(config->route.group_wait_ms <= 1'000);
  CHECK_FALSE(webhook_config("127.0.0.1:9"));
  CHECK_FALSE(no_receivers().find_receiver("none")->sends());
}
