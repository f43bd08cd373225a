#include "app/flags.h"

#include "app/prometheus_flags.h"
#include "app/roles.h"

#include <doctest/doctest.h>

namespace app {
namespace {

Flags must(const std::vector<std::string>& arguments) {
  auto outcome = parse_flags(arguments);
  REQUIRE(outcome);
  return outcome->flags;
}

std::string error_of(const std::vector<std::string>& arguments) {
  const auto outcome = parse_flags(arguments);
  return outcome ? "" : outcome.error().message;
}

TEST_CASE("without flags Petrel watches its own host on loopback") {
  const Flags flags = must({});
  CHECK(flags.listen_address == "127.0.0.1:9090");
  CHECK(flags.retention_ms == 7 * 86'400'000LL);
  CHECK(flags.wants_host_collector());
  CHECK(flags.wants_default_rules());
}

TEST_CASE("with a configuration file host collector and default rules are off unless asked") {
  CHECK_FALSE(must({"--config.file=x.yml"}).wants_host_collector());
  CHECK_FALSE(must({"--config.file", "x.yml"}).wants_default_rules());
  CHECK(must({"--config.file=x.yml", "--collector.host"}).wants_host_collector());
  CHECK_FALSE(must({"--no-collector.host"}).wants_host_collector());
  CHECK_FALSE(must({"--no-collector.host"}).wants_default_rules());
  CHECK(must({"--no-collector.host", "--rules.default"}).wants_default_rules());
}

TEST_CASE("Prometheus's durations and flags are understood") {
  const Flags flags = must({"--storage.tsdb.retention.time=15d", "--query.lookback-delta=3m",
                            "--web.enable-remote-write-receiver", "--query.max-samples=7"});
  CHECK(flags.retention_ms == 15 * 86'400'000LL);
  CHECK(flags.lookback_ms == 180'000);
  CHECK(flags.query_samples_max == 7);
}

TEST_CASE("a duration of zero is refused where it could only be a mistake") {
  for (const char* const name :
       {"--query.timeout", "--query.lookback-delta", "--web.read-timeout"}) {
    CAPTURE(name);
    CHECK(error_of({std::string(name) + "=0s"}) ==
          std::string(name) + ": expected a duration above 0");
  }
  CHECK(must({"--storage.tsdb.out-of-order-time-window=0s"}).out_of_order_window_ms == 0);
  CHECK(must({"--storage.tsdb.retention.time=0s"}).retention_ms == 0);  // for ever
}

TEST_CASE("flags of Prometheus that do nothing here warn") {
  const Flags flags =
      must({"--web.console.templates=/x", "--web.enable-admin-api", "--storage.tsdb.retention.size",
            "5GB", "--no-scrape.adjust-timestamps"});
  REQUIRE(flags.warnings.size() == 4);
  CHECK(flags.warnings[0].find("--web.console.templates: ") == 0);
  CHECK(flags.warnings[2].find("nearest: --storage.tsdb.retention.time") != std::string::npos);
}

TEST_CASE("features of Prometheus are switched on by name") {
  const Flags flags = must({"--enable-feature=promql-delayed-name-removal,exemplar-storage"});
  CHECK(flags.has_feature("promql-delayed-name-removal"));
  REQUIRE(flags.warnings.size() == 1);
  CHECK(flags.warnings[0].find("exemplar-storage") != std::string::npos);
}

TEST_CASE("a wrong command line names the flag and the nearest match") {
  CHECK(error_of({"--web.listen-adress=:1"}) ==
        "unknown flag --web.listen-adress; did you mean --web.listen-address?");
  CHECK(error_of({"--query.timeout=5"}).find("--query.timeout") == 0);
  CHECK(error_of({"--log.level=loud"}).find("log.level") != std::string::npos);
  CHECK(error_of({"--completely-different"}).find("see petrel --help") != std::string::npos);
}

TEST_CASE("the listing for status/flags hides the webhook's URL") {
  for (const auto& [name, value] :
       must({"--alerting.webhook-url=http://x/SECRET", "--log.level=warn"}).listing) {
    CHECK(value.find("SECRET") == std::string::npos);
    if (name == "log.level") CHECK(value == "warn");
    if (name == "query.timeout") CHECK(value == "2m");
  }
}

TEST_CASE("roles are started in table order and need one another") {
  const auto all = select_roles("all");
  REQUIRE(all);
  CHECK(all->size() == role_table().size());
  const auto two = select_roles("querier,storage");
  REQUIRE(two);
  CHECK((*two)[0]->name == "storage");
  CHECK_FALSE(select_roles("ruler"));
  CHECK_FALSE(select_roles("storage,queryer"));
  CHECK_FALSE(select_roles(""));
}

}  // namespace
}  // namespace app
