// The state machine of one alerting rule, pure: what a query found at a slot, against
// what was known, gives the next state and what changed. Prometheus's semantics
// (rules/alerting.go), with `resolved` kept apart from `inactive`.
//
//             seen            for has passed           not seen
//   (none) ─────────> pending ───────────────> firing ──────────> resolved ──15 min──> (none)
//                        └── not seen: forgotten  └─ keep_firing_for delays it

#pragma once

#include "rules/alert_record.h"

#include <cstdint>
#include <map>
#include <vector>

namespace rules {

// Resolved alerts are shown this long, as Prometheus keeps them.
inline constexpr int64_t kResolvedRetentionMs = 15 * 60'000;

using Alerts = std::map<model::Labels, Alert>;

// An element of the query's result, its labels and annotations expanded.
struct Found {
  model::Labels labels;
  alertstore::Annotations annotations;
  double value = 0;
};

struct StepInput {
  int64_t slot_ms = 0;
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  // While set, a firing alert that is not found stays as it is: after a long pause the
  // data it stands on may not have come back yet.
  bool hold_missing = false;
  std::vector<Found> found;  // no two with the same labels
};

struct StepResult {
  Alerts alerts;                         // the next state, whole
  std::vector<model::Labels> changed;    // records to write
  std::vector<model::Labels> forgotten;  // records to remove
  std::vector<model::Labels> fired;      // became firing
  std::vector<model::Labels> resolved;   // were firing
};

StepResult step(const Alerts& before, const StepInput& input);

// Ends everything at once: the rule is over its limit.
StepResult drop_all(const Alerts& before, int64_t slot_ms);

}  // namespace rules
