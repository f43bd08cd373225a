#include "promql/engine.h"

#include "promql/functions/table.h"
#include "promql/operator.h"
#include "promql/parser.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

// As in Prometheus's API: one point per pixel of a wide screen, times six.
constexpr int64_t kStepsMax = 11'000;

std::vector<Point> points_of(Column& column, const Steps& steps) {
  std::vector<Point> points;
  size_t count = 0;
  for (const Cell cell : column.cells) count += cell != Cell::Absent ? 1 : 0;
  points.reserve(count);
  for (size_t i = 0; i < column.size(); ++i) {
    if (column.cells[i] == Cell::Absent) continue;
    Point point;
    point.timestamp_ms = steps.at(i);
    if (column.cells[i] == Cell::Histogram) {
      point.histogram = column.histograms[i];
    } else {
      point.value = column.values[i];
    }
    points.push_back(std::move(point));
  }
  return points;
}

// Whether the order of an instant vector was asked for.
bool is_ordered(const Expr& root) {
  bool ordered = false;
  walk(root, [&](const Expr& node) {
    if (const auto* call = try_as<Call>(node)) {
      ordered = ordered || call->function->name.starts_with("sort");
    } else if (const auto* aggregate = try_as<Aggregate>(node)) {
      ordered =
          ordered || aggregate->op == AggregateOp::Topk || aggregate->op == AggregateOp::Bottomk;
    }
  });
  return ordered;
}

Result<void> remove_dropped_names(std::vector<Column>& columns) {
  bool dropped = false;
  for (Column& column : columns) {
    if (!column.drop_name) continue;
    dropped = true;
    column.labels = without_metric_name(column.labels);
  }
  if (!dropped) return {};
  std::vector<std::string_view> labels;
  for (const Column& column : columns) labels.push_back(column.labels.bytes());
  std::sort(labels.begin(), labels.end());
  if (std::adjacent_find(labels.begin(), labels.end()) != labels.end()) {
    return tl::unexpected(same_labelset_error());
  }
  return {};
}

Matrix to_matrix(std::vector<Column> columns, const Steps& steps) {
  Matrix matrix;
  matrix.reserve(columns.size());
  for (Column& column : columns) {
    Series series;
    series.points = points_of(column, steps);
    series.labels = std::move(column.labels);
    matrix.push_back(std::move(series));
  }
  std::sort(matrix.begin(), matrix.end(),
            [](const Series& a, const Series& b) { return a.labels < b.labels; });
  return matrix;
}

// A range vector at the root of an instant query: the raw samples.
Result<Matrix> root_matrix(const Expr& expr, const Context& context) {
  Range range = TRY(build_range(expr, context));
  const int64_t end = range.shift.of(context.steps.start_ms);
  Charge charge(context.query);
  Matrix matrix;
  std::vector<std::string> dropped;
  RangeSeries series;
  while (true) {
    const bool more = TRY(range.source->next(series));
    if (!more) break;
    Series out;
    for (size_t i = 0; i < series.timestamps.size(); ++i) {
      if (series.timestamps[i] > end - range.range_ms && series.timestamps[i] <= end) {
        out.points.push_back({series.timestamps[i], series.values[i], {}});
      }
    }
    for (size_t i = 0; i < series.histogram_times.size(); ++i) {
      if (series.histogram_times[i] > end - range.range_ms && series.histogram_times[i] <= end) {
        out.points.push_back({series.histogram_times[i], 0, series.histograms[i]});
      }
    }
    if (out.points.empty()) continue;
    std::sort(out.points.begin(), out.points.end(),
              [](const Point& a, const Point& b) { return a.timestamp_ms < b.timestamp_ms; });
    TRY(charge.add(out.points.size()));
    out.labels = series.drop_name ? without_metric_name(series.labels) : series.labels;
    matrix.push_back(std::move(out));
  }
  std::sort(matrix.begin(), matrix.end(),
            [](const Series& a, const Series& b) { return a.labels < b.labels; });
  for (size_t i = 1; i < matrix.size(); ++i) {
    if (matrix[i].labels == matrix[i - 1].labels) return tl::unexpected(same_labelset_error());
  }
  return matrix;
}

Result<std::vector<Column>> root_columns(const Expr& expr, const Context& context, Charge& charge) {
  auto root = TRY(build_vector(expr, context));
  std::vector<Column> columns = TRY(collect(*root, context, charge));
  TRY(remove_dropped_names(columns));
  return columns;
}

Result<Value> evaluate_instant(const Expr& expr, const Context& context) {
  const int64_t time_ms = context.steps.start_ms;
  switch (type_of(expr)) {
    case ValueType::Scalar: {
      const std::vector<double> values = TRY(evaluate_scalar(expr, context));
      return Value(Scalar{time_ms, values.front()});
    }
    case ValueType::String:
      return Value(String{time_ms, string_value(expr)});
    case ValueType::RangeVector:
      return Value(TRY(root_matrix(expr, context)));
    default:
      break;
  }
  Charge charge(context.query);
  std::vector<Column> columns = TRY(root_columns(expr, context, charge));
  if (!is_ordered(expr)) {
    std::sort(columns.begin(), columns.end(),
              [](const Column& a, const Column& b) { return a.labels < b.labels; });
  }
  Vector vector;
  vector.reserve(columns.size());
  for (Column& column : columns) {
    VectorSample sample;
    sample.point = std::move(points_of(column, context.steps).front());
    sample.labels = std::move(column.labels);
    vector.push_back(std::move(sample));
  }
  return Value(std::move(vector));
}

Result<Value> evaluate_range(const Expr& expr, const Context& context) {
  if (type_of(expr) == ValueType::Scalar) {
    const std::vector<double> values = TRY(evaluate_scalar(expr, context));
    Series series;
    for (size_t i = 0; i < values.size(); ++i) {
      series.points.push_back({context.steps.at(i), values[i], {}});
    }
    Matrix matrix;
    matrix.push_back(std::move(series));
    return Value(std::move(matrix));
  }
  Charge charge(context.query);
  return Value(to_matrix(TRY(root_columns(expr, context, charge)), context.steps));
}

ParseOptions parse_options(const EngineOptions& options) {
  ParseOptions parse;
  parse.strict = options.strict;
  parse.experimental_functions = options.experimental_functions;
  parse.duration_expressions = options.duration_expressions;
  return parse;
}

QueryState make_state(const storage::SeriesSource& source, const core::Clock& clock,
                      const EngineOptions& options, const QueryOptions& query,
                      std::string_view text) {
  const int64_t timeout_ms =
      query.timeout_ms > 0 ? std::min(query.timeout_ms, options.timeout_ms) : options.timeout_ms;
  // Whoever sets a huge timeout means none; the sum must not overflow.
  constexpr int64_t kTimeoutMaxMs = int64_t{1000} * 3600 * 24 * 365;
  return QueryState{source,
                    options,
                    clock,
                    query,
                    query.lookback_ms > 0 ? query.lookback_ms : options.lookback_ms,
                    clock.monotonic_ns() + std::min(timeout_ms, kTimeoutMaxMs) * 1'000'000,
                    Annotations(text)};
}

}  // namespace

Engine::Engine(const storage::SeriesSource& source, const core::Clock& clock, EngineOptions options)
    : source_(source), clock_(clock), options_(options) {}

Result<QueryResult> Engine::instant(std::string_view expression, int64_t time_ms,
                                    const QueryOptions& query) const {
  const ExprPtr expr = TRY(parse(expression, parse_options(options_)));
  QueryState state = make_state(source_, clock_, options_, query, expression);
  TRY(state.check());
  const Context context{state, Steps{time_ms, 1, 1}, time_ms, time_ms};
  QueryResult result;
  result.value = TRY(evaluate_instant(*expr, context));
  result.warnings = state.annotations.warnings();
  result.infos = state.annotations.infos();
  return result;
}

Result<QueryResult> Engine::range(std::string_view expression, int64_t start_ms, int64_t end_ms,
                                  int64_t step_ms, const QueryOptions& query) const {
  if (step_ms <= 0) {
    return core::fail(ErrorCode::InvalidArgument,
                      "zero or negative query resolution step widths are not accepted. Try a "
                      "positive integer");
  }
  if (end_ms < start_ms) {
    return core::fail(ErrorCode::InvalidArgument, "end timestamp must not be before start time");
  }
  const int64_t count = (end_ms - start_ms) / step_ms + 1;
  if (count > kStepsMax + 1) {
    return core::fail(ErrorCode::InvalidArgument,
                      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
                      "the query resolution (?step=XX)");
  }
  const ExprPtr expr = TRY(parse(expression, parse_options(options_)));
  const ValueType type = type_of(*expr);
  if (type != ValueType::InstantVector && type != ValueType::Scalar) {
    return core::fail(ErrorCode::InvalidArgument,
                      "invalid expression type \"{}\" for range query, must be Scalar or instant "
                      "Vector",
                      documented_type(type));
  }
  QueryState state = make_state(source_, clock_, options_, query, expression);
  TRY(state.check());
  const Context context{state, Steps{start_ms, step_ms, static_cast<size_t>(count)}, start_ms,
                        end_ms};
  QueryResult result;
  result.value = TRY(evaluate_range(*expr, context));
  result.warnings = state.annotations.warnings();
  result.infos = state.annotations.infos();
  return result;
}

}  // namespace promql
