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
  const Flags flags = must({"--web.console.templates=/x", "--storage.tsdb.retention", "5d",
                            "--no-scrape.adjust-timestamps"});
  REQUIRE(flags.warnings.size() == 3);
  CHECK(flags.warnings[0].find("--web.console.templates: ") == 0);
  CHECK(flags.warnings[1].find("nearest: --storage.tsdb.retention.") != std::string::npos);
}

TEST_CASE("the storage's limits are read as Prometheus reads them") {
  CHECK_FALSE(must({}).enable_admin_api);
  CHECK(must({"--web.enable-admin-api"}).enable_admin_api);
  CHECK(must({}).retention_bytes == 0);
  const Flags by_size = must({"--storage.tsdb.retention.size=5GB"});
  CHECK(by_size.retention_bytes == 5ULL << 30U);
  CHECK(by_size.retention_ms == 0);
  const Flags both =
      must({"--storage.tsdb.retention.size=5GB", "--storage.tsdb.retention.time=3d"});
  CHECK(both.retention_ms == 3 * 86'400'000LL);
  CHECK(error_of({"--storage.tsdb.retention.size=5"}) ==
        "--storage.tsdb.retention.size: \"5\": expected a size such as 512MB, 10GB or 1TB");
  CHECK(must({"--storage.tsdb.wal-segment-size=16MB"}).log_segment_bytes == 16ULL << 20U);
  CHECK(error_of({"--storage.tsdb.wal-segment-size=1MB"}) ==
        "--storage.tsdb.wal-segment-size: 1MiB: expected 10MB to 256MB");
  const Flags blocks =
      must({"--storage.tsdb.min-block-duration=1h", "--storage.tsdb.max-block-duration=6h"});
  CHECK(blocks.block_range_ms == 3'600'000);
  CHECK(blocks.block_range_max_ms == 6 * 3'600'000);
  CHECK(must({"--storage.tsdb.min-block-duration=5h"}).block_range_max_ms == 25 * 3'600'000);
  CHECK(error_of({"--storage.tsdb.max-block-duration=3h"}) ==
        "--storage.tsdb.max-block-duration: 3h: expected a multiple of "
        "--storage.tsdb.min-block-duration, which is 2h");
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
