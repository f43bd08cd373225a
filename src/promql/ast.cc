#include "promql/ast.h"

#include "promql/functions/table.h"

#include <array>

namespace promql {

std::string_view documented_type(ValueType type) {
  switch (type) {
    case ValueType::None:
      return "none";
    case ValueType::Scalar:
      return "scalar";
    case ValueType::InstantVector:
      return "instant vector";
    case ValueType::RangeVector:
      return "range vector";
    case ValueType::String:
      return "string";
  }
  return "none";
}

std::string_view binary_op_text(BinaryOp op) {
  static constexpr std::array<std::string_view, 16> kTexts = {
      "+",  "-", "*",  "/", "%",  "^",   "atan2", "==",
      "!=", "<", "<=", ">", ">=", "and", "or",    "unless"};
  return kTexts[static_cast<size_t>(op)];
}

std::string_view aggregate_op_text(AggregateOp op) {
  static constexpr std::array<std::string_view, 14> kTexts = {
      "sum",    "avg",  "min",     "max",          "count",    "group",  "stddev",
      "stdvar", "topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"};
  return kTexts[static_cast<size_t>(op)];
}

ValueType type_of(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::Number:
      return ValueType::Scalar;
    case ExprKind::String:
      return ValueType::String;
    case ExprKind::VectorSelector:
    case ExprKind::Aggregate:
      return ValueType::InstantVector;
    case ExprKind::MatrixSelector:
    case ExprKind::Subquery:
      return ValueType::RangeVector;
    case ExprKind::Call:
      return as<Call>(expr).function->returns;
    case ExprKind::Binary: {
      const auto& binary = as<Binary>(expr);
      return type_of(*binary.lhs) == ValueType::Scalar && type_of(*binary.rhs) == ValueType::Scalar
                 ? ValueType::Scalar
                 : ValueType::InstantVector;
    }
    case ExprKind::Unary:
      return type_of(*as<Unary>(expr).inner);
    case ExprKind::Paren:
      return type_of(*as<Paren>(expr).inner);
  }
  return ValueType::None;
}

const Expr& unwrap(const Expr& expr) {
  const Expr* at = &expr;
  while (const auto* paren = try_as<Paren>(*at)) at = paren->inner.get();
  return *at;
}

std::vector<const VectorSelector*> selectors_of(const Expr& expr) {
  std::vector<const VectorSelector*> found;
  walk(expr, [&](const Expr& node) {
    if (const auto* selector = try_as<VectorSelector>(node)) found.push_back(selector);
  });
  return found;
}

}  // namespace promql
