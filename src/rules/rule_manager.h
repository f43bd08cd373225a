// Loads rule files and evaluates their groups on slots.
//
//   slot ─> query ─> state machine ─> one store batch (state + outbox) ─> ALERTS samples
//
// The store is the truth: alerts are read back from it at start, after a reload and
// after any write whose outcome is unknown.

#pragma once

#include "alertstore/alert_store.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/result.h"
#include "core/scheduler.h"
#include "model/labels.h"
#include "model/relabel.h"
#include "model/tenant.h"
#include "promql/value.h"
#include "rules/rule_view.h"
#include "storage/sample_sink.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rules {

// An instant query at a time; promql::Engine behind rules/engine_query.h.
using Query =
    std::function<core::Result<promql::Value>(std::string_view expression, int64_t time_ms)>;
// Whether an expression parses; the error says where in the expression.
using CheckExpression = std::function<core::Result<void>(std::string_view expression)>;

// A rule file's text; `name` is its path as errors and the API show it.
struct RuleText {
  std::string name;
  std::string text;
};

struct RuleManagerOptions {
  model::TenantId tenant{model::kDefaultTenant};
  int64_t default_interval_ms = 60'000;     // global.evaluation_interval
  int64_t default_query_offset_ms = 0;      // global.rule_query_offset
  int64_t lookback_ms = 5 * 60'000;         // the engine's: older data is not seen after a pause
  std::string external_url;                 // for generatorURL and $externalURL
  model::Labels external_labels;            // for $externalLabels and what is sent
  model::RelabelRules alert_relabel_rules;  // alerting.alert_relabel_configs: what is sent
  bool strict = false;                      // no bare {{ label }}
};

struct RuleManagerParts {
  Query query;
  CheckExpression check_expression;
  storage::SampleSink& sink;
  alertstore::AlertStore& store;
  const core::Clock& clock;
  // Called, on an evaluation's thread, after new rows went into the outbox; may be empty.
  std::function<void()> outbox_written;
};

// Checks rule files without running them: every error, each as file:line:column.
std::vector<std::string> check_rule_files(const std::vector<RuleText>& files,
                                          const RuleManagerOptions& options,
                                          const CheckExpression& check_expression);

// Thread-safe. One per tenant. The parts must outlive it.
class RuleManager {
 public:
  RuleManager(RuleManagerOptions options, RuleManagerParts parts);
  ~RuleManager();

  // Replaces the whole set, at start and at every reload, or nothing when any file has
  // an error (InvalidArgument, all errors in the message, one per line). Groups that
  // did not change go on undisturbed; alerts of rules that stay keep their state; alerts
  // of rules that are gone are resolved.
  core::Result<void> load(const std::vector<RuleText>& files);
  // The same with other evaluation defaults (global: of the configuration file).
  core::Result<void> load(const std::vector<RuleText>& files, int64_t default_interval_ms,
                          int64_t default_query_offset_ms, model::Labels external_labels,
                          model::RelabelRules alert_relabel_rules = {});

  // Starts evaluating, each group at its next slot. Timers run on `scheduler`, queries
  // on `executor`; both must outlive stop().
  void start(core::Scheduler& scheduler, core::Executor& executor);
  // Returns when no evaluation runs any more and none will start.
  void stop();

  RulesView snapshot() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with timers that are still queued
};

}  // namespace rules
