// The syntax tree of PromQL, as the parser builds it and as the printer writes it.
//
// Parentheses stay in the tree, so printing needs no precedence rules. Nodes know
// where they stand in the query text (byte offsets), for error messages.

#pragma once

#include "model/matcher.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace promql {

struct Signature;

enum class ValueType : uint8_t { None, Scalar, InstantVector, RangeVector, String };
// "instant vector", "range vector", ...: the words of error messages.
std::string_view documented_type(ValueType type);

struct Position {
  uint32_t start = 0;
  uint32_t end = 0;
};

enum class BinaryOp : uint8_t {
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Pow,
  Atan2,
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  And,
  Or,
  Unless,
};
std::string_view binary_op_text(BinaryOp op);
inline bool is_comparison(BinaryOp op) {
  return op >= BinaryOp::Eq && op <= BinaryOp::Ge;
}
inline bool is_set_operator(BinaryOp op) {
  return op >= BinaryOp::And;
}

enum class AggregateOp : uint8_t {
  Sum,
  Avg,
  Min,
  Max,
  Count,
  Group,
  Stddev,
  Stdvar,
  Topk,
  Bottomk,
  CountValues,
  Quantile,
  Limitk,
  LimitRatio,
};
std::string_view aggregate_op_text(AggregateOp op);
inline bool has_parameter(AggregateOp op) {
  return op >= AggregateOp::Topk;
}

enum class ExprKind : uint8_t {
  Number,
  String,
  VectorSelector,
  MatrixSelector,
  Subquery,
  Call,
  Aggregate,
  Binary,
  Unary,
  Paren,
};

struct Expr {
  explicit Expr(ExprKind expr_kind) : kind(expr_kind) {}
  virtual ~Expr() = default;
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;

  const ExprKind kind;
  Position position;
  uint32_t depth = 1;  // of the tree below, this node included
};
using ExprPtr = std::unique_ptr<Expr>;

// What an expression evaluates to. Known from the syntax alone.
ValueType type_of(const Expr& expr);

// Precondition: T::kKind == expr.kind.
template <typename T>
const T& as(const Expr& expr) {
  return static_cast<const T&>(expr);
}
template <typename T>
T& as(Expr& expr) {
  return static_cast<T&>(expr);
}
template <typename T>
const T* try_as(const Expr& expr) {
  return expr.kind == T::kKind ? &static_cast<const T&>(expr) : nullptr;
}
template <typename T>
T* try_as(Expr& expr) {
  return expr.kind == T::kKind ? &static_cast<T&>(expr) : nullptr;
}

struct NumberLiteral final : Expr {
  static constexpr ExprKind kKind = ExprKind::Number;
  NumberLiteral() : Expr(kKind) {}
  double value = 0;
  bool is_duration = false;  // written as "5m"
};

struct StringLiteral final : Expr {
  static constexpr ExprKind kKind = ExprKind::String;
  StringLiteral() : Expr(kKind) {}
  std::string value;
};

// offset and @, which stand behind selectors and subqueries.
struct TimeModifier {
  enum class At : uint8_t { None, Time, Start, End };

  int64_t offset_ms = 0;
  bool has_offset = false;
  At at = At::None;
  int64_t at_ms = 0;  // with At::Time
};

struct VectorSelector final : Expr {
  static constexpr ExprKind kKind = ExprKind::VectorSelector;
  VectorSelector() : Expr(kKind) {}
  std::string name;          // as written before the braces, else empty
  model::Matchers matchers;  // with one for `name`
  TimeModifier time;
  bool may_match_all = false;  // second argument of info()
};

struct MatrixSelector final : Expr {
  static constexpr ExprKind kKind = ExprKind::MatrixSelector;
  MatrixSelector() : Expr(kKind) {}
  std::unique_ptr<VectorSelector> selector;  // carries the time modifier
  int64_t range_ms = 0;
};

struct Subquery final : Expr {
  static constexpr ExprKind kKind = ExprKind::Subquery;
  Subquery() : Expr(kKind) {}
  ExprPtr inner;
  int64_t range_ms = 0;
  int64_t step_ms = 0;  // 0: the engine's default
  TimeModifier time;
};

struct Call final : Expr {
  static constexpr ExprKind kKind = ExprKind::Call;
  Call() : Expr(kKind) {}
  const Signature* function = nullptr;
  std::vector<ExprPtr> arguments;
};

struct Aggregate final : Expr {
  static constexpr ExprKind kKind = ExprKind::Aggregate;
  Aggregate() : Expr(kKind) {}
  AggregateOp op = AggregateOp::Sum;
  ExprPtr inner;
  ExprPtr parameter;  // of topk, quantile, ...
  std::vector<std::string> grouping;
  bool without = false;
};

enum class Cardinality : uint8_t { OneToOne, ManyToOne, OneToMany, ManyToMany };

struct VectorMatching {
  Cardinality card = Cardinality::OneToOne;
  bool on = false;
  std::vector<std::string> labels;
  std::vector<std::string> include;
};

struct Binary final : Expr {
  static constexpr ExprKind kKind = ExprKind::Binary;
  Binary() : Expr(kKind) {}
  BinaryOp op = BinaryOp::Add;
  ExprPtr lhs;
  ExprPtr rhs;
  bool return_bool = false;
  VectorMatching matching;  // meaningless unless both sides are vectors
};

struct Unary final : Expr {
  static constexpr ExprKind kKind = ExprKind::Unary;
  Unary() : Expr(kKind) {}
  bool negate = false;
  ExprPtr inner;
};

struct Paren final : Expr {
  static constexpr ExprKind kKind = ExprKind::Paren;
  Paren() : Expr(kKind) {}
  ExprPtr inner;
};

// The expression inside any number of parentheses.
const Expr& unwrap(const Expr& expr);

// Calls `visit` for the node and everything below it, parents first.
template <typename Visit>
void walk(const Expr& expr, const Visit& visit) {
  visit(expr);
  switch (expr.kind) {
    case ExprKind::Number:
    case ExprKind::String:
    case ExprKind::VectorSelector:
      break;
    case ExprKind::MatrixSelector:
      walk(*as<MatrixSelector>(expr).selector, visit);
      break;
    case ExprKind::Subquery:
      walk(*as<Subquery>(expr).inner, visit);
      break;
    case ExprKind::Call:
      for (const ExprPtr& argument : as<Call>(expr).arguments) walk(*argument, visit);
      break;
    case ExprKind::Aggregate:
      if (as<Aggregate>(expr).parameter) walk(*as<Aggregate>(expr).parameter, visit);
      walk(*as<Aggregate>(expr).inner, visit);
      break;
    case ExprKind::Binary:
      walk(*as<Binary>(expr).lhs, visit);
      walk(*as<Binary>(expr).rhs, visit);
      break;
    case ExprKind::Unary:
      walk(*as<Unary>(expr).inner, visit);
      break;
    case ExprKind::Paren:
      walk(*as<Paren>(expr).inner, visit);
      break;
  }
}

// Every selector of the expression, in the order of the text.
std::vector<const VectorSelector*> selectors_of(const Expr& expr);

}  // namespace promql
