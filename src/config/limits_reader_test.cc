#include "config/prometheus_config.h"

#include <doctest/doctest.h>

namespace config {
namespace {

core::Result<PrometheusConfig> parse(std::string_view text) {
  static core::PosixFileSystem files;
  return parse_prometheus_config(text, "p.yml",
                                 {files, [](const std::string&) { return std::string(); }});
}

PrometheusConfig good(std::string_view text) {
  auto config = parse(text);
  REQUIRE_MESSAGE(config, config.error().message);
  return std::move(*config);
}

std::string error_of(std::string_view text) {
  const auto config = parse(text);
  return config ? "" : config.error().message;
}

tenant::Limits limits_of(const PrometheusConfig& config, std::string_view tenant) {
  tenant::LimitsTable table;
  table.apply(config.limits);
  return *table.of(tenant);
}

TEST_CASE("limits are those of every tenant, overrides those of one") {
  const PrometheusConfig config = good(
      "limits:\n"
      "  max_series: 1000\n"
      "  ingestion_rate: 200\n"
      "  max_request_body_size: 2MB\n"
      "overrides:\n"
      "  team-a:\n"
      "    max_series: 5000\n"
      "    ingestion_rate: 0\n"
      "    max_label_value_length: 100\n"
      "    write_relabel_configs:\n"
      "    - {source_labels: [__name__], regex: debug_.*, action: drop}\n"
      "  team-b:\n"
      "instance_limits: {max_series: 7, max_inflight_push_requests_bytes: 100MB}\n");
  const tenant::Limits common = limits_of(config, "any");
  CHECK(common.series_max == 1000);
  CHECK(common.sample_rate == 200);
  CHECK(common.body_size_max == 2 << 20);
  CHECK(common.relabel_rules.empty());
  const tenant::Limits a = limits_of(config, "team-a");
  CHECK(a.series_max == 5000);
  CHECK(a.sample_rate == 0);
  CHECK(a.body_size_max == 2 << 20);
  CHECK(a.label_value_size_max == 100);
  CHECK(a.relabel_rules.size() == 1);
  CHECK(limits_of(config, "team-b").series_max == 1000);
  CHECK(config.limits.instance.series_max == 7);
  CHECK(config.limits.instance.sample_rate == 0);
  CHECK(config.limits.instance.inflight_bytes_max == 100 << 20);
  CHECK(config.effective_yaml.find("max_series: 5000") != std::string::npos);
  CHECK(config.effective_yaml.find("request_rate") == std::string::npos);
  // What is shown can be read again, and says the same.
  CHECK(good(config.effective_yaml).effective_yaml == config.effective_yaml);
}

TEST_CASE("without the sections there are the defaults, and nothing is shown") {
  const PrometheusConfig config = good("global: {}\n");
  CHECK(limits_of(config, "any").series_max == 0);
  CHECK(config.effective_yaml.find("limits") == std::string::npos);
  CHECK(config.effective_yaml.find("overrides") == std::string::npos);
}

TEST_CASE("every limit has a key, and each sets its own field") {
  for (const tenant::LimitKey& key : tenant::limit_keys()) {
    CAPTURE(key.name);
    const bool is_size = key.name.find("body_size") != key.name.npos;
    const std::string line =
        fmt::format("limits: {{{}: {}}}\n", key.name, is_size ? "12KB" : "12288");
    CHECK(limits_of(good(line), "any").*key.field == 12288);
  }
  CHECK(limits_of(good("limits: {max_global_series_per_user: 9}\n"), "any").series_max == 9);
}

TEST_CASE("a mistake in a limit is told with its place, its key and what was expected") {
  CHECK(error_of("limits: {max_serie: 1}\n") ==
        "p.yml:1:10: unknown key \"max_serie\" in limits, did you mean \"max_series\"?");
  CHECK(error_of("limits: {max_label_name_length: 0}\n") ==
        "p.yml:1:33: max_label_name_length: 0, expected 1 to 281474976710656");
  CHECK(error_of("limits: {max_series: -1}\n").starts_with("p.yml:1:22: max_series: "));
  CHECK(error_of("limits: {max_series: 1, max_global_series_per_user: 1}\n") ==
        "p.yml:1:53: max_global_series_per_user is the same as max_series: give one of them");
  CHECK(error_of("overrides: {'a/b': {max_series: 1}}\n").find("\"a/b\" is no valid tenant id") !=
        std::string::npos);
  CHECK(error_of("overrides: {a: {write_relabel_configs: [{action: drp}]}}\n").find("drp") !=
        std::string::npos);
  CHECK(error_of("instance_limits: {max_inflight_push_requests_bytes: 1MB}\n") ==
        "p.yml:1:53: max_inflight_push_requests_bytes: 1048576, expected 16777216 to "
        "281474976710656");
}

}  // namespace
}  // namespace config
