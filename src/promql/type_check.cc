#include "promql/type_check.h"

#include "promql/functions/table.h"
#include "promql/lexer.h"

#include <algorithm>

namespace promql {

using core::Result;

namespace {

class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  Result<void> check(Expr& expr) {
    switch (expr.kind) {
      case ExprKind::Number:
      case ExprKind::String:
        return {};
      case ExprKind::VectorSelector:
        return selector(as<VectorSelector>(expr));
      case ExprKind::MatrixSelector:
        return selector(*as<MatrixSelector>(expr).selector);
      case ExprKind::Subquery:
        return subquery(as<Subquery>(expr));
      case ExprKind::Call:
        return call(as<Call>(expr));
      case ExprKind::Aggregate:
        return aggregate(as<Aggregate>(expr));
      case ExprKind::Binary:
        return binary(as<Binary>(expr));
      case ExprKind::Unary:
        return unary(as<Unary>(expr));
      case ExprKind::Paren:
        return check(*as<Paren>(expr).inner);
    }
    return {};
  }

 private:
  tl::unexpected<core::Error> fail_at(uint32_t at, std::string_view message) const {
    return tl::unexpected(parse_error(text_, at, message));
  }
  tl::unexpected<core::Error> fail(const Expr& expr, std::string_view message) const {
    return fail_at(expr.position.start, message);
  }

  Result<void> expect(Expr& expr, ValueType wanted, std::string_view context) {
    TRY(check(expr));
    const ValueType got = type_of(expr);
    if (got == wanted) return {};
    return fail(expr, fmt::format("expected type {} in {}, got {}", documented_type(wanted),
                                  context, documented_type(got)));
  }

  Result<void> selector(VectorSelector& node) const {
    if (!node.name.empty()) {
      for (size_t i = 0; i + 1 < node.matchers.size(); ++i) {
        if (node.matchers[i].name() == model::kMetricName) {
          return fail(node, fmt::format("metric name must not be set twice: {} or {}",
                                        quote(node.name), quote(node.matchers[i].value())));
        }
      }
      return {};
    }
    if (node.may_match_all) return {};
    const bool selective = std::any_of(node.matchers.begin(), node.matchers.end(),
                                       [](const auto& one) { return !one.matches_empty(); });
    if (selective) return {};
    return fail(node, "vector selector must contain at least one non-empty matcher");
  }

  Result<void> subquery(Subquery& node) {
    TRY(check(*node.inner));
    const ValueType got = type_of(*node.inner);
    if (got == ValueType::InstantVector) return {};
    const std::string_view word = got == ValueType::Scalar   ? "scalar"
                                  : got == ValueType::String ? "string"
                                                             : "matrix";
    return fail(node,
                fmt::format("subquery is only allowed on instant vector, got {} instead", word));
  }

  Result<void> unary(Unary& node) {
    TRY(check(*node.inner));
    const ValueType got = type_of(*node.inner);
    if (got == ValueType::Scalar || got == ValueType::InstantVector) return {};
    return fail(node, fmt::format("unary expression only allowed on expressions of type scalar or "
                                  "instant vector, got {}",
                                  quote(documented_type(got))));
  }

  Result<void> aggregate(Aggregate& node) {
    TRY(expect(*node.inner, ValueType::InstantVector, "aggregation expression"));
    if (!node.parameter) return {};
    return expect(*node.parameter,
                  node.op == AggregateOp::CountValues ? ValueType::String : ValueType::Scalar,
                  "aggregation parameter");
  }

  Result<void> call(Call& node) {
    const Signature& function = *node.function;
    const size_t listed = function.argument_count;
    const size_t given = node.arguments.size();
    const std::string name = quote(function.name);
    if (function.variadic == 0) {
      if (listed != given) {
        return fail(node, fmt::format("expected {} argument(s) in call to {}, got {}", listed, name,
                                      given));
      }
    } else {
      const size_t least = listed - 1;
      if (given < least) {
        return fail(node, fmt::format("expected at least {} argument(s) in call to {}, got {}",
                                      least, name, given));
      }
      const size_t most = least + static_cast<size_t>(std::max(function.variadic, 0));
      if (function.variadic > 0 && given > most) {
        return fail(node, fmt::format("expected at most {} argument(s) in call to {}, got {}", most,
                                      name, given));
      }
    }
    if (function.name == "info" && given > 1) {
      auto* second = try_as<VectorSelector>(*node.arguments[1]);
      if (second == nullptr) return fail(*node.arguments[1], "expected label selectors only");
      if (!second->name.empty()) {
        return fail(*second, "expected label selectors only, got vector selector instead");
      }
      second->may_match_all = true;
    }
    for (size_t i = 0; i < given; ++i) {
      const ValueType wanted = function.argument_types[std::min(i, listed - 1)];
      TRY(check(*node.arguments[i]));
      const ValueType got = type_of(*node.arguments[i]);
      if (got != wanted) {
        return fail(*node.arguments[i],
                    fmt::format("expected type {} in call to function {}, got {}",
                                documented_type(wanted), name, documented_type(got)));
      }
    }
    return {};
  }

  // Where the operator stands: the first non-blank behind the left side.
  uint32_t operator_at(const Binary& node) const {
    uint32_t at = node.lhs->position.end;
    while (at < text_.size() &&
           (text_[at] == ' ' || text_[at] == '\t' || text_[at] == '\n' || text_[at] == '\r')) {
      ++at;
    }
    return at;
  }

  Result<void> binary(Binary& node) {
    TRY(check(*node.lhs));
    TRY(check(*node.rhs));
    const ValueType left = type_of(*node.lhs);
    const ValueType right = type_of(*node.rhs);
    VectorMatching& matching = node.matching;

    if (node.return_bool && !is_comparison(node.op)) {
      return fail_at(operator_at(node), "bool modifier can only be used on comparison operators");
    }
    if (is_comparison(node.op) && !node.return_bool && left == ValueType::Scalar &&
        right == ValueType::Scalar) {
      return fail_at(operator_at(node), "comparisons between scalars must use BOOL modifier");
    }
    if (matching.on) {
      for (const std::string& label : matching.labels) {
        if (std::find(matching.include.begin(), matching.include.end(), label) !=
            matching.include.end()) {
          return fail_at(
              operator_at(node),
              fmt::format("label {} must not occur in ON and GROUP clause at once", quote(label)));
        }
      }
    }
    for (const Expr* side : {node.lhs.get(), node.rhs.get()}) {
      const ValueType type = type_of(*side);
      if (type != ValueType::Scalar && type != ValueType::InstantVector) {
        return fail(*side, "binary expression must contain only scalar and instant vector types");
      }
    }
    const std::string op = quote(binary_op_text(node.op));
    if (left != ValueType::InstantVector || right != ValueType::InstantVector) {
      if (!matching.labels.empty()) {
        return fail(node, "vector matching only allowed between instant vectors");
      }
      matching = VectorMatching{};
      if (is_set_operator(node.op)) {
        return fail(node,
                    fmt::format("set operator {} not allowed in binary scalar expression", op));
      }
      return {};
    }
    if (is_set_operator(node.op) && matching.card != Cardinality::ManyToMany) {
      return fail(node, fmt::format("no grouping allowed for {} operation", op));
    }
    return {};
  }

  std::string_view text_;
};

}  // namespace

Result<void> check_types(Expr& expr, std::string_view text) {
  return Checker(text).check(expr);
}

}  // namespace promql
