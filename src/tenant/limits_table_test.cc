#include "tenant/limits_table.h"

#include <doctest/doctest.h>

using tenant::Limits;
using tenant::LimitsConfig;
using tenant::LimitSettings;
using tenant::LimitsTable;

namespace {

LimitSettings series(size_t most) {
  LimitSettings settings;
  settings.values.emplace_back(&Limits::series_max, most);
  return settings;
}

model::RelabelRules drop(const std::string& regex) {
  model::RelabelConfig config{.source_labels = {"__name__"}, .regex = regex};
  config.action = model::RelabelAction::Drop;
  return {*model::RelabelRule::create(config, model::NameScheme::Utf8)};
}

LimitSettings rules(const std::string& regex) {
  LimitSettings settings;
  settings.sets_relabel_rules = true;
  settings.relabel_rules = drop(regex);
  return settings;
}

}  // namespace

TEST_CASE("an override stands above the limits of all, and those above the flags") {
  LimitsTable table({.labels_max = 7, .series_max = 10});
  CHECK(table.of("a")->series_max == 10);
  LimitsConfig config{.limits = series(20), .overrides = {{"b", series(30)}}, .instance = {}};
  config.limits.values.emplace_back(&Limits::sample_rate, 5);
  table.apply(config);
  CHECK(table.of("a")->series_max == 20);
  CHECK(table.of("b")->series_max == 30);
  CHECK(table.of("b")->sample_rate == 5);
  CHECK(table.of("b")->labels_max == 7);
  table.apply({});
  CHECK(table.of("b")->series_max == 10);
}

TEST_CASE("a request keeps the limits that it began with") {
  LimitsTable table;
  const auto before = table.of("a");
  table.apply({.limits = series(1), .overrides = {}, .instance = {}});
  CHECK(before->series_max == 0);
  CHECK(table.of("a")->series_max == 1);
}

TEST_CASE("the version of the rules changes with the rules only") {
  LimitsTable table;
  const uint64_t none = table.of("a")->rules_version;
  table.apply({.limits = series(5), .overrides = {{"b", series(6)}}, .instance = {}});
  CHECK(table.of("a")->rules_version == none);
  CHECK(table.of("b")->rules_version == none);

  table.apply({.limits = {}, .overrides = {{"b", rules("x")}}, .instance = {}});
  CHECK(table.of("a")->rules_version == none);
  const uint64_t x = table.of("b")->rules_version;
  CHECK(x != none);
  table.apply({.limits = series(9), .overrides = {{"b", rules("x")}}, .instance = {}});
  CHECK(table.of("b")->rules_version == x);
  table.apply({.limits = {}, .overrides = {{"b", rules("y")}}, .instance = {}});
  CHECK(table.of("b")->rules_version != x);
}

TEST_CASE("every limit of the configuration has a name of its own and a default above its least") {
  const Limits defaults;
  for (const tenant::LimitKey& key : tenant::limit_keys()) {
    CHECK(tenant::limit_name(key.field) == key.name);
    if (!key.zero_is_none) CHECK(defaults.*key.field >= key.min);
  }
}
