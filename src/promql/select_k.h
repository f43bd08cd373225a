// Aggregations that pick series (topk, bottomk, limitk, limit_ratio) or count values.

#pragma once

#include "core/result.h"
#include "promql/operator.h"

#include <vector>

namespace promql {

// `parameters`: k, or the ratio, at every step.
core::Result<std::vector<Column>> select_k(const Aggregate& node, const Context& context,
                                           std::vector<Column> columns,
                                           const std::vector<double>& parameters);

core::Result<std::vector<Column>> count_values(const Aggregate& node, const Context& context,
                                               const std::vector<Column>& columns, Charge& charge);

// What decides whether limit_ratio takes a series: a hash of its labels in [0, 1).
double ratio_offset(const model::Labels& labels);

}  // namespace promql
