#include "rules/engine_query.h"

#include "promql/parser.h"

namespace rules {

Query engine_query(const promql::Engine& engine, model::TenantId tenant) {
  return [&engine, tenant = std::move(tenant)](std::string_view expression,
                                               int64_t time_ms) -> core::Result<promql::Value> {
    promql::QueryOptions options;
    options.tenant = tenant;
    promql::QueryResult result = TRY(engine.instant(expression, time_ms, options));
    return std::move(result.value);
  };
}

CheckExpression engine_check(const promql::Engine& engine) {
  return [strict = engine.options().strict](std::string_view expression) -> core::Result<void> {
    TRY(promql::parse(expression, {.strict = strict}));
    return {};
  };
}

}  // namespace rules
