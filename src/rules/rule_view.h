// What the API and the UI show of rules: plain copies, taken at one moment.

#pragma once

#include "alertstore/alert_event.h"
#include "model/labels.h"

#include <cstdint>
#include <string>
#include <vector>

namespace rules {

enum class AlertState : uint8_t { Inactive = 0, Pending = 1, Firing = 2, Resolved = 3 };
// "inactive", "pending", "firing", "resolved".
const char* alert_state_name(AlertState state);

enum class RuleHealth : uint8_t { Unknown, Ok, Err };
// "unknown", "ok", "err".
const char* rule_health_name(RuleHealth health);

enum class RuleKind : uint8_t { Alerting, Recording };
// "alerting", "recording".
const char* rule_kind_name(RuleKind kind);

struct AlertView {
  model::Labels labels;  // with alertname
  alertstore::Annotations annotations;
  AlertState state = AlertState::Inactive;
  double value = 0;
  int64_t active_at_ms = 0;
  int64_t fired_at_ms = 0;           // 0: never
  int64_t keep_firing_since_ms = 0;  // 0: not kept firing
  int64_t resolved_at_ms = 0;        // 0: not resolved
};

struct RuleView {
  RuleKind kind = RuleKind::Alerting;
  std::string name;
  std::string expression;
  model::Labels labels;
  RuleHealth health = RuleHealth::Unknown;
  std::string last_error;  // "" when health is not Err
  double evaluation_seconds = 0;
  int64_t last_evaluation_ms = 0;  // 0: not yet
  // Alerting rules only.
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  alertstore::Annotations annotations;
  AlertState state = AlertState::Inactive;  // the worst of its alerts
  std::vector<AlertView> alerts;            // Pending and Firing
  std::vector<AlertView> resolved;          // those that ended in the last 15 minutes
};

struct GroupView {
  std::string name;
  std::string file;
  int64_t interval_ms = 0;
  int64_t query_offset_ms = 0;
  uint64_t limit = 0;
  double evaluation_seconds = 0;
  int64_t last_evaluation_ms = 0;  // 0: not yet
  uint64_t missed_slots = 0;
  std::vector<RuleView> rules;
};

struct RulesView {
  std::vector<GroupView> groups;  // sorted by file, in file order within
};

}  // namespace rules
