// The PromQL engine: parse, plan, read columns, evaluate all steps of each series.
// Semantics are those of Prometheus 3.5.

#pragma once

#include "core/clock.h"
#include "core/result.h"
#include "model/tenant.h"
#include "promql/value.h"
#include "storage/series_source.h"

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace promql {

struct EngineOptions {
  int64_t lookback_ms = 5 * 60 * 1000;  // --query.lookback-delta
  int64_t timeout_ms = 2 * 60 * 1000;   // --query.timeout
  uint64_t samples_max = 50'000'000;    // --query.max-samples
  bool strict = false;                  // --query.strict: Prometheus's grammar only
  int64_t subquery_step_ms = 60'000;    // default step: global.evaluation_interval
  // Prometheus's feature flags. The first two only add to the grammar, so they are on
  // unless `strict`; the third changes results.
  bool experimental_functions = true;  // promql-experimental-functions
  bool duration_expressions = true;    // promql-duration-expr
  bool delayed_name_removal = false;   // promql-delayed-name-removal
};

struct QueryOptions {
  model::TenantId tenant{model::kDefaultTenant};
  int64_t lookback_ms = 0;  // 0: the engine's
  int64_t timeout_ms = 0;   // 0: the engine's; never above it
  std::stop_token stop;
};

// Errors: InvalidArgument (parse or type error, with line:column), LimitExceeded,
// Timeout, Cancelled, Unsupported (a construct not built yet, named), or the source's.
// Thread-safe.
class Engine {
 public:
  Engine(const storage::SeriesSource& source, const core::Clock& clock, EngineOptions options);

  core::Result<QueryResult> instant(std::string_view expression, int64_t time_ms,
                                    const QueryOptions& query = {}) const;
  // Steps start_ms, start_ms + step_ms, ... up to and including end_ms. step_ms > 0;
  // at most 11,000 steps (Prometheus's limit per series).
  core::Result<QueryResult> range(std::string_view expression, int64_t start_ms, int64_t end_ms,
                                  int64_t step_ms, const QueryOptions& query = {}) const;

  const EngineOptions& options() const { return options_; }

 private:
  const storage::SeriesSource& source_;
  const core::Clock& clock_;
  EngineOptions options_;
};

}  // namespace promql
