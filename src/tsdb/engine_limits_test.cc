// Limits of tenants on the way to the log: what is refused, what passes, and what a reload
// changes.

#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)
using tenant::Limits;
using tenant::LimitsConfig;
using tenant::LimitSettings;

namespace {

uint64_t refused(const storage::AppendSummary& summary, RefusalReason reason) {
  return summary.refused[static_cast<size_t>(reason)];
}

LimitSettings settings(std::initializer_list<std::pair<size_t Limits::*, size_t>> values) {
  LimitSettings made;
  made.values = values;
  return made;
}

model::RelabelRule rule(model::RelabelConfig config) {
  auto made = model::RelabelRule::create(std::move(config), model::NameScheme::Utf8);
  REQUIRE_MESSAGE(made.has_value(), made.error().message);
  return *made;
}

LimitsConfig with_rules(model::RelabelRules rules) {
  LimitSettings made;
  made.sets_relabel_rules = true;
  made.relabel_rules = std::move(rules);
  return {.limits = made, .overrides = {}, .instance = {}};
}

// What write_relabel_configs of a drop by metric name are.
model::RelabelRule drops(const std::string& regex) {
  return rule(
      {.source_labels = {"__name__"}, .regex = regex, .action = model::RelabelAction::Drop});
}

model::RelabelRule drops_label(const std::string& regex) {
  return rule({.regex = regex, .action = model::RelabelAction::LabelDrop, .has_regex = true});
}

WriteBatch batch_of(const std::vector<std::string>& series, int64_t time, double value,
                    const std::string& tenant = "default") {
  WriteBatch batch;
  batch.tenant = tenant;
  for (const std::string& one : series) batch.add(World::labels(one), time, value);
  return batch;
}

storage::AppendSummary push(World& world, const std::vector<std::string>& series, int64_t time,
                            double value) {
  WriteBatch batch = batch_of(series, time, value);
  batch.is_pushed = true;
  return world.append(batch);
}

}  // namespace

TEST_CASE("at the series limit new series are refused by name and known ones go on") {
  FOR_BOTH_LOGS
  World world(kind);
  world.limits_.apply(
      {.limits = settings({{&Limits::series_max, 2}}), .overrides = {}, .instance = {}});
  CHECK(world.append(batch_of({"a", "b"}, kStart, 1)).stored == 2);
  const auto summary = world.append(batch_of({"a", "up{instance=x}", "b"}, kStart + 1, 1));
  CHECK(summary.stored == 2);
  CHECK(refused(summary, RefusalReason::SeriesLimit) == 1);
  CHECK(summary.retry_after_ms == 0);
  REQUIRE(summary.examples.size() == 1);
  CHECK(summary.examples[0] ==
        "per-tenant series limit of 2 reached (limits.max_series, tenant \"default\"), new series "
        "refused: up{instance=\"x\"}");
  // A lower limit than there are series refuses none of them.
  world.limits_.apply(
      {.limits = settings({{&Limits::series_max, 1}}), .overrides = {}, .instance = {}});
  CHECK(world.append(batch_of({"a", "b"}, kStart + 2, 1)).stored == 2);
  // And a higher one lets new ones in, without a restart.
  world.limits_.apply(
      {.limits = settings({{&Limits::series_max, 3}}), .overrides = {}, .instance = {}});
  CHECK(world.append(batch_of({"up{instance=x}"}, kStart + 2, 1)).stored == 1);
  world.open();
  CHECK(world.read().size() == 3);
  CHECK(world.append(batch_of({"c"}, kStart + 3, 1)).refused_total() == 1);
}

TEST_CASE("the stale marker of a series that the limit kept out is no refusal") {
  World world(LogKind::Embedded);
  world.limits_.apply(
      {.limits = settings({{&Limits::series_max, 1}}), .overrides = {}, .instance = {}});
  world.append("a", kStart, 1);
  const auto summary = world.append(batch_of({"a", "b"}, kStart + 1, model::stale_nan()));
  CHECK(summary.stored == 1);
  CHECK(summary.refused_total() == 0);
  CHECK(summary.dropped == 1);
}

TEST_CASE("one tenant's limit is not another's, and an override stands above the default") {
  World world(LogKind::Embedded);
  world.limits_.apply({.limits = settings({{&Limits::series_max, 1}}),
                       .overrides = {{"big", settings({{&Limits::series_max, 3}})}},
                       .instance = {}});
  for (const char* tenant : {"a", "b"}) {
    const auto summary = world.append(batch_of({"x", "y"}, kStart, 1, tenant));
    CHECK(summary.stored == 1);
    CHECK(refused(summary, RefusalReason::SeriesLimit) == 1);
  }
  CHECK(world.append(batch_of({"x", "y", "z", "zz"}, kStart, 1, "big")).stored == 3);
}

TEST_CASE("the limit of all tenants counts the series of each, also after a restart") {
  World world(LogKind::Embedded);
  const LimitsConfig config{.limits = {}, .overrides = {}, .instance = {.series_max = 3}};
  world.limits_.apply(config);
  CHECK(world.append(batch_of({"x", "y"}, kStart, 1, "a")).stored == 2);
  const auto summary = world.append(batch_of({"x", "y"}, kStart, 1, "b"));
  CHECK(summary.stored == 1);
  CHECK(refused(summary, RefusalReason::SeriesLimit) == 1);
  CHECK(summary.examples.at(0).find("limit of 3 series of all tenants reached "
                                    "(instance_limits.max_series)") != std::string::npos);
  world.open();
  CHECK(world.append(batch_of({"z"}, kStart + 1, 1, "c")).stored == 0);
}

TEST_CASE("series that left the head make room below the limit") {
  World world(LogKind::Embedded);
  world.limits_.apply({.limits = settings({{&Limits::series_max, 2}}),
                       .overrides = {},
                       .instance = {.series_max = 2}});
  world.append("a", kStart, 1);
  world.append("b", kStart, 1);
  CHECK(world.append("c", kStart, 1).refused_total() == 1);
  for (int i = 1; i <= 6 * 60; ++i) {
    world.clock_.advance_ms(kMinute);
    world.append("b", world.clock_.now_ms(), i);
    if (i % 10 == 0) world.maintain();
  }
  CHECK(world.append("c", world.clock_.now_ms(), 1).stored == 1);
}

TEST_CASE("new series have a rate, known ones do not, and the refusal says when to come back") {
  World world(LogKind::Embedded);
  world.limits_.apply(
      {.limits = settings({{&Limits::new_series_rate, 2}, {&Limits::new_series_burst, 3}}),
       .overrides = {},
       .instance = {}});
  const std::vector<std::string> all = {"a", "b", "c", "d", "e"};
  const auto first = world.append(batch_of(all, kStart, 1));
  CHECK(first.stored == 3);
  CHECK(refused(first, RefusalReason::NewSeriesRate) == 2);
  CHECK(first.retry_after_ms == 500);
  CHECK(first.examples.at(0) ==
        "per-tenant limit of 2 new series per second reached (limits.max_new_series_rate, tenant "
        "\"default\"), refused for now: d");
  // The repetition stores the rest; what is there is a duplicate.
  world.clock_.advance_ms(1'000);
  const auto second = world.append(batch_of(all, kStart, 1));
  CHECK(second.stored == 2);
  CHECK(second.duplicates == 3);
  CHECK(second.refused_total() == 0);
  for (int i = 1; i < 20; ++i) CHECK(world.append(batch_of(all, kStart + i, 1)).stored == 5);
}

TEST_CASE("labels are judged when a series is new: number, names, values, the metric's name") {
  World world(LogKind::Embedded);
  world.append("known{a=1,b=2,c=3}", kStart, 1);
  world.limits_.apply({.limits = settings({{&Limits::labels_max, 3},
                                           {&Limits::label_name_size_max, 8},
                                           {&Limits::label_value_size_max, 5},
                                           {&Limits::metric_name_size_max, 10}}),
                       .overrides = {},
                       .instance = {}});
  const std::map<std::string, std::string> expected = {
      {"m{a=1,b=2,c=3}",
       "m{a=\"1\", b=\"2\", c=\"3\"}: 4 labels, allowed are 3 "
       "(limits.max_label_names_per_series, tenant \"default\")"},
      {"m{nine_long=1}",
       "m{nine_long=\"1\"}: label name of 9 bytes, allowed are 8 (limits.max_label_name_length, "
       "tenant \"default\")"},
      {"m{a=123456}",
       "m{a=\"123456\"}: value of label a of 6 bytes, allowed are 5 "
       "(limits.max_label_value_length, tenant \"default\")"},
      {"eleven_long",
       "eleven_long: metric name of 11 bytes, allowed are 10 (limits.max_metric_name_length, "
       "tenant \"default\")"},
  };
  for (const auto& [series, text] : expected) {
    const auto summary = world.append(batch_of({series, "ok{a=12345,b=1}"}, kStart, 1));
    CHECK(refused(summary, RefusalReason::LabelLimit) == 1);
    CHECK(summary.stored + summary.duplicates == 1);
    REQUIRE(summary.examples.size() == 1);
    CHECK(summary.examples[0] == text);
  }
  CHECK(world.append("known{a=1,b=2,c=3}", kStart + 1, 1).stored == 1);
}

TEST_CASE("a rule drops pushed series before the log, and only pushed ones") {
  FOR_BOTH_LOGS
  World world(kind);
  world.limits_.apply(with_rules({drops("debug_.*")}));
  for (int i = 0; i < 3; ++i) {
    const auto summary = push(world, {"debug_x", "kept", "debug_y{a=1}"}, kStart + i, 1);
    CHECK(summary.stored == 1);
    CHECK(summary.dropped == 2);
    CHECK(summary.refused_total() == 0);
  }
  CHECK(world.append("debug_scraped", kStart, 1).stored == 1);
  const auto series = world.read();
  CHECK(series.size() == 2);
  CHECK(series.at("kept").size() == 3);
}

TEST_CASE("a rule that rewrites joins series, whose samples are judged as those of one") {
  FOR_BOTH_LOGS
  World world(kind);
  world.limits_.apply(with_rules({drops_label("pod")}));
  CHECK(push(world, {"m{a=1,pod=p1}"}, kStart, 1).stored == 1);
  CHECK(push(world, {"m{a=1,pod=p2}"}, kStart + 1, 2).stored == 1);
  const auto same = push(world, {"m{a=1,pod=p1}", "m{a=1,pod=p3}"}, kStart + 2, 3);
  CHECK(same.stored == 1);
  CHECK(same.duplicates == 1);
  CHECK(push(world, {"m{a=1}"}, kStart + 3, 4).stored == 1);
  const World::Samples expected = {{kStart, 1}, {kStart + 1, 2}, {kStart + 2, 3}, {kStart + 3, 4}};
  CHECK(world.read().at("m{a=\"1\"}") == expected);
  world.open();
  CHECK(world.read().at("m{a=\"1\"}") == expected);
}

TEST_CASE("rules come before limits") {
  World world(LogKind::Embedded);
  LimitsConfig config = with_rules({drops_label("pod"), drops("debug")});
  config.limits.values = {{&Limits::labels_max, 2}, {&Limits::series_max, 1}};
  world.limits_.apply(config);
  const auto summary = push(world, {"m{a=1,pod=p1}", "debug", "m{a=1,pod=p2}"}, kStart, 1);
  CHECK(summary.stored == 1);
  CHECK(summary.duplicates == 1);
  CHECK(summary.dropped == 1);
  CHECK(summary.refused_total() == 0);
  CHECK(refused(push(world, {"m{a=2,pod=p1}"}, kStart, 1), RefusalReason::SeriesLimit) == 1);
}

TEST_CASE("new rules make what the old ones found out void") {
  World world(LogKind::Embedded);
  world.limits_.apply(with_rules({drops("x")}));
  CHECK(push(world, {"x", "y"}, kStart, 1).dropped == 1);
  world.limits_.apply(with_rules({drops("y")}));
  const auto other = push(world, {"x", "y"}, kStart + 1, 1);
  CHECK(other.stored == 1);
  CHECK(other.dropped == 1);
  world.limits_.apply({});
  CHECK(push(world, {"x", "y"}, kStart + 2, 1).stored == 2);
  const auto series = world.read();
  CHECK(series.at("x") == World::Samples{{kStart + 1, 1}, {kStart + 2, 1}});
  CHECK(series.at("y") == World::Samples{{kStart, 1}, {kStart + 2, 1}});
}

TEST_CASE("a relabelled series that left the head comes back as a new one") {
  World world(LogKind::Embedded);
  world.limits_.apply(with_rules({drops_label("pod")}));
  push(world, {"m{pod=p1}"}, kStart, 1);
  for (int i = 1; i <= 6 * 60; ++i) {
    world.clock_.advance_ms(kMinute);
    world.append("other", world.clock_.now_ms(), i);
    if (i % 10 == 0) world.maintain();
  }
  CHECK(push(world, {"m{pod=p1}"}, world.clock_.now_ms(), 2).stored == 1);
  CHECK(world.read().at("m").size() == 2);
}

TEST_CASE("a label set that is no label set is refused by name also where rules act") {
  World world(LogKind::Embedded);
  world.limits_.apply(with_rules({drops("x")}));
  WriteBatch batch;
  batch.is_pushed = true;
  std::string bytes;
  model::append_label(bytes, "__name__", "m");
  model::append_label(bytes, "a", "\xff");
  batch.begin_series(bytes);
  batch.add_sample(kStart, 1);
  CHECK(refused(world.append(batch), RefusalReason::InvalidLabels) == 1);
}

}  // namespace tsdb
