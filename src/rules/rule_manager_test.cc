// Groups and the manager over simulated time, with queries answered by the test.

#include "rules/rule_manager.h"

#include "alertstore/alert_event.h"
#include "alertstore/testing/memory_store.h"
#include "core/log.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_scheduler.h"
#include "core/thread_pool.h"
#include "core/timer_thread.h"
#include "storage/testing/memory_store.h"

#include <atomic>
#include <doctest/doctest.h>
#include <map>
#include <thread>

using alertstore::AlertEvent;
using alertstore::Transition;
using alertstore::testing::Fault;
using core::ErrorCode;
using core::Result;
using rules::RuleManager;

namespace {

constexpr int64_t kSecond = 1000;

// The world around a manager; survives its "process".
struct World {
  World() { core::set_log_level(core::LogLevel::Error); }  // failures are the point here

  core::testing::FakeClock clock;
  alertstore::testing::MemoryStore store;
  storage::testing::MemoryStore samples;
  std::map<std::string, promql::Vector> answers;  // by expression
  std::map<std::string, std::string> query_errors;
  rules::RuleManagerOptions options;
  uint64_t wakes = 0;

  // What the expression finds from now on.
  void set(const std::string& expression, std::vector<std::pair<std::string, double>> found) {
    promql::Vector vector;
    for (const auto& [instance, value] : found) {
      vector.push_back({model::Labels::of({{"__name__", "m"}, {"instance", instance}}),
                        {.timestamp_ms = 0, .value = value, .histogram = {}}});
    }
    answers[expression] = std::move(vector);
  }

  Result<promql::Value> query(std::string_view expression, int64_t time_ms) {
    const std::string text(expression);
    if (query_errors.contains(text)) {
      return core::fail(ErrorCode::Timeout, "{}", query_errors[text]);
    }
    if (answers.contains(text)) return promql::Value(answers[text]);
    // Anything else is a metric name: its samples at exactly that time.
    promql::Vector vector;
    for (const auto& [labels, series] : all(text)) {
      const auto at = series.find(time_ms);
      if (at == series.end() || model::is_stale_nan(at->second)) continue;
      vector.push_back({labels, {.timestamp_ms = time_ms, .value = at->second, .histogram = {}}});
    }
    return promql::Value(vector);
  }

  std::map<model::Labels, std::map<int64_t, double>> all(const std::string& metric) {
    storage::SelectRequest request;
    request.matchers = {model::Matcher::equal("__name__", metric)};
    request.range = {0, INT64_MAX};
    auto set_of_series = samples.select(request);
    REQUIRE(set_of_series);
    std::map<model::Labels, std::map<int64_t, double>> found;
    storage::SeriesBatch batch;
    while ((*set_of_series)->next(batch).value()) {
      for (size_t i = 0; i < batch.size(); ++i) {
        for (size_t j = 0; j < batch.timestamps_of(i).size(); ++j) {
          found[batch.labels[i]][batch.timestamps_of(i)[j]] = batch.values_of(i)[j];
        }
      }
    }
    return found;
  }

  std::vector<AlertEvent> outbox() {
    std::vector<AlertEvent> events;
    for (const auto& [key, value] : store.contents()) {
      if (key.starts_with(alertstore::kOutboxPrefix)) {
        events.push_back(alertstore::decode_event(value).value());
      }
    }
    return events;
  }
  // "firing a, resolved a".
  std::string told() {
    std::string text;
    for (const AlertEvent& event : outbox()) {
      text += text.empty() ? "" : ", ";
      text += event.transition == Transition::Firing ? "firing " : "resolved ";
      text += event.labels.get("instance");
    }
    return text;
  }
};

// One process.
struct Process {
  World& world;
  core::testing::SimScheduler scheduler{world.clock};
  RuleManager manager;

  explicit Process(World& one, const std::string& rules)
      : world(one), manager(world.options, parts(one)) {
    const auto loaded = load(rules);
    REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
    manager.start(scheduler, scheduler);
  }

  static rules::RuleManagerParts parts(World& world) {
    return {.query = [&world](std::string_view expression,
                              int64_t time_ms) { return world.query(expression, time_ms); },
            .check_expression = [](std::string_view expression) -> Result<void> {
              if (expression.starts_with("bad")) {
                return core::fail(ErrorCode::InvalidArgument, "1:1: parse error");
              }
              return {};
            },
            .sink = world.samples,
            .store = world.store,
            .clock = world.clock,
            .outbox_written = [&world] { ++world.wakes; }};
  }

  Result<void> load(const std::string& rules) { return manager.load({{"r.yml", rules}}); }
  void run(int64_t seconds) { scheduler.run_for(seconds * kSecond); }
  rules::RuleView rule(size_t index = 0) { return manager.snapshot().groups.at(0).rules.at(index); }
};

const std::string kDown = R"(
groups:
  - name: g
    interval: 10s
    rules:
      - alert: Down
        expr: down
        for: 20s
        labels: {severity: page}
        annotations: {summary: "{{ $labels.instance }} has {{ $value }}"}
)";

const std::string kNow = R"(
groups:
  - name: g
    interval: 10s
    rules:
      - alert: Now
        expr: down
)";

}  // namespace

TEST_CASE("an alert goes pending, firing, resolved, and each transition is in the outbox once") {
  World world;
  Process process(world, kDown);
  world.set("down", {});
  process.run(10);
  CHECK(process.rule().health == rules::RuleHealth::Ok);
  CHECK(process.rule().state == rules::AlertState::Inactive);
  world.set("down", {{"a", 3}});
  process.run(10);
  CHECK(process.rule().state == rules::AlertState::Pending);
  CHECK(world.told() == "");
  process.run(20);
  REQUIRE(process.rule().alerts.size() == 1);
  CHECK(process.rule().state == rules::AlertState::Firing);
  CHECK(world.told() == "firing a");
  CHECK(world.wakes == 1);
  const AlertEvent fired = world.outbox()[0];
  CHECK(fired.labels.to_string() == R"({alertname="Down", instance="a", severity="page"})");
  CHECK(fired.annotations == alertstore::Annotations{{"summary", "a has 3"}});
  CHECK(fired.generator_url == "/graph?g0.expr=down&g0.tab=1");
  CHECK(fired.ends_at_ms == 0);
  process.run(60);
  CHECK(world.told() == "firing a");
  world.set("down", {});
  process.run(10);
  CHECK(world.told() == "firing a, resolved a");
  const AlertEvent resolved = world.outbox()[1];
  CHECK(resolved.starts_at_ms == fired.starts_at_ms);
  CHECK(resolved.ends_at_ms > resolved.starts_at_ms);
  CHECK(resolved.id != fired.id);
  CHECK(process.rule().alerts.empty());
  CHECK(process.rule().resolved.size() == 1);
}

TEST_CASE("what is sent has the external labels and is relabelled, and ends as it began") {
  World world;
  world.options.external_labels = model::Labels::of({{"cluster", "dc1"}, {"severity", "none"}});
  model::RelabelConfig drop_b;
  drop_b.source_labels = {"instance"};
  drop_b.regex = "b";
  drop_b.action = model::RelabelAction::Drop;
  model::RelabelConfig rename;
  rename.source_labels = {"severity"};
  rename.target_label = "prio";
  for (const model::RelabelConfig& config : {drop_b, rename}) {
    world.options.alert_relabel_rules.push_back(
        model::RelabelRule::create(config, model::NameScheme::Utf8).value());
  }
  constexpr std::string_view kSent =
      R"({alertname="Down", cluster="dc1", instance="a", prio="page", severity="page"})";
  world.set("down", {{"a", 3}, {"b", 3}});
  Process process(world, kDown);
  process.run(40);
  // The API and ALERTS show the alert as its rule made it, as in Prometheus.
  REQUIRE(process.rule().alerts.size() == 2);
  CHECK(process.rule().alerts[0].labels.get("cluster") == "");
  CHECK(world.told() == "firing a");
  CHECK(world.outbox()[0].labels.to_string() == kSent);

  world.set("down", {});
  SUBCASE("ended by its query, under other external labels") {
    REQUIRE(process.manager.load({{"r.yml", kDown}}, 60'000, 0,
                                 model::Labels::of({{"cluster", "dc2"}})));
    process.run(20);
  }
  SUBCASE("ended after a restart") {
    world.options.external_labels = {};
    world.options.alert_relabel_rules = {};
    Process second(world, kDown);
    second.run(400);
  }
  SUBCASE("its rule is removed") {
    REQUIRE(process.load("- {name: h, interval: 10s, rules: [{alert: B, expr: down}]}"));
    process.run(5);
  }
  CHECK(world.told() == "firing a, resolved a");
  CHECK(world.outbox()[1].labels.to_string() == kSent);
}

TEST_CASE("ALERTS and ALERTS_FOR_STATE follow the state, and what ends is marked stale") {
  World world;
  Process process(world, kDown);
  world.set("down", {{"a", 1}});
  process.run(30);
  world.set("down", {});
  process.run(10);
  std::map<std::string, std::vector<std::string>> seen;
  for (const auto& [labels, series] : world.all("ALERTS")) {
    for (const auto& [time_ms, value] : series) {
      seen[std::string(labels.get("alertstate"))].push_back(model::is_stale_nan(value) ? "stale"
                                                                                       : "1");
    }
  }
  CHECK(seen["pending"] == std::vector<std::string>{"1", "1", "stale"});
  CHECK(seen["firing"] == std::vector<std::string>{"1", "stale"});
  const auto for_state = world.all("ALERTS_FOR_STATE");
  REQUIRE(for_state.size() == 1);
  const auto& points = for_state.begin()->second;
  CHECK(points.begin()->second == static_cast<double>(points.begin()->first / 1000));
  CHECK(model::is_stale_nan(points.rbegin()->second));
}

TEST_CASE("groups evaluate on slots that a restart does not move") {
  World world;
  const std::string rules = "- {name: g, interval: 10s, rules: [{record: r, expr: one}]}";
  world.set("one", {{"a", 1}});
  {
    Process process(world, rules);
    process.run(25);
  }
  world.clock.advance_ms(3'333);
  Process process(world, rules);
  process.run(20);
  const auto series = world.all("r");
  REQUIRE(series.size() == 1);
  const int64_t first_ms = series.begin()->second.begin()->first;
  for (const auto& [time_ms, value] : series.begin()->second) {
    CHECK((time_ms - first_ms) % 10'000 == 0);
  }
  CHECK(series.begin()->second.size() >= 4);
}

TEST_CASE("a rule sees what the rules before it wrote at the same slot") {
  World world;
  Process process(world, R"(
- name: g
  interval: 10s
  rules:
    - {record: first, expr: source, labels: {team: x}}
    - {record: second, expr: first}
    - {alert: Chain, expr: second}
)");
  world.set("source", {{"a", 7}});
  process.run(10);
  CHECK(world.told() == "firing a");
  CHECK(world.outbox()[0].value == 7);
  CHECK(world.outbox()[0].labels.get("team") == "x");
  world.set("source", {});
  process.run(10);
  CHECK(model::is_stale_nan(world.all("first").begin()->second.rbegin()->second));
}

TEST_CASE("a failed query changes no state, resolves nothing and shows its error") {
  World world;
  Process process(world, kNow);
  world.set("down", {{"a", 1}});
  process.run(10);
  CHECK(world.told() == "firing a");
  world.query_errors["down"] = "too slow";
  process.run(600);
  CHECK(world.told() == "firing a");
  CHECK(process.rule().health == rules::RuleHealth::Err);
  CHECK(process.rule().last_error == "too slow");
  CHECK(process.rule().alerts.size() == 1);
  world.query_errors.clear();
  process.run(10);
  CHECK(process.rule().health == rules::RuleHealth::Ok);
  CHECK(process.rule().last_error.empty());
  CHECK(world.told() == "firing a");
}

TEST_CASE("two results with the same labels fail the rule and change nothing") {
  World world;
  Process process(world,
                  "- {name: g, interval: 10s, rules: [{alert: A, expr: down, "
                  "labels: {instance: same}}, {record: r, expr: down, "
                  "labels: {instance: same}}]}");
  world.set("down", {{"a", 1}});
  process.run(10);
  CHECK(world.told() == "firing same");
  world.set("down", {{"a", 1}, {"b", 1}});
  process.run(10);
  CHECK(process.rule(0).last_error.find("same labels") != std::string::npos);
  CHECK(process.rule(1).last_error.find("same labels") != std::string::npos);
  CHECK(world.told() == "firing same");
}

TEST_CASE("over the limit the alerts end with their reason and the rule fails") {
  World world;
  Process process(world, "- {name: g, interval: 10s, limit: 1, rules: [{alert: A, expr: down}]}");
  world.set("down", {{"a", 1}});
  process.run(10);
  world.set("down", {{"a", 1}, {"b", 1}});
  process.run(10);
  CHECK(process.rule().last_error == "exceeded limit of 1 with 2 alerts");
  CHECK(world.told() == "firing a, resolved a");
  CHECK(world.outbox()[1].reason == "limit_exceeded");
}

TEST_CASE("a restart neither repeats nor loses a firing alert") {
  World world;
  world.set("down", {{"a", 1}});
  {
    Process process(world, kDown);
    process.run(40);
    CHECK(world.told() == "firing a");
  }
  world.clock.advance_ms(5 * kSecond);
  {
    Process process(world, kDown);
    process.run(60);
    CHECK(world.told() == "firing a");
    CHECK(process.rule().alerts.at(0).fired_at_ms == world.outbox()[0].starts_at_ms);
  }
  world.set("down", {});
  Process process(world, kDown);
  process.run(10);
  CHECK(world.told() == "firing a, resolved a");
}

TEST_CASE("a pending alert goes on with its `for` after a restart; a pause does not count") {
  World world;
  world.set("down", {{"a", 1}});
  int64_t pause_ms = 0;
  int64_t expected_ms = 20 * kSecond;
  SUBCASE("within one interval") {}
  SUBCASE("after a minute") {
    pause_ms = expected_ms = 0;
  }
  {
    Process process(world, kDown);
    process.run(10);
    CHECK(process.rule().state == rules::AlertState::Pending);
  }
  const bool paused = expected_ms == 0;
  if (paused) {
    pause_ms = 60 * kSecond;
    expected_ms = 20 * kSecond + pause_ms;
  }
  world.clock.advance_ms(pause_ms);
  const int64_t before_ms = world.clock.now_ms();
  Process process(world, kDown);
  while (world.told().empty() && world.clock.now_ms() < before_ms + 600 * kSecond) process.run(1);
  CHECK(world.told() == "firing a");
  const int64_t fired_ms = world.outbox()[0].starts_at_ms;
  CHECK(process.rule().alerts.at(0).active_at_ms == fired_ms - 20 * kSecond);
  CHECK(fired_ms - before_ms <= 20 * kSecond);
}

TEST_CASE("after a long pause sources get time to come back before anything resolves") {
  World world;
  world.set("down", {{"a", 1}});
  {
    Process process(world, kNow);
    process.run(10);
  }
  world.clock.advance_ms(3'600 * kSecond);
  world.set("down", {});
  Process process(world, kNow);
  process.run(20);
  CHECK(world.told() == "firing a");
  process.run(20);
  CHECK(world.told() == "firing a, resolved a");
}

TEST_CASE("a reload replaces all or nothing") {
  World world;
  Process process(world, kDown);
  const auto refused = process.manager.load({{"r.yml", kNow}, {"s.yml", "- name: g\n  x: 1\n"}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::InvalidArgument);
  CHECK(refused.error().message == "s.yml:2:3: unknown field \"x\" in group");
  // Two groups without a name are no file that is listed twice.
  const auto unnamed = process.manager.load({{"s.yml", "- rules: []\n- rules: []\n"}});
  REQUIRE_FALSE(unnamed);
  CHECK(unnamed.error().message ==
        "s.yml:1:3: Groupname must not be empty\ns.yml:2:3: Groupname must not be empty");
  CHECK(process.rule().name == "Down");
}

TEST_CASE("a reload keeps the state of rules that stay, by group, name and labels") {
  World world;
  Process process(world, kDown);
  world.set("down", {{"a", 1}});
  process.run(30);
  CHECK(world.told() == "firing a");
  std::string changed = kDown;
  changed.replace(changed.find("for: 20s"), 8, "for: 90s");
  world.set("elsewhere", {});
  changed += "      - {alert: Other, expr: elsewhere}\n";
  REQUIRE(process.load(changed));
  process.run(30);
  CHECK(process.rule().for_ms == 90'000);
  CHECK(process.rule().state == rules::AlertState::Firing);
  CHECK(world.told() == "firing a");
  world.set("down", {});
  process.run(10);
  CHECK(world.told() == "firing a, resolved a");
}

TEST_CASE("alerts of a removed rule are resolved, removed while running or while down") {
  World world;
  world.set("down", {{"a", 1}});
  world.set("other", {});
  const std::string other = "- {name: h, interval: 10s, rules: [{alert: B, expr: other}]}";
  SUBCASE("while running") {
    Process process(world, kNow);
    process.run(10);
    REQUIRE(process.load(other));
    process.run(1);
  }
  SUBCASE("while down") {
    {
      Process process(world, kNow);
      process.run(10);
    }
    Process process(world, other);
    process.run(1);
  }
  SUBCASE("while running, with the store down at first") {
    Process process(world, kNow);
    process.run(10);
    world.store.set_down(true);
    REQUIRE(process.load(other));
    process.run(7);
    world.store.set_down(false);
    CHECK(world.told() == "firing a");
    process.run(10);
  }
  CHECK(world.told() == "firing a, resolved a");
  CHECK(world.outbox()[1].reason == "rule_removed");
  const auto alerts = world.all("ALERTS");
  REQUIRE(alerts.size() == 1);
  CHECK(model::is_stale_nan(alerts.begin()->second.rbegin()->second));
  for (const auto& [key, value] : world.store.contents()) CHECK_FALSE(key.starts_with("alert/"));
}

TEST_CASE("an unchanged group is not restarted by a reload") {
  World world;
  Process process(world, kNow);
  world.set("down", {{"a", 1}});
  process.run(10);
  const int64_t evaluated_ms = process.rule().last_evaluation_ms;
  REQUIRE(evaluated_ms > 0);
  REQUIRE(process.load(kNow + "  - {name: h, interval: 10s, rules: []}\n"));
  CHECK(process.rule().last_evaluation_ms == evaluated_ms);
  CHECK(process.manager.snapshot().groups.size() == 2);
}

TEST_CASE("missed slots are counted") {
  World world;
  Process process(world, kNow);
  world.set("down", {});
  process.run(20);
  CHECK(process.manager.snapshot().groups[0].missed_slots == 0);
  world.clock.advance_ms(35 * kSecond);
  process.run(10);
  CHECK(process.manager.snapshot().groups[0].missed_slots >= 2);
}

TEST_CASE("a wall clock set back does not stop evaluation") {
  World world;
  Process process(world, kNow);
  world.set("down", {});
  process.run(20);
  world.clock.jump_to_ms(world.clock.now_ms() - 3'600 * kSecond);
  world.set("down", {{"a", 1}});
  process.run(20);
  CHECK(world.told() == "firing a");
}

TEST_CASE("after stop nothing is evaluated") {
  World world;
  Process process(world, kNow);
  world.set("down", {{"a", 1}});
  process.manager.stop();
  process.run(60);
  CHECK(world.told() == "");
}

// The property that pages depend on: whatever happens to a write, each transition is in
// the outbox exactly once and in order.
TEST_CASE("no fault at any write loses or repeats a transition") {
  for (const Fault fault :
       {Fault::Unavailable, Fault::UnknownButApplied, Fault::CrashBefore, Fault::CrashAfter}) {
    for (uint64_t at = 0; at < 30; ++at) {
      CAPTURE(static_cast<int>(fault));
      CAPTURE(at);
      World world;
      world.set("down", {});
      auto process = std::make_unique<Process>(world, kDown);
      world.store.fail_write(at, fault);
      const auto run = [&](int64_t seconds) {
        for (int64_t i = 0; i < seconds; ++i) {
          process->run(1);
          if (!world.store.crashed()) continue;
          process.reset();
          world.store.restart();
          process = std::make_unique<Process>(world, kDown);
        }
      };
      for (int round = 0; round < 2; ++round) {
        world.set("down", {{"a", 1}, {"b", 2}});
        run(60);
        world.set("down", {{"b", 2}});
        run(20);
        world.set("down", {});
        run(20);
      }
      std::map<std::string, std::string> by_instance;
      for (const AlertEvent& event : world.outbox()) {
        by_instance[std::string(event.labels.get("instance"))] +=
            event.transition == Transition::Firing ? "F" : "R";
      }
      CHECK(by_instance["a"] == "FRFR");
      CHECK(by_instance["b"] == "FRFR");
    }
  }
}

// For the sanitizers: real threads, reloads and readers at once.
TEST_CASE("evaluations, reloads, snapshots and stop do not disturb each other") {
  core::set_log_level(core::LogLevel::Error);
  const core::SystemClock clock;
  alertstore::testing::MemoryStore store;
  storage::testing::MemoryStore samples;
  std::atomic<int> queries = 0;
  rules::RuleManagerParts parts{
      .query = [&queries](std::string_view, int64_t time_ms) -> Result<promql::Value> {
        promql::Vector vector;
        // Comes and goes, so that transitions are written all the time.
        if (queries++ % 3 != 0) {
          vector.push_back({model::Labels::of({{"i", "a"}}),
                            {.timestamp_ms = time_ms, .value = 1, .histogram = {}}});
        }
        return promql::Value(std::move(vector));
      },
      .check_expression = [](std::string_view) -> Result<void> { return {}; },
      .sink = samples,
      .store = store,
      .clock = clock,
      .outbox_written = {}};
  core::TimerThread timers;
  core::ThreadPool pool({.name = "rules", .threads = 2, .queue_max = 8});
  RuleManager manager({}, std::move(parts));
  const auto text = [](int version) {
    std::string rules;
    for (int group = 0; group < 4; ++group) {
      rules += "- {name: g" + std::to_string(group) + ", interval: 3ms, rules: [{alert: A" +
               std::to_string(group % 2 == 0 ? version : 0) + ", expr: x}]}\n";
    }
    return std::vector<rules::RuleText>{{"r.yml", rules}};
  };
  REQUIRE(manager.load(text(0)));
  manager.start(timers, pool);
  for (int version = 1; version <= 20; ++version) {
    const int before = queries;
    while (queries < before + 20) {
      CHECK(manager.snapshot().groups.size() == 4);
      std::this_thread::yield();
    }
    REQUIRE(manager.load(text(version)));
  }
  manager.stop();
  const int after = queries;
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  CHECK(queries == after);
}
