#include "rules/rule_view.h"

namespace rules {

const char* alert_state_name(AlertState state) {
  switch (state) {
    case AlertState::Inactive:
      return "inactive";
    case AlertState::Pending:
      return "pending";
    case AlertState::Firing:
      return "firing";
    case AlertState::Resolved:
      return "resolved";
  }
  return "?";
}

const char* rule_health_name(RuleHealth health) {
  switch (health) {
    case RuleHealth::Unknown:
      return "unknown";
    case RuleHealth::Ok:
      return "ok";
    case RuleHealth::Err:
      return "err";
  }
  return "?";
}

const char* rule_kind_name(RuleKind kind) {
  return kind == RuleKind::Alerting ? "alerting" : "recording";
}

}  // namespace rules
