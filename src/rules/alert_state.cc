#include "rules/alert_state.h"

#include <algorithm>

namespace rules {

namespace {

bool is_active(const Alert& alert) {
  return alert.state == AlertState::Pending || alert.state == AlertState::Firing;
}

void see(StepResult& result, const StepInput& input, const Found& found) {
  const auto [entry, is_new] = result.alerts.try_emplace(found.labels);
  Alert& alert = entry->second;
  bool changed = false;
  if (is_new || !is_active(alert)) {
    alert = Alert{};
    alert.labels = found.labels;
    alert.active_at_ms = input.slot_ms;
    changed = true;
  }
  alert.value = found.value;
  alert.annotations = found.annotations;
  if (alert.keep_firing_since_ms != 0) {
    alert.keep_firing_since_ms = 0;
    changed = true;
  }
  // The wall clock was set back: `for` starts again rather than waiting for it to catch up.
  if (alert.active_at_ms > input.slot_ms && alert.state == AlertState::Pending) {
    alert.active_at_ms = input.slot_ms;
    changed = true;
  }
  const bool due = input.slot_ms - alert.active_at_ms >= input.for_ms;
  if (alert.state == AlertState::Pending && due) {
    alert.state = AlertState::Firing;
    alert.fired_at_ms = input.slot_ms;
    result.fired.push_back(found.labels);
    changed = true;
  }
  if (changed) result.changed.push_back(found.labels);
}

void resolve(StepResult& result, Alert& alert, int64_t slot_ms) {
  alert.state = AlertState::Resolved;
  // Not before it fired, whatever the wall clock did; 0 would mean that it never ended.
  alert.resolved_at_ms = std::max({slot_ms, alert.fired_at_ms, int64_t{1}});
  alert.keep_firing_since_ms = 0;
  result.resolved.push_back(alert.labels);
  result.changed.push_back(alert.labels);
}

// Whether the alert is to be forgotten.
bool miss(StepResult& result, const StepInput& input, Alert& alert) {
  if (alert.state == AlertState::Pending) return true;
  if (alert.state == AlertState::Resolved) {
    return input.slot_ms - alert.resolved_at_ms > kResolvedRetentionMs;
  }
  if (input.hold_missing) return false;
  if (input.keep_firing_for_ms > 0) {
    if (alert.keep_firing_since_ms == 0) {
      alert.keep_firing_since_ms = input.slot_ms;
      result.changed.push_back(alert.labels);
    }
    if (input.slot_ms - alert.keep_firing_since_ms < input.keep_firing_for_ms) return false;
  }
  resolve(result, alert, input.slot_ms);
  return false;
}

}  // namespace

StepResult step(const Alerts& before, const StepInput& input) {
  StepResult result;
  result.alerts = before;
  std::map<model::Labels, bool> seen;
  for (const Found& found : input.found) {
    seen[found.labels] = true;
    see(result, input, found);
  }
  for (auto entry = result.alerts.begin(); entry != result.alerts.end();) {
    if (!seen.contains(entry->first) && miss(result, input, entry->second)) {
      result.forgotten.push_back(entry->first);
      entry = result.alerts.erase(entry);
    } else {
      ++entry;
    }
  }
  return result;
}

StepResult drop_all(const Alerts& before, int64_t slot_ms) {
  StepResult result;
  for (const auto& [labels, alert] : before) {
    if (alert.state != AlertState::Firing) {
      result.forgotten.push_back(labels);
      continue;
    }
    Alert& kept = result.alerts[labels];
    kept = alert;
    resolve(result, kept, slot_ms);
  }
  return result;
}

}  // namespace rules
