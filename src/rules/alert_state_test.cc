#include "rules/alert_state.h"

#include <doctest/doctest.h>

using namespace rules;

namespace {

constexpr int64_t kMinute = 60'000;
const model::Labels kA = model::Labels::of({{"alertname", "X"}, {"i", "a"}});

// Steps one rule a minute at a time.
struct Machine {
  int64_t for_ms = 0;
  int64_t keep_ms = 0;
  bool hold = false;
  Alerts alerts = {};
  StepResult last = {};

  void at(int64_t minute, bool present, double value = 1) {
    StepInput input{.slot_ms = minute * kMinute,
                    .for_ms = for_ms,
                    .keep_firing_for_ms = keep_ms,
                    .hold_missing = hold,
                    .found = {}};
    if (present) input.found.push_back({kA, {{"v", std::to_string(value)}}, value});
    last = step(alerts, input);
    alerts = last.alerts;
  }
  std::string state() const {
    const auto found = alerts.find(kA);
    return found == alerts.end() ? "none" : alert_state_name(found->second.state);
  }
  const Alert& alert() const { return alerts.at(kA); }
};

}  // namespace

TEST_CASE("without `for` an alert fires in the evaluation that first sees it") {
  Machine m;
  m.at(1, true);
  CHECK(m.state() == "firing");
  CHECK(m.last.fired.size() == 1);
  CHECK(m.last.changed.size() == 1);
  CHECK(m.alert().fired_at_ms == kMinute);
}

TEST_CASE("a `for` shorter than the interval fires at the second evaluation") {
  Machine m{.for_ms = 1000};
  m.at(1, true);
  CHECK(m.state() == "pending");
  m.at(2, true);
  CHECK(m.state() == "firing");
  CHECK(m.alert().active_at_ms == kMinute);
  CHECK(m.alert().fired_at_ms == 2 * kMinute);
}

TEST_CASE("a pending alert that is not seen again is forgotten and starts anew") {
  Machine m{.for_ms = 2 * kMinute};
  m.at(1, true);
  m.at(2, false);
  CHECK(m.state() == "none");
  CHECK(m.last.forgotten.size() == 1);
  CHECK(m.last.resolved.empty());
  m.at(3, true);
  m.at(4, true);
  CHECK(m.state() == "pending");
  m.at(5, true);
  CHECK(m.state() == "firing");
}

TEST_CASE("keep_firing_for: pending 0 and 1, firing 2 to 5, gone at 6") {
  Machine m{.for_ms = 2 * kMinute, .keep_ms = 3 * kMinute};
  std::vector<std::string> states;
  for (int minute = 0; minute <= 6; ++minute) {
    m.at(minute, minute <= 2);
    states.push_back(m.state());
  }
  CHECK(states == std::vector<std::string>{"pending", "pending", "firing", "firing", "firing",
                                           "firing", "resolved"});
}

TEST_CASE("coming back within keep_firing_for keeps the alert's times") {
  Machine m{.keep_ms = 3 * kMinute};
  m.at(1, true);
  m.at(2, false);
  CHECK(m.alert().keep_firing_since_ms == 2 * kMinute);
  CHECK(m.last.changed.size() == 1);
  m.at(3, true);
  CHECK(m.state() == "firing");
  CHECK(m.alert().active_at_ms == kMinute);
  CHECK(m.alert().keep_firing_since_ms == 0);
  CHECK(m.last.fired.empty());
  CHECK(m.last.changed.size() == 1);
}

TEST_CASE("while nothing but the value changes, nothing is written") {
  Machine m;
  m.at(1, true, 1);
  m.at(2, true, 2);
  CHECK(m.last.changed.empty());
  CHECK(m.alert().value == 2);
  m.at(3, false);
  CHECK(m.state() == "resolved");
  CHECK(m.alert().value == 2);
  CHECK(m.alert().annotations[0].second == "2.000000");
  CHECK(m.last.resolved.size() == 1);
}

TEST_CASE("a resolved alert is kept for 15 minutes and fires again as a new one") {
  Machine m;
  m.at(1, true);
  m.at(2, false);
  m.at(17, false);
  CHECK(m.state() == "resolved");
  m.at(18, false);
  CHECK(m.state() == "none");
  CHECK(m.last.forgotten.size() == 1);
  m.at(19, true);
  m.at(20, false);
  m.at(21, true);
  CHECK(m.alert().active_at_ms == 21 * kMinute);
  CHECK(m.alert().resolved_at_ms == 0);
}

TEST_CASE("a wall clock set back delays `for`, but no longer than `for`") {
  Machine m{.for_ms = 2 * kMinute};
  m.at(100, true);
  m.at(10, true);
  CHECK(m.alert().active_at_ms == 10 * kMinute);
  m.at(12, true);
  CHECK(m.state() == "firing");
  m.at(5, false);
  CHECK(m.alert().resolved_at_ms >= m.alert().fired_at_ms);
}

TEST_CASE("while missing series are held, nothing resolves") {
  Machine m;
  m.at(1, true);
  m.hold = true;
  m.at(2, false);
  CHECK(m.state() == "firing");
  m.hold = false;
  m.at(3, false);
  CHECK(m.state() == "resolved");
}

TEST_CASE("over the limit everything ends, and what fired is told") {
  Machine m;
  m.at(1, true);
  const StepResult dropped = drop_all(m.alerts, 2 * kMinute);
  CHECK(dropped.resolved.size() == 1);
  CHECK(dropped.alerts.at(kA).state == AlertState::Resolved);
}
