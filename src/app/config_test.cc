#include "app/config.h"

#include <doctest/doctest.h>

namespace app {
namespace {

std::string error_of(const char* text) {
  const auto config = parse_config(text, "p.yml");
  return config ? "" : config.error().message;
}

TEST_CASE("global and rule_files act, other known keys are reported with their place") {
  const auto config = parse_config(
      "global:\n"
      "  scrape_interval: 15s\n"
      "  evaluation_interval: 30s\n"
      "  external_labels: {site: a}\n"
      "rule_files: [rules/*.yml, /etc/x.yml]\n"
      "scrape_configs:\n"
      "  - job_name: x\n",
      "/etc/petrel/p.yml");
  REQUIRE(config);
  CHECK(config->evaluation_interval_ms == 30'000);
  CHECK(config->external_labels.get("site") == "a");
  CHECK(config->rule_globs == std::vector<std::string>{"/etc/petrel/rules/*.yml", "/etc/x.yml"});
  CHECK(config->unsupported_keys ==
        std::vector<std::string>{"global.scrape_interval (/etc/petrel/p.yml:2:3)",
                                 "scrape_configs (/etc/petrel/p.yml:6:1)"});
}

TEST_CASE("an empty file is a valid configuration") {
  CHECK(parse_config("", "p.yml"));
  CHECK(parse_config("global:\n", "p.yml"));
}

TEST_CASE("the effective configuration shows no key that has no effect") {
  const auto config = parse_config(
      "rule_files: [/a.yml]\nremote_write:\n- url: http://x\n  bearer_token: SECRET\n", "p.yml");
  REQUIRE(config);
  CHECK(effective_yaml(*config) ==
        "global:\n  evaluation_interval: 1m\n  rule_query_offset: 0s\nrule_files:\n- \"/a.yml\"\n");
}

TEST_CASE("errors say where and what was expected") {
  CHECK(error_of("golbal: {}\n").find("p.yml:1:1: unknown key \"golbal\"") == 0);
  CHECK(error_of("global:\n  evaluation_interval: 5\n").find("p.yml:2:24: ") == 0);
  CHECK(error_of("global:\n  evaluation_interval: 0s\n").find("greater than 0") !=
        std::string::npos);
  CHECK(error_of("rule_files: x.yml\n").find("p.yml:1:13: expected a list of file patterns") == 0);
  CHECK(error_of("[1]\n").find("expected a mapping") != std::string::npos);
}

TEST_CASE("a rule file that is named must exist, a pattern may match nothing") {
  const auto missing = expand_globs({"/nonexistent/rules.yml"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message == "rule file /nonexistent/rules.yml: there is no such file");
  const auto none = expand_globs({"/*.nonexistent"});
  REQUIRE(none);
  CHECK(none->empty());
}

}  // namespace
}  // namespace app
