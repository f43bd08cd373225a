#include "promql/printer.h"

#include "core/time.h"
#include "promql/functions/table.h"
#include "promql/lexer.h"

#include <charconv>
#include <cmath>
#include <fmt/core.h>

namespace promql {

namespace {

// As in Prometheus's formatter.
constexpr size_t kColumnsMax = 100;

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += ", ";
    out += model::is_legacy_label_name(name) ? name : quote(name);
  }
  return out;
}

std::string time_text(const TimeModifier& time) {
  std::string out;
  switch (time.at) {
    case TimeModifier::At::None:
      break;
    case TimeModifier::At::Time:
      out += fmt::format(" @ {}{}.{:03}", time.at_ms < 0 ? "-" : "", std::abs(time.at_ms) / 1000,
                         std::abs(time.at_ms) % 1000);
      break;
    case TimeModifier::At::Start:
      out += " @ start()";
      break;
    case TimeModifier::At::End:
      out += " @ end()";
      break;
  }
  if (time.offset_ms > 0) out += " offset " + core::format_duration(time.offset_ms);
  if (time.offset_ms < 0) out += " offset -" + core::format_duration(-time.offset_ms);
  return out;
}

std::string selector_text(const VectorSelector& node) {
  std::string matchers;
  const bool plain = !node.name.empty() && model::is_legacy_metric_name(node.name);
  if (!node.name.empty() && !plain) matchers = node.matchers.back().to_string();
  const size_t written = node.matchers.size() - (node.name.empty() ? 0 : 1);
  for (size_t i = 0; i < written; ++i) {
    if (!matchers.empty()) matchers += ',';
    matchers += node.matchers[i].to_string();
  }
  std::string out = plain ? node.name : "";
  if (!plain || !matchers.empty()) out += '{' + matchers + '}';
  return out;
}

std::string binary_operator_text(const Binary& node) {
  std::string out(binary_op_text(node.op));
  if (node.return_bool) out += " bool";
  const VectorMatching& matching = node.matching;
  const bool grouped =
      matching.card == Cardinality::ManyToOne || matching.card == Cardinality::OneToMany;
  if (matching.labels.empty() && !matching.on && !grouped) return out;
  out += matching.on ? " on (" : " ignoring (";
  out += join(matching.labels) + ')';
  if (grouped) {
    out += matching.card == Cardinality::ManyToOne ? " group_left (" : " group_right (";
    out += join(matching.include) + ')';
  }
  return out;
}

std::string aggregate_head(const Aggregate& node) {
  std::string out(aggregate_op_text(node.op));
  if (node.without) {
    out += fmt::format(" without ({}) ", join(node.grouping));
  } else if (!node.grouping.empty()) {
    out += fmt::format(" by ({}) ", join(node.grouping));
  }
  return out;
}

std::string literal_text(const NumberLiteral& node) {
  // Without the sign that format_number() gives: "+Inf ^ 2" would parse as +(Inf ^ 2).
  if (std::isinf(node.value) && node.value > 0) return "Inf";
  if (!node.is_duration) return format_number(node.value);
  const auto ms = static_cast<int64_t>(std::llround(std::fabs(node.value) * 1000));
  return (std::signbit(node.value) ? "-" : "") + core::format_duration(ms);
}

std::string range_text(const Subquery& node) {
  return fmt::format("[{}:{}]{}", core::format_duration(node.range_ms),
                     node.step_ms == 0 ? "" : core::format_duration(node.step_ms),
                     time_text(node.time));
}

// Appends pretty lines at a depth of indentation.
std::string pretty(const Expr& expr, size_t level);

std::string indent(size_t level) {
  return std::string(level * 2, ' ');
}

std::string pretty_arguments(const std::vector<const Expr*>& arguments, size_t level) {
  std::string out = "(\n";
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (i > 0) out += ",\n";
    out += pretty(*arguments[i], level + 1);
  }
  return out + '\n' + indent(level) + ')';
}

std::string pretty(const Expr& expr, size_t level) {
  std::string line = indent(level) + print(expr);
  if (line.size() <= kColumnsMax + indent(level).size()) return line;
  switch (expr.kind) {
    case ExprKind::Call: {
      std::vector<const Expr*> arguments;
      for (const ExprPtr& one : as<Call>(expr).arguments) arguments.push_back(one.get());
      return indent(level) + std::string(as<Call>(expr).function->name) +
             pretty_arguments(arguments, level);
    }
    case ExprKind::Aggregate: {
      const auto& node = as<Aggregate>(expr);
      std::vector<const Expr*> arguments;
      if (node.parameter) arguments.push_back(node.parameter.get());
      arguments.push_back(node.inner.get());
      return indent(level) + aggregate_head(node) + pretty_arguments(arguments, level);
    }
    case ExprKind::Binary: {
      const auto& node = as<Binary>(expr);
      return pretty(*node.lhs, level + 1) + '\n' + indent(level) + binary_operator_text(node) +
             '\n' + pretty(*node.rhs, level + 1);
    }
    case ExprKind::Paren:
      return indent(level) + "(\n" + pretty(*as<Paren>(expr).inner, level + 1) + '\n' +
             indent(level) + ')';
    case ExprKind::Unary: {
      const std::string inner = pretty(*as<Unary>(expr).inner, level);
      return indent(level) + (as<Unary>(expr).negate ? "-" : "+") + inner.substr(level * 2);
    }
    case ExprKind::Subquery:
      return pretty(*as<Subquery>(expr).inner, level) + range_text(as<Subquery>(expr));
    default:
      return line;
  }
}

}  // namespace

std::string format_number(double value) {
  const double size = std::fabs(value);
  if (!std::isfinite(value) || size == 0 || (size >= 1e-4 && size < 1e21)) {
    return format_plain(value);
  }
  char buffer[64];
  const auto [end, problem] =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  return {buffer, end};
}

// to_chars() in fixed form gives all digits of a large number; Go gives the shortest
// that read back to it, and zeros.
std::string format_plain(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[400];  // 1.8e308 has 309 digits
  if (std::fabs(value) < 0x1p53) {
    const auto [end, problem] =
        std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
    return {buffer, end};
  }
  const auto [end, problem] = std::to_chars(buffer, buffer + sizeof(buffer), std::fabs(value),
                                            std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t exponent_at = text.find('e');
  std::string digits(1, text[0]);
  if (exponent_at > 2) digits += text.substr(2, exponent_at - 2);
  size_t exponent = 0;
  std::from_chars(text.data() + exponent_at + 2, text.data() + text.size(), exponent);
  if (digits.size() < exponent + 1) digits.append(exponent + 1 - digits.size(), '0');
  return (value < 0 ? "-" : "") + digits;
}

std::string print(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::Number:
      return literal_text(as<NumberLiteral>(expr));
    case ExprKind::String:
      return quote(as<StringLiteral>(expr).value);
    case ExprKind::VectorSelector:
      return selector_text(as<VectorSelector>(expr)) + time_text(as<VectorSelector>(expr).time);
    case ExprKind::MatrixSelector: {
      const auto& node = as<MatrixSelector>(expr);
      return fmt::format("{}[{}]{}", selector_text(*node.selector),
                         core::format_duration(node.range_ms), time_text(node.selector->time));
    }
    case ExprKind::Subquery:
      return print(*as<Subquery>(expr).inner) + range_text(as<Subquery>(expr));
    case ExprKind::Call: {
      const auto& node = as<Call>(expr);
      std::string out(node.function->name);
      out += '(';
      for (size_t i = 0; i < node.arguments.size(); ++i) {
        if (i > 0) out += ", ";
        out += print(*node.arguments[i]);
      }
      return out + ')';
    }
    case ExprKind::Aggregate: {
      const auto& node = as<Aggregate>(expr);
      std::string out = aggregate_head(node) + '(';
      if (node.parameter) out += print(*node.parameter) + ", ";
      return out + print(*node.inner) + ')';
    }
    case ExprKind::Binary: {
      const auto& node = as<Binary>(expr);
      return fmt::format("{} {} {}", print(*node.lhs), binary_operator_text(node),
                         print(*node.rhs));
    }
    case ExprKind::Unary:
      return (as<Unary>(expr).negate ? "-" : "+") + print(*as<Unary>(expr).inner);
    case ExprKind::Paren:
      return '(' + print(*as<Paren>(expr).inner) + ')';
  }
  return "";
}

std::string pretty_print(const Expr& expr) {
  return pretty(expr, 0);
}

}  // namespace promql
