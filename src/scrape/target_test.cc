#include "scrape/target.h"

#include <doctest/doctest.h>

namespace scrape {
namespace {

using model::Labels;

config::ScrapeConfig job() {
  config::ScrapeConfig config;
  config.job_name = "node";
  config.interval_ms = 15'000;
  config.timeout_ms = 5'000;
  return config;
}

const Labels kAddress = Labels::of({{"__address__", "host:9100"}});

void add_rule(config::ScrapeConfig& config, model::RelabelConfig rule) {
  auto made = model::RelabelRule::create(std::move(rule), model::NameScheme::Utf8);
  REQUIRE(made.has_value());
  config.relabel_rules.push_back(*made);
}

std::string error_of(const config::ScrapeConfig& config, const Labels& own) {
  const TargetDecision decision = decide_target(config, Labels(), own);
  return decision.outcome == Outcome::Invalid ? decision.error : "not invalid";
}

TEST_CASE("a target has the labels of its group, its job and its address") {
  const TargetDecision decision =
      decide_target(job(), Labels::of({{"env", "prod"}, {"__meta_x", "y"}, {"a", "group"}}),
                    Labels::of({{"__address__", "host:9100"}, {"a", "own"}}));
  CHECK(decision.outcome == Outcome::Scraped);
  const Target& target = decision.target;
  CHECK(target.discovered.to_string() ==
        R"({__address__="host:9100", __meta_x="y", __metrics_path__="/metrics", __scheme__="http",)"
        R"( __scrape_interval__="15s", __scrape_timeout__="5s", a="own", env="prod", job="node"})");
  CHECK(target.labels.to_string() == R"({a="own", env="prod", instance="host:9100", job="node"})");
  CHECK(target.url == "http://host:9100/metrics");
  CHECK(target.interval_ms == 15'000);
  CHECK(target.timeout_ms == 5'000);
}

TEST_CASE("labels of a target win over the scrape configuration") {
  const TargetDecision decision = decide_target(job(), Labels(),
                                                Labels::of({{"__address__", "[::1]:80"},
                                                            {"__metrics_path__", "stats?x"},
                                                            {"__scheme__", "https"},
                                                            {"__scrape_interval__", "1m"},
                                                            {"__scrape_timeout__", "1s"},
                                                            {"__scrape_retry_max__", "2"},
                                                            {"__scrape_retry_backoff__", "200ms"},
                                                            {"instance", "i"},
                                                            {"job", "other"}}));
  CHECK(decision.outcome == Outcome::Scraped);
  CHECK(decision.target.url == "https://[::1]:80/stats%3Fx");
  CHECK(decision.target.interval_ms == 60'000);
  CHECK(decision.target.timeout_ms == 1'000);
  CHECK(decision.target.retry_max == 2);
  CHECK(decision.target.retry_backoff_ms == 200);
  CHECK(decision.target.labels.to_string() == R"({instance="i", job="other"})");
}

TEST_CASE("parameters come from the configuration and from labels, sorted") {
  config::ScrapeConfig config = job();
  config.params = {{"module", {"http 2xx", "second"}}, {"a", {"1"}}, {"empty", {}}};
  CHECK(decide_target(config, Labels(), kAddress).target.url ==
        "http://host:9100/metrics?a=1&module=http+2xx&module=second");
  add_rule(config, {.target_label = "__param_module", .replacement = "x&y"});
  add_rule(config, {.target_label = "__param_target", .replacement = "é/"});
  CHECK(decide_target(config, Labels(), kAddress).target.url ==
        "http://host:9100/metrics?a=1&module=x%26y&module=second&target=%C3%A9%2F");
}

TEST_CASE("a rule that drops is named by its index") {
  config::ScrapeConfig config = job();
  add_rule(config, {.target_label = "x", .replacement = "y"});
  add_rule(config, {.source_labels = {"x"}, .regex = "y", .action = model::RelabelAction::Drop});
  const TargetDecision decision = decide_target(config, Labels(), kAddress);
  CHECK(decision.outcome == Outcome::DroppedByRelabelling);
  CHECK(decision.dropped_by == 1);
  CHECK(decision.target.discovered.get("job") == "node");
}

TEST_CASE("a target without an address is not scraped") {
  const TargetDecision decision = decide_target(job(), Labels::of({{"a", "b"}}), Labels());
  CHECK(decision.outcome == Outcome::NoAddress);
  CHECK(decision.error == "no address");
}

TEST_CASE("what cannot be scraped says why in Prometheus's words") {
  const auto with = [](const std::string& name, const std::string& value) {
    return error_of(job(), Labels::of({{"__address__", "host"}, {name, value}}));
  };
  CHECK(error_of(job(), Labels::of({{"__address__", "http://host/"}})) ==
        R"("http://host/" is not a valid hostname)");
  CHECK(with("__scrape_interval__", "soon") ==
        R"(error parsing scrape interval: not a valid duration string: "soon")");
  CHECK(with("__scrape_interval__", "0s") == "scrape interval cannot be 0");
  CHECK(with("__scrape_timeout__", "x") ==
        R"(error parsing scrape timeout: not a valid duration string: "x")");
  CHECK(with("__scrape_timeout__", "0") == "scrape timeout cannot be 0");
  CHECK(with("__scrape_timeout__", "1m") ==
        R"(scrape timeout cannot be greater than scrape interval ("1m" > "15s"))");
  CHECK(with("__scrape_retry_max__", "4") ==
        R"(error parsing __scrape_retry_max__: "4" is not a number from 0 to 3)");
  CHECK(with("__scrape_retry_backoff__", "x") ==
        R"(error parsing __scrape_retry_backoff__: not a valid duration string: "x")");
  CHECK(with("a", "\xff").starts_with(R"(invalid label value for "a": )"));
  config::ScrapeConfig config = job();
  add_rule(config, {.target_label = "__scrape_interval__", .replacement = ""});
  CHECK(error_of(config, kAddress) == "error parsing scrape interval: empty duration string");
}

TEST_CASE("a target stays the same when only its interval changes") {
  config::ScrapeConfig faster = job();
  faster.interval_ms = 10'000;
  const Target before = decide_target(job(), Labels(), kAddress).target;
  CHECK(before.key == decide_target(faster, Labels(), kAddress).target.key);
  config::ScrapeConfig other = job();
  other.metrics_path = "/other";
  CHECK(before.key != decide_target(other, Labels(), kAddress).target.key);
  CHECK(before.key != decide_target(job(), Labels::of({{"x", "y"}}), kAddress).target.key);
  CHECK(before.key == decide_target(job(), Labels::of({{"__meta_x", "y"}}), kAddress).target.key);
}

TEST_CASE("each rule's effect is told, up to the one that drops") {
  config::ScrapeConfig config = job();
  add_rule(config, {.source_labels = {"__address__", "job"},
                    .separator = "/",
                    .regex = "(.*):.*",
                    .target_label = "host",
                    .replacement = "${1}"});
  add_rule(config, {.source_labels = {"host"}, .regex = "x", .action = model::RelabelAction::Keep});
  add_rule(config, {.regex = "host", .action = model::RelabelAction::LabelDrop});
  const auto steps = explain_target(config, Labels(), kAddress);
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].rule ==
        R"({action: replace, source_labels: ["__address__", "job"], separator: "/",)"
        R"( regex: "(.*):.*", target_label: "host", replacement: "${1}"})");
  CHECK(steps[0].before.get("host").empty());
  CHECK(steps[0].after.get("host") == "host");
  CHECK(steps[0].kept);
  CHECK_FALSE(steps[1].kept);
}

}  // namespace
}  // namespace scrape
