// From the syntax tree to operators; scalars and strings on the way.

#include "promql/functions/table.h"
#include "promql/operator.h"

#include <cmath>
#include <limits>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

Result<std::unique_ptr<VectorOperator>> build_math(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments.front(), context));
  const MathFunction function = call.function->math;
  auto mapped = changed(std::move(source), [function, context](Column& column) {
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] == Cell::Float) {
        column.values[i] = function(column.values[i]);
      } else {
        column.cells[i] = Cell::Absent;
      }
    }
    column.histograms.clear();
    drop_name(column, context);
  });
  if (context.delayed_names() || !names_may_collide(*call.arguments.front())) return mapped;
  return merged(std::move(mapped), context, MergeRule::PerStep);
}

Result<std::unique_ptr<VectorOperator>> build_call(const Call& call, const Context& context) {
  const Signature& function = *call.function;
  if (function.math != nullptr) return build_math(call, context);
  if (function.range != nullptr) return build_range_function(call, context);
  if (function.build != nullptr) return function.build(call, context);
  return core::fail(ErrorCode::Unsupported, "function {}() is not supported yet", function.name);
}

Result<std::vector<double>> scalar_of_vector(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments.front(), context));
  const size_t count = context.steps.count;
  std::vector<double> values(count, std::numeric_limits<double>::quiet_NaN());
  std::vector<uint32_t> seen(count, 0);
  Column column;
  while (true) {
    const bool more = TRY(source->next(column));
    if (!more) return values;
    for (size_t i = 0; i < count; ++i) {
      if (column.cells[i] != Cell::Float) continue;
      values[i] = ++seen[i] == 1 ? column.values[i] : std::numeric_limits<double>::quiet_NaN();
    }
  }
}

Result<std::vector<double>> scalar_call(const Call& call, const Context& context) {
  const std::string_view name = call.function->name;
  if (name == "scalar") return scalar_of_vector(call, context);
  std::vector<double> values(context.steps.count, std::acos(-1.0));
  if (name == "time") {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<double>(context.steps.at(i)) / 1000;
    }
  } else if (name != "pi") {
    return core::fail(ErrorCode::Unsupported, "function {}() is not supported yet", name);
  }
  return values;
}

}  // namespace

Result<std::unique_ptr<VectorOperator>> build_vector(const Expr& expr, const Context& context) {
  switch (expr.kind) {
    case ExprKind::VectorSelector:
      return build_selector(as<VectorSelector>(expr), context, false);
    case ExprKind::Paren:
      return build_vector(*as<Paren>(expr).inner, context);
    case ExprKind::Call:
      return build_call(as<Call>(expr), context);
    case ExprKind::Aggregate:
      return build_aggregate(as<Aggregate>(expr), context);
    case ExprKind::Binary:
      return build_binary(as<Binary>(expr), context);
    case ExprKind::Unary: {
      const auto& unary = as<Unary>(expr);
      if (!unary.negate) return build_vector(*unary.inner, context);
      return build_negation(unary, context);
    }
    default:
      break;
  }
  return core::fail(ErrorCode::Internal, "a {} where an instant vector was expected",
                    documented_type(type_of(expr)));
}

Result<std::vector<double>> evaluate_scalar(const Expr& expr, const Context& context) {
  switch (expr.kind) {
    case ExprKind::Number:
      return std::vector<double>(context.steps.count, as<NumberLiteral>(expr).value);
    case ExprKind::Paren:
      return evaluate_scalar(*as<Paren>(expr).inner, context);
    case ExprKind::Call:
      return scalar_call(as<Call>(expr), context);
    case ExprKind::Unary: {
      std::vector<double> values = TRY(evaluate_scalar(*as<Unary>(expr).inner, context));
      if (as<Unary>(expr).negate) {
        for (double& value : values) value = -value;
      }
      return values;
    }
    case ExprKind::Binary: {
      const auto& binary = as<Binary>(expr);
      std::vector<double> values = TRY(evaluate_scalar(*binary.lhs, context));
      const std::vector<double> right = TRY(evaluate_scalar(*binary.rhs, context));
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = scalar_binary(binary.op, values[i], right[i]);
      }
      return values;
    }
    default:
      break;
  }
  return core::fail(ErrorCode::Internal, "a {} where a scalar was expected",
                    documented_type(type_of(expr)));
}

std::string string_value(const Expr& expr) {
  return as<StringLiteral>(unwrap(expr)).value;
}

}  // namespace promql
