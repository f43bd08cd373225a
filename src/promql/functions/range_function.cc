// Runs a function over the windows of each series of a range vector.

#include "promql/functions/window.h"

#include <utility>

namespace promql {

using core::Result;

namespace {

constexpr std::string_view kCounterSuffixes[] = {"_total", "_sum", "_count", "_bucket"};

class RangeFunctionOperator final : public VectorOperator {
 public:
  RangeFunctionOperator(const Call& call, const Context& context, Range range, Position position,
                        std::vector<std::vector<double>> scalars)
      : context_(context),
        source_(std::move(range.source)),
        call_{call, context_, range.shift, range.range_ms, position, std::move(scalars)},
        wants_counter_(call.function->name == "rate" || call.function->name == "increase") {}

  Result<bool> next(Column& column) override {
    const bool more = TRY(source_->next(series_));
    if (!more) return false;
    column.reset(context_.steps.count);
    call_.call.function->range(call_, series_, column);
    if (wants_counter_ && !name_is_known_ && !series_.values.empty()) check_name(column);
    column.group = series_.group;
    if (series_.group != nullptr) return true;
    column.labels = std::move(series_.labels);
    column.drop_name = series_.drop_name;
    if (!call_.call.function->keeps_name) drop_name(column, context_);
    return true;
  }

 private:
  void check_name(const Column& column) {
    const std::string_view name = series_.labels.metric_name();
    if (name.empty() || !column.any()) return;
    name_is_known_ = series_.group != nullptr;
    for (const std::string_view suffix : kCounterSuffixes) {
      if (name.ends_with(suffix)) return;
    }
    inform(call_,
           "metric might not be a counter, name does not end in "
           "_total/_sum/_count/_bucket: \"" +
               std::string(name) + "\"");
  }

  Context context_;
  std::unique_ptr<RangeOperator> source_;
  RangeCall call_;
  RangeSeries series_;
  bool wants_counter_;
  bool name_is_known_ = false;  // what is folded into groups has one name, which was checked
};

}  // namespace

Result<std::unique_ptr<VectorOperator>> build_range_function(const Call& call,
                                                             const Context& context) {
  Range range;
  Position position;
  const Expr* range_argument = nullptr;
  std::vector<std::vector<double>> scalars;
  for (const ExprPtr& argument : call.arguments) {
    if (type_of(*argument) == ValueType::RangeVector) {
      range = TRY(build_range(*argument, context));
      position = argument->position;
      range_argument = argument.get();
    } else {
      scalars.push_back(TRY(evaluate_scalar(*argument, context)));
    }
  }
  if (call.function->name == "quantile_over_time") {
    for (const double quantile : scalars.front()) {
      if (!(quantile >= 0 && quantile <= 1)) {
        context.query.annotations.warn(annotation::invalid_quantile(quantile),
                                       call.arguments.front()->position);
      }
    }
  }
  if (call.function->name == "double_exponential_smoothing") {
    for (const double factor : scalars[0]) {
      if (factor <= 0 || factor >= 1) {
        return core::fail(core::ErrorCode::InvalidArgument,
                          "invalid smoothing factor. Expected: 0 < sf < 1, got: {:f}", factor);
      }
    }
    for (const double factor : scalars[1]) {
      if (factor <= 0 || factor >= 1) {
        return core::fail(core::ErrorCode::InvalidArgument,
                          "invalid trend factor. Expected: 0 < tf < 1, got: {:f}", factor);
      }
    }
  }
  std::unique_ptr<VectorOperator> mapped = std::make_unique<RangeFunctionOperator>(
      call, context, std::move(range), position, std::move(scalars));
  if (context.delayed_names() || call.function->keeps_name || !names_may_collide(*range_argument)) {
    return mapped;
  }
  return merged(std::move(mapped), context, MergeRule::Never);
}

}  // namespace promql
