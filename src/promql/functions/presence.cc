// absent, absent_over_time, vector.

#include "promql/functions/families.h"
#include "promql/functions/window.h"

#include <set>
#include <string>
#include <utility>

namespace promql {

using core::Result;

namespace {

// What the selector says for sure about the series that are not there.
model::Labels absent_labels(const Expr& wrapped) {
  const Expr& expr = unwrap(wrapped);
  const VectorSelector* selector = try_as<VectorSelector>(expr);
  if (const auto* matrix = try_as<MatrixSelector>(expr)) selector = matrix->selector.get();
  model::LabelsBuilder builder;
  if (selector == nullptr) return builder.build();
  std::set<std::string> seen;
  for (const model::Matcher& matcher : selector->matchers) {
    if (matcher.name() == model::kMetricName) continue;
    const bool first = seen.count(matcher.name()) == 0;
    if (matcher.type() == model::MatchType::Equal && first) {
      builder.set(matcher.name(), matcher.value());
      seen.insert(matcher.name());
    } else {
      builder.remove(matcher.name());
    }
  }
  return builder.build();
}

std::vector<Column> where_absent(const Context& context, const std::vector<bool>& present,
                                 model::Labels labels) {
  Column column;
  column.reset(context.steps.count);
  column.labels = std::move(labels);
  for (size_t i = 0; i < present.size(); ++i) {
    if (!present[i]) column.set(i, 1);
  }
  std::vector<Column> out;
  if (column.any()) out.push_back(std::move(column));
  return out;
}

}  // namespace

BuildResult build_absent(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  return lazily(
      context,
      [&call, context, source = std::move(source)]() mutable -> Result<std::vector<Column>> {
        std::vector<bool> present(context.steps.count, false);
        Column column;
        while (true) {
          const bool more = TRY(source->next(column));
          if (!more) break;
          for (size_t i = 0; i < column.size(); ++i) {
            if (column.cells[i] != Cell::Absent) present[i] = true;
          }
        }
        return where_absent(context, present, absent_labels(*call.arguments[0]));
      });
}

BuildResult build_absent_over_time(const Call& call, const Context& context) {
  Range range = TRY(build_range(*call.arguments[0], context));
  return lazily(
      context, [&call, context, range = std::move(range)]() mutable -> Result<std::vector<Column>> {
        std::vector<bool> present(context.steps.count, false);
        const RangeCall range_call{call, context, range.shift, range.range_ms, call.position, {}};
        RangeSeries series;
        Column column;
        while (true) {
          const bool more = TRY(range.source->next(series));
          if (!more) break;
          column.reset(context.steps.count);
          each_window(range_call, series, column,
                      [&](const Window& window, Column&) { present[window.step] = true; });
        }
        return where_absent(context, present, absent_labels(*call.arguments[0]));
      });
}

BuildResult build_vector_of_scalar(const Call& call, const Context& context) {
  Column column;
  column.reset(context.steps.count);
  const std::vector<double> values = TRY(evaluate_scalar(*call.arguments[0], context));
  for (size_t i = 0; i < values.size(); ++i) column.set(i, values[i]);
  std::vector<Column> columns;
  columns.push_back(std::move(column));
  return std::make_unique<ColumnsOperator>(std::move(columns));
}

}  // namespace promql
