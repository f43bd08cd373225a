#include "config/prometheus_config.h"

#include <doctest/doctest.h>

namespace config {
namespace {

core::Result<PrometheusConfig> parse(std::string_view text,
                                     const std::string& path = "/etc/p/p.yml") {
  static core::PosixFileSystem files;
  return parse_prometheus_config(text, path, {files, [](const std::string& name) {
                                                return name == "SITE" ? std::string("a") : "";
                                              }});
}

PrometheusConfig good(std::string_view text) {
  auto config = parse(text);
  REQUIRE_MESSAGE(config, config.error().message);
  return std::move(*config);
}

std::string error_of(std::string_view text) {
  const auto config = parse(text, "p.yml");
  return config ? "" : config.error().message;
}

TEST_CASE("an empty file is a valid configuration with Prometheus's defaults") {
  for (const char* text : {"", "global:\n", "---\n", "# nothing\n"}) {
    const PrometheusConfig config = good(text);
    CHECK(config.global.scrape_interval_ms == 60'000);
    CHECK(config.global.scrape_timeout_ms == 10'000);
    CHECK(config.scrapes.empty());
    CHECK(config.out_of_order_window_ms == -1);
    CHECK(config.unsupported_keys.empty());
  }
}

TEST_CASE("no URL is shown with its password") {
  const PrometheusConfig config = good(
      "scrape_configs:\n"
      "- job_name: a\n"
      "  proxy_url: http://u:pw@proxy\n"
      "  http_sd_configs: [{url: 'http://u:pw@sd/'}]\n"
      "- job_name: b\n"
      "  oauth2: {client_id: c, token_url: 'http://u:pw@token/'}\n");
  CHECK(config.effective_yaml.find("pw") == std::string::npos);
  CHECK(config.effective_yaml.find("token_url: http://u:xxxxx@token/\n") != std::string::npos);
}

TEST_CASE("a scrape inherits from global what it does not say itself") {
  const PrometheusConfig config = good(
      "global: {scrape_interval: 5s, sample_limit: 7, body_size_limit: 1MB,\n"
      "  always_scrape_classic_histograms: true}\n"
      "scrape_configs:\n"
      "- job_name: a\n"
      "- {job_name: b, scrape_interval: 1m, sample_limit: 8,\n"
      "   always_scrape_classic_histograms: false}\n");
  REQUIRE(config.scrapes.size() == 2);
  const ScrapeConfig& a = config.scrapes[0];
  CHECK(a.interval_ms == 5'000);
  CHECK(a.timeout_ms == 5'000);  // not longer than the interval
  CHECK(a.sample_limit == 7);
  CHECK(a.body_size_limit == 1 << 20);
  CHECK(a.always_scrape_classic_histograms);
  CHECK(a.scrape_protocols.size() == 4);
  CHECK(a.name_escaping_scheme == "allow-utf-8");
  const ScrapeConfig& b = config.scrapes[1];
  CHECK(b.interval_ms == 60'000);
  CHECK(b.timeout_ms == 5'000);
  CHECK(b.sample_limit == 8);
  CHECK_FALSE(b.always_scrape_classic_histograms);
}

TEST_CASE("discoveries are read in Prometheus's order, static ones as one") {
  const PrometheusConfig config = good(
      "scrape_configs:\n"
      "- job_name: a\n"
      "  static_configs:\n"
      "  - {targets: [h:1, h:2], labels: {x: y}}\n"
      "  - targets: [h:3]\n"
      "  file_sd_configs: [{files: ['sd/*.json']}]\n"
      "  http_sd_configs: [{url: 'https://sd/x', bearer_token_file: tok}]\n"
      "  dns_sd_configs: [{names: [n], type: a, port: 80}]\n"
      "  etcd_sd_configs: [{endpoints: ['http://e:2379'], username: u, password: p}]\n"
      "  zookeeper_sd_configs: [{servers: ['z:2181']}]\n");
  const auto& all = config.scrapes.at(0).discoveries;
  REQUIRE(all.size() == 6);
  const auto& dns = std::get<DnsDiscovery>(all[0]);
  CHECK(dns.type == "A");
  CHECK(dns.port == 80);
  CHECK(std::get<EtcdDiscovery>(all[1]).password.value.reveal() == "p");
  CHECK(std::get<FileDiscovery>(all[2]).files.at(0) == "/etc/p/sd/*.json");
  CHECK(std::get<HttpDiscovery>(all[3]).client.authorization->credentials.file == "/etc/p/tok");
  const auto& groups = std::get<StaticDiscovery>(all[5]).groups;
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].targets.at(1).get("__address__") == "h:2");
  CHECK(groups[0].labels.get("x") == "y");
  CHECK(groups[1].source == "1");
  CHECK(std::get<ZookeeperDiscovery>(all[4]).prefix == "/petrel/sd");
}

TEST_CASE("environment variables are expanded in external labels only") {
  const PrometheusConfig config = good(
      "global: {external_labels: {a: '${SITE}-$SITE', b: $$SITE, c: '${NONE}', d: 'x$'}}\n"
      "scrape_configs: [{job_name: $SITE}]\n");
  CHECK(config.global.external_labels.get("a") == "a-a");
  CHECK(config.global.external_labels.get("b") == "$SITE");
  CHECK(config.global.external_labels.get("c").empty());
  CHECK(config.global.external_labels.get("d") == "x$");
  CHECK(config.scrapes[0].job_name == "$SITE");
}

TEST_CASE("known keys without effect are named with their place") {
  const PrometheusConfig config = good(
      "tenants: {any: [thing]}\n"
      "remote_write:\n- url: http://x\n"
      "scrape_configs:\n- job_name: a\n  consul_sd_configs:\n  - server: c:1\n"
      "- {job_name: b, convert_classic_histograms_to_nhcb: false}\n"
      "storage:\n  tsdb: {out_of_order_time_window: 30m}\n  exemplars: {max_exemplars: 5}\n");
  CHECK(config.unsupported_keys ==
        std::vector<std::string>{"tenants (/etc/p/p.yml:1:1)", "remote_write (/etc/p/p.yml:2:1)",
                                 "scrape_configs.consul_sd_configs (/etc/p/p.yml:6:3)",
                                 "storage.exemplars (/etc/p/p.yml:11:3)"});
  CHECK(config.out_of_order_window_ms == 1'800'000);
}

TEST_CASE("the effective configuration is in Prometheus's form and hides every secret") {
  const PrometheusConfig config = good(
      "global: {scrape_interval: 15s, external_labels: {n: 12, zone: 'yes'}}\n"
      "rule_files: [rules/*.yml]\n"
      "remote_write:\n- url: http://u:SECRET@x/push\n  bearer_token: SECRET\n"
      "  queue_config: {capacity: 5}\n"
      "scrape_configs:\n"
      "- job_name: y\n"
      "  basic_auth: {username: u, password: SECRET}\n"
      "  static_configs: [{targets: [h:1]}]\n"
      "  relabel_configs:\n"
      "  - {source_labels: [a, 'b,c'], target_label: x, action: KeepEqual}\n");
  CHECK(config.effective_yaml ==
        R"(global:
  scrape_interval: 15s
  scrape_timeout: 10s
  scrape_protocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText1.0.0
  - PrometheusText0.0.4
  evaluation_interval: 1m
  external_labels:
    "n": "12"
    zone: "yes"
runtime:
  gogc: 75
rule_files:
- /etc/p/rules/*.yml
scrape_configs:
- job_name: "y"
  honor_timestamps: true
  track_timestamps_staleness: false
  scrape_interval: 15s
  scrape_timeout: 10s
  scrape_protocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText1.0.0
  - PrometheusText0.0.4
  always_scrape_classic_histograms: false
  convert_classic_histograms_to_nhcb: false
  metrics_path: /metrics
  scheme: http
  enable_compression: true
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  basic_auth:
    username: u
    password: <secret>
  follow_redirects: true
  enable_http2: true
  relabel_configs:
  - source_labels: [a, 'b,c']
    separator: ;
    target_label: x
    replacement: $1
    action: keepequal
  static_configs:
  - targets:
    - h:1
remote_write:
- url: http://u:xxxxx@x/push
  remote_timeout: 30s
  protobuf_message: prometheus.WriteRequest
  authorization:
    type: Bearer
    credentials: <secret>
  follow_redirects: true
  enable_http2: false
  queue_config:
    capacity: 5
    max_shards: 50
    min_shards: 1
    max_samples_per_send: 2000
    batch_send_deadline: 5s
    min_backoff: 30ms
    max_backoff: 5s
  metadata_config:
    send: true
    send_interval: 1m
    max_samples_per_send: 2000
otlp:
  translation_strategy: UnderscoreEscapingWithSuffixes
)");
}

TEST_CASE("what is shown reads back as the same configuration") {
  const char* text =
      "scrape_configs:\n"
      "- job_name: \"a: b # c\"\n"
      "  params: {x: [\"\\ttab\", \"two\\nlines\", \" lead\", \"'\", '', '- a', null, 1e3]}\n"
      "  metrics_path: /a path with many words that is folded as it is longer than a line of "
      "eighty columns can be\n";
  const PrometheusConfig first = good(text);
  const PrometheusConfig second = good(first.effective_yaml);
  CHECK(second.effective_yaml == first.effective_yaml);
  CHECK(second.scrapes[0].metrics_path == first.scrapes[0].metrics_path);
  CHECK(second.scrapes[0].params == first.scrapes[0].params);
}

TEST_CASE("errors say where, what was found and what was expected") {
  CHECK(error_of("golbal: {}\n") ==
        "p.yml:1:1: unknown key \"golbal\" in the configuration, did you mean \"global\"?");
  CHECK(error_of("global:\n  evaluation_interval: 5\n") ==
        "p.yml:2:24: evaluation_interval: not a valid duration string: \"5\", expected a duration "
        "such as 15s or 1h30m");
  CHECK(error_of("rule_files: x.yml\n") == "p.yml:1:13: rule_files: expected a list, found a text");
  CHECK(error_of("[1]\n") == "p.yml:1:1: the configuration: expected a mapping, found a list");
  CHECK(error_of("scrape_configs:\n- job_name: a\n- job_name: a\n") ==
        "p.yml:3:13: found multiple scrape configs with job name \"a\"");
  CHECK(error_of("scrape_configs: [{job_name: a, sample_limit: '5'}]\n") ==
        "p.yml:1:46: sample_limit: expected a whole number, found the quoted text \"5\"");
  CHECK(error_of("remote_write: [{url: 'http://u:SECRET@h:port/'}]\n").find("SECRET") ==
        std::string::npos);
}

TEST_CASE("a rule file that is named must exist, a pattern may match nothing") {
  const auto missing = expand_globs({"/nonexistent/rules.yml"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message == "rule file /nonexistent/rules.yml: there is no such file");
  for (const char* pattern : {"/*.nonexistent", "/nonexistent/*.yml"}) {
    const auto none = expand_globs({pattern});
    REQUIRE(none);
    CHECK(none->empty());
  }
}

}  // namespace
}  // namespace config
