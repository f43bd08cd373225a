// Connects rules to the PromQL engine.

#pragma once

#include "promql/engine.h"
#include "rules/rule_manager.h"

namespace rules {

// Borrows the engine.
Query engine_query(const promql::Engine& engine, model::TenantId tenant);
CheckExpression engine_check(const promql::Engine& engine);

}  // namespace rules
