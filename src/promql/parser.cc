#include "promql/parser.h"

#include "core/time.h"
#include "core/utf8.h"
#include "promql/functions/table.h"
#include "promql/lexer.h"
#include "promql/type_check.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace promql {

using core::ErrorCode;
using core::Result;

core::Error parse_error(std::string_view text, uint32_t at, std::string_view message) {
  if (text.empty()) {
    return {ErrorCode::InvalidArgument, fmt::format("unknown position: parse error: {}", message)};
  }
  size_t line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < at && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      line_start = i + 1;
    }
  }
  return {ErrorCode::InvalidArgument,
          fmt::format("{}:{}: parse error: {}", line, at - line_start + 1, message)};
}

namespace {

// Precedence, rising. Unary + and - stand between Mul and Pow.
constexpr int kPrecedenceOr = 1;
constexpr int kPrecedencePow = 6;

int precedence(TokenKind kind) {
  switch (kind) {
    case TokenKind::Or:
      return kPrecedenceOr;
    case TokenKind::And:
    case TokenKind::Unless:
      return 2;
    case TokenKind::Eq:
    case TokenKind::Ne:
    case TokenKind::Lt:
    case TokenKind::Le:
    case TokenKind::Gt:
    case TokenKind::Ge:
      return 3;
    case TokenKind::Add:
    case TokenKind::Sub:
      return 4;
    case TokenKind::Mul:
    case TokenKind::Div:
    case TokenKind::Mod:
    case TokenKind::Atan2:
      return 5;
    case TokenKind::Pow:
      return kPrecedencePow;
    default:
      return 0;
  }
}

// Words that are keywords elsewhere but may name a metric.
bool is_metric_name(const Token& token) {
  switch (token.kind) {
    case TokenKind::Identifier:
    case TokenKind::MetricIdentifier:
    case TokenKind::And:
    case TokenKind::Or:
    case TokenKind::Unless:
    case TokenKind::By:
    case TokenKind::Without:
    case TokenKind::Offset:
    case TokenKind::Start:
    case TokenKind::EndKeyword:
      return true;
    default:
      return token.is_aggregate();
  }
}

bool is_label_name(const Token& token) {
  return is_metric_name(token) || token.is_keyword() || token.is(TokenKind::Atan2);
}

uint32_t digits_value(std::string_view digits, int base) {
  uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  return value;
}

// The lexer has checked quotes and escapes.
std::string unquote(std::string_view quoted) {
  const std::string_view body = quoted.substr(1, quoted.size() - 2);
  if (quoted.front() == '`') return std::string(body);
  std::string out;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out += body[i];
      continue;
    }
    const char c = body[++i];
    static constexpr std::string_view kFrom = "abfnrtv";
    static constexpr std::string_view kTo = "\a\b\f\n\r\t\v";
    if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
      out += kTo[known];
    } else if (c >= '0' && c <= '7') {
      out += static_cast<char>(digits_value(body.substr(i, 3), 8));
      i += 2;
    } else if (c == 'x') {
      out += static_cast<char>(digits_value(body.substr(i + 1, 2), 16));
      i += 2;
    } else if (c == 'u' || c == 'U') {
      const size_t size = c == 'u' ? 4 : 8;
      core::append_utf8(out, digits_value(body.substr(i + 1, size), 16));
      i += size;
    } else {
      out += c;
    }
  }
  return out;
}

class Parser {
 public:
  Parser(std::string_view text, const ParseOptions& options)
      : text_(text), options_(options), tokens_(lex(text, !options.strict)) {}

  Result<ExprPtr> expression() {
    if (token().is(TokenKind::End)) return fail_at(0, "no expression found in input");
    ExprPtr expr = TRY(binary(kPrecedenceOr));
    if (!token().is(TokenKind::End)) return unexpected("", "");
    return expr;
  }

  Result<std::unique_ptr<VectorSelector>> selector() {
    if (!token().is(TokenKind::LeftBrace) && !is_metric_name(token())) return unexpected("", "");
    auto one = TRY(vector_selector());
    if (!token().is(TokenKind::End)) return unexpected("", "");
    return one;
  }

 private:
  const Token& token(size_t ahead = 0) const {
    return tokens_.list[std::min(at_ + ahead, tokens_.list.size() - 1)];
  }
  Token take() {
    const Token one = token();
    if (at_ + 1 < tokens_.list.size()) ++at_;
    if (one.kind != TokenKind::End) last_end_ = one.end();
    return one;
  }

  tl::unexpected<core::Error> fail_at(uint32_t at, std::string_view message) const {
    return tl::unexpected(parse_error(text_, at, message));
  }
  // Complains about the current token.
  tl::unexpected<core::Error> unexpected(std::string_view context,
                                         std::string_view expected) const {
    if (token().is(TokenKind::Error)) return fail_at(token().start, tokens_.error);
    std::string message = "unexpected " + token().describe();
    if (!context.empty()) message.append(" in ").append(context);
    if (!expected.empty()) message.append(", expected ").append(expected);
    return fail_at(token().start, message);
  }

  // Sets place and depth of a finished node.
  template <typename T>
  Result<ExprPtr> finish(std::unique_ptr<T> node, uint32_t start, uint32_t end,
                         uint32_t child_depth = 0) {
    node->position = {start, end};
    node->depth = child_depth + 1;
    if (node->depth > kNestingMax) return too_deep(start);
    return ExprPtr(std::move(node));
  }
  tl::unexpected<core::Error> too_deep(uint32_t at) const {
    return fail_at(at, fmt::format("expression is nested deeper than {} levels", kNestingMax));
  }

  Result<ExprPtr> binary(int precedence_min);
  Result<ExprPtr> unary();
  Result<ExprPtr> postfix();
  Result<ExprPtr> primary();
  Result<ExprPtr> aggregate();
  Result<ExprPtr> call();
  Result<std::unique_ptr<VectorSelector>> vector_selector();
  Result<void> label_matcher(VectorSelector& selector);
  Result<std::vector<ExprPtr>> arguments(std::string_view context);
  Result<std::vector<std::string>> grouping();
  Result<void> modifiers(Binary& binary);
  Result<ExprPtr> range(ExprPtr expr);
  Result<void> offset(Expr& expr);
  Result<void> at_time(Expr& expr);
  Result<TimeModifier*> time_modifier(Expr& expr, std::string_view what);
  Result<double> number(const Token& literal) const;
  Result<double> duration_literal(const Token& literal) const;
  // Seconds.
  Result<double> duration_expression(int precedence_min);
  Result<double> duration_operand();
  Result<int64_t> positive_duration();
  Result<int64_t> to_ms(double seconds, uint32_t at) const;

  std::string_view text_;
  const ParseOptions& options_;
  Tokens tokens_;
  size_t at_ = 0;
  uint32_t last_end_ = 0;
  uint32_t nesting_ = 0;  // of the recursion, which sees brackets before there are nodes
};

// Guards the recursion.
struct Nesting {
  explicit Nesting(uint32_t& count) : count_(count) { ++count_; }
  ~Nesting() { --count_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  uint32_t& count_;
};

Result<ExprPtr> Parser::binary(int precedence_min) {
  const Nesting nesting(nesting_);
  if (nesting_ > kNestingMax) return too_deep(token().start);
  ExprPtr lhs = TRY(unary());
  while (true) {
    const int level = precedence(token().kind);
    if (level == 0 || level < precedence_min) return lhs;
    const Token op = take();
    auto node = std::make_unique<Binary>();
    node->op = static_cast<BinaryOp>(static_cast<int>(op.kind) - static_cast<int>(TokenKind::Add));
    TRY(modifiers(*node));
    // Everything is left-associative but ^.
    node->rhs = TRY(binary(level == kPrecedencePow ? level : level + 1));
    const uint32_t depth = std::max(lhs->depth, node->rhs->depth);
    const uint32_t start = lhs->position.start;
    const uint32_t end = node->rhs->position.end;
    node->lhs = std::move(lhs);
    lhs = TRY(finish(std::move(node), start, end, depth));
  }
}

Result<void> Parser::modifiers(Binary& node) {
  if (token().is(TokenKind::Bool)) {
    take();
    node.return_bool = true;
  }
  if (is_set_operator(node.op)) node.matching.card = Cardinality::ManyToMany;
  if (!token().is(TokenKind::On) && !token().is(TokenKind::Ignoring)) return {};
  node.matching.on = take().is(TokenKind::On);
  node.matching.labels = TRY(grouping());
  if (token().is(TokenKind::GroupLeft) || token().is(TokenKind::GroupRight)) {
    node.matching.card =
        take().is(TokenKind::GroupLeft) ? Cardinality::ManyToOne : Cardinality::OneToMany;
    if (token().is(TokenKind::LeftParen)) node.matching.include = TRY(grouping());
  }
  return {};
}

Result<ExprPtr> Parser::unary() {
  if (!token().is(TokenKind::Add) && !token().is(TokenKind::Sub)) return postfix();
  const Token op = take();
  ExprPtr inner = TRY(binary(kPrecedencePow));
  const bool negate = op.is(TokenKind::Sub);
  if (auto* literal = try_as<NumberLiteral>(*inner)) {
    if (negate) literal->value = -literal->value;
    literal->position.start = op.start;
    return inner;
  }
  auto node = std::make_unique<Unary>();
  node->negate = negate;
  const uint32_t depth = inner->depth;
  const uint32_t end = inner->position.end;
  node->inner = std::move(inner);
  return finish(std::move(node), op.start, end, depth);
}

Result<ExprPtr> Parser::postfix() {
  ExprPtr expr = TRY(primary());
  while (true) {
    if (token().is(TokenKind::LeftBracket)) {
      expr = TRY(range(std::move(expr)));
    } else if (token().is(TokenKind::Offset)) {
      TRY(offset(*expr));
    } else if (token().is(TokenKind::At)) {
      TRY(at_time(*expr));
    } else {
      return expr;
    }
  }
}

Result<ExprPtr> Parser::primary() {
  const Token first = token();
  switch (first.kind) {
    case TokenKind::Number: {
      take();
      auto node = std::make_unique<NumberLiteral>();
      node->value = TRY(number(first));
      return finish(std::move(node), first.start, first.end());
    }
    case TokenKind::Duration: {
      take();
      auto node = std::make_unique<NumberLiteral>();
      node->value = TRY(duration_literal(first));
      node->is_duration = true;
      return finish(std::move(node), first.start, first.end());
    }
    case TokenKind::String: {
      take();
      auto node = std::make_unique<StringLiteral>();
      node->value = unquote(first.text);
      return finish(std::move(node), first.start, first.end());
    }
    case TokenKind::LeftParen: {
      take();
      auto node = std::make_unique<Paren>();
      node->inner = TRY(binary(kPrecedenceOr));
      if (!token().is(TokenKind::RightParen)) return unexpected("", "");
      take();
      const uint32_t depth = node->inner->depth;
      return finish(std::move(node), first.start, last_end_, depth);
    }
    default:
      break;
  }
  if (first.is_aggregate()) {
    const TokenKind next = token(1).kind;
    if (next == TokenKind::LeftParen || next == TokenKind::By || next == TokenKind::Without) {
      return aggregate();
    }
  }
  if (first.is(TokenKind::Identifier) && token(1).is(TokenKind::LeftParen)) return call();
  if (!first.is(TokenKind::LeftBrace) && !is_metric_name(first)) return unexpected("", "");
  return ExprPtr(TRY(vector_selector()));
}

Result<ExprPtr> Parser::aggregate() {
  const Token op = take();
  auto node = std::make_unique<Aggregate>();
  node->op = static_cast<AggregateOp>(static_cast<int>(op.kind) - static_cast<int>(TokenKind::Sum));
  const auto modifier = [&]() -> Result<bool> {
    if (!token().is(TokenKind::By) && !token().is(TokenKind::Without)) return false;
    node->without = take().is(TokenKind::Without);
    node->grouping = TRY(grouping());
    return true;
  };
  const bool before = TRY(modifier());
  if (!token().is(TokenKind::LeftParen)) return unexpected("aggregation", "");
  std::vector<ExprPtr> given = TRY(arguments("aggregation"));
  uint32_t end = last_end_;
  if (!before) {
    const bool after = TRY(modifier());
    if (after) end = last_end_;
  }
  if (given.empty()) return fail_at(op.start, "no arguments for aggregate expression provided");
  const bool experimental = node->op == AggregateOp::Limitk || node->op == AggregateOp::LimitRatio;
  if (experimental && !options_.experimental_functions) {
    return fail_at(op.start, fmt::format("{}() is experimental and must be enabled with "
                                         "--enable-feature=promql-experimental-functions",
                                         aggregate_op_text(node->op)));
  }
  const size_t wanted = has_parameter(node->op) ? 2 : 1;
  if (given.size() != wanted) {
    return fail_at(op.start, fmt::format("wrong number of arguments for aggregate expression "
                                         "provided, expected {}, got {}",
                                         wanted, given.size()));
  }
  uint32_t depth = given.back()->depth;
  if (wanted == 2) {
    depth = std::max(depth, given.front()->depth);
    node->parameter = std::move(given.front());
  }
  node->inner = std::move(given.back());
  return finish(std::move(node), op.start, end, depth);
}

Result<std::vector<ExprPtr>> Parser::arguments(std::string_view) {
  take();  // (
  std::vector<ExprPtr> list;
  while (!token().is(TokenKind::RightParen)) {
    list.push_back(TRY(binary(kPrecedenceOr)));
    if (token().is(TokenKind::RightParen)) break;
    if (!token().is(TokenKind::Comma)) return unexpected("", "");
    const Token comma = take();
    if (token().is(TokenKind::RightParen)) {
      return fail_at(comma.start, "trailing commas not allowed in function call args");
    }
  }
  take();
  return list;
}

Result<std::vector<std::string>> Parser::grouping() {
  if (!token().is(TokenKind::LeftParen)) return unexpected("grouping opts", "\"(\"");
  take();
  std::vector<std::string> labels;
  while (!token().is(TokenKind::RightParen)) {
    if (token().is(TokenKind::String)) {
      const Token quoted = take();
      labels.push_back(unquote(quoted.text));
      if (labels.back().empty() || !core::is_utf8(labels.back())) {
        return fail_at(quoted.start,
                       fmt::format("invalid label name for grouping: {}", quote(labels.back())));
      }
    } else if (is_label_name(token())) {
      labels.emplace_back(take().text);
    } else {
      return unexpected("grouping opts", "label");
    }
    if (token().is(TokenKind::RightParen)) break;
    if (!token().is(TokenKind::Comma)) return unexpected("grouping opts", "\",\" or \")\"");
    take();
  }
  take();
  return labels;
}

Result<ExprPtr> Parser::call() {
  const Token name = take();
  auto node = std::make_unique<Call>();
  std::vector<ExprPtr> given = TRY(arguments("function call"));
  node->function = find_function(name.text);
  if (node->function == nullptr) {
    return fail_at(name.start, fmt::format("unknown function with name {}", quote(name.text)));
  }
  if (node->function->experimental && !options_.experimental_functions) {
    return fail_at(name.start, fmt::format("function {} is not enabled", quote(name.text)));
  }
  uint32_t depth = 0;
  for (const ExprPtr& argument : given) depth = std::max(depth, argument->depth);
  node->arguments = std::move(given);
  return finish(std::move(node), name.start, last_end_, depth);
}

Result<std::unique_ptr<VectorSelector>> Parser::vector_selector() {
  auto node = std::make_unique<VectorSelector>();
  const uint32_t start = token().start;
  if (!token().is(TokenKind::LeftBrace)) node->name = std::string(take().text);
  if (token().is(TokenKind::LeftBrace)) {
    take();
    while (!token().is(TokenKind::RightBrace)) {
      TRY(label_matcher(*node));
      if (token().is(TokenKind::RightBrace)) break;
      if (!token().is(TokenKind::Comma)) return unexpected("label matching", "\",\" or \"}\"");
      take();
    }
    take();
  }
  if (!node->name.empty()) {
    node->matchers.push_back(model::Matcher::equal(std::string(model::kMetricName), node->name));
  }
  node->position = {start, last_end_};
  return node;
}

Result<void> Parser::label_matcher(VectorSelector& selector) {
  const Token name = token();
  if (!name.is(TokenKind::Identifier) && !name.is(TokenKind::String)) {
    return unexpected("label matching", "identifier or \"}\"");
  }
  take();
  std::string label = name.is(TokenKind::String) ? unquote(name.text) : std::string(name.text);
  model::MatchType type = model::MatchType::Equal;
  switch (token().kind) {
    case TokenKind::Equal:
      break;
    case TokenKind::Ne:
      type = model::MatchType::NotEqual;
      break;
    case TokenKind::RegexEqual:
      type = model::MatchType::Regex;
      break;
    case TokenKind::RegexNotEqual:
      type = model::MatchType::NotRegex;
      break;
    default:
      if (name.is(TokenKind::String)) {  // {"metric.name"}
        selector.matchers.push_back(
            model::Matcher::equal(std::string(model::kMetricName), std::move(label)));
        return {};
      }
      return unexpected("label matching", "label matching operator");
  }
  take();
  if (!token().is(TokenKind::String)) return unexpected("label matching", "string");
  const Token value = take();
  auto matcher = model::Matcher::create(type, std::move(label), unquote(value.text));
  if (!matcher) return fail_at(name.start, matcher.error().message);
  selector.matchers.push_back(std::move(*matcher));
  return {};
}

Result<ExprPtr> Parser::range(ExprPtr expr) {
  const Token bracket = take();
  if (!token().is(TokenKind::Number) && !token().is(TokenKind::Duration) &&
      (!options_.duration_expressions ||
       (!token().is(TokenKind::LeftParen) && !token().is(TokenKind::Sub) &&
        !token().is(TokenKind::Add)))) {
    return unexpected("subquery or range selector", "number or duration");
  }
  const int64_t range_ms = TRY(positive_duration());
  const uint32_t start = expr->position.start;
  if (token().is(TokenKind::Colon)) {
    take();
    auto node = std::make_unique<Subquery>();
    node->range_ms = range_ms;
    if (!token().is(TokenKind::RightBracket)) {
      if (!token().is(TokenKind::Number) && !token().is(TokenKind::Duration) &&
          (!options_.duration_expressions ||
           (!token().is(TokenKind::LeftParen) && !token().is(TokenKind::Sub) &&
            !token().is(TokenKind::Add)))) {
        return unexpected("subquery selector", "number, duration, or \"]\"");
      }
      node->step_ms = TRY(positive_duration());
      if (!token().is(TokenKind::RightBracket)) return unexpected("subquery selector", "\"]\"");
    }
    take();
    const uint32_t depth = expr->depth;
    node->inner = std::move(expr);
    return finish(std::move(node), start, last_end_, depth);
  }
  if (!token().is(TokenKind::RightBracket)) {
    return unexpected("subquery or range", "\":\" or \"]\"");
  }
  take();
  auto* selector = try_as<VectorSelector>(*expr);
  if (selector == nullptr) {
    return fail_at(bracket.start, "ranges only allowed for vector selectors");
  }
  if (selector->time.offset_ms != 0) {
    return fail_at(bracket.start, "no offset modifiers allowed before range");
  }
  if (selector->time.at != TimeModifier::At::None) {
    return fail_at(bracket.start, "no @ modifiers allowed before range");
  }
  auto node = std::make_unique<MatrixSelector>();
  node->range_ms = range_ms;
  node->selector.reset(static_cast<VectorSelector*>(expr.release()));
  return finish(std::move(node), start, last_end_, 1);
}

Result<TimeModifier*> Parser::time_modifier(Expr& expr, std::string_view what) {
  expr.position.end = last_end_;
  if (auto* vector = try_as<VectorSelector>(expr)) return &vector->time;
  if (auto* matrix = try_as<MatrixSelector>(expr)) return &matrix->selector->time;
  if (auto* subquery = try_as<Subquery>(expr)) return &subquery->time;
  return fail_at(expr.position.start,
                 fmt::format("{} modifier must be preceded by an instant vector selector or range "
                             "vector selector or a subquery",
                             what));
}

Result<void> Parser::offset(Expr& expr) {
  take();
  double sign = 1;
  if (token().is(TokenKind::Sub) || token().is(TokenKind::Add)) {
    sign = take().is(TokenKind::Sub) ? -1 : 1;
  }
  const Token first = token();
  double seconds = 0;
  if (first.is(TokenKind::Number) || first.is(TokenKind::Duration)) {
    take();
    seconds = TRY(first.is(TokenKind::Number) ? number(first) : duration_literal(first));
  } else if (first.is(TokenKind::LeftParen) && options_.duration_expressions) {
    seconds = TRY(duration_operand());
  } else {
    return unexpected("offset", "number or duration");
  }
  const int64_t offset_ms = TRY(to_ms(sign * seconds, first.start));
  TimeModifier* time = TRY(time_modifier(expr, "offset"));
  if (time->has_offset && time->offset_ms != 0) {
    return fail_at(expr.position.start, "offset may not be set multiple times");
  }
  time->offset_ms = offset_ms;
  time->has_offset = true;
  return {};
}

Result<void> Parser::at_time(Expr& expr) {
  take();
  TimeModifier wanted;
  if (token().is(TokenKind::Start) || token().is(TokenKind::EndKeyword)) {
    wanted.at = take().is(TokenKind::Start) ? TimeModifier::At::Start : TimeModifier::At::End;
    if (!token().is(TokenKind::LeftParen)) return unexpected("@", "timestamp");
    take();
    if (!token().is(TokenKind::RightParen)) return unexpected("@", "timestamp");
    take();
  } else {
    double sign = 1;
    if (token().is(TokenKind::Sub) || token().is(TokenKind::Add)) {
      sign = take().is(TokenKind::Sub) ? -1 : 1;
    }
    if (!token().is(TokenKind::Number) && !token().is(TokenKind::Duration)) {
      return unexpected("@", "timestamp");
    }
    const Token literal = take();
    const double seconds =
        sign * TRY(literal.is(TokenKind::Number) ? number(literal) : duration_literal(literal));
    // The bound keeps the milliseconds, and sums of a few of them, within int64.
    if (!(std::fabs(seconds) < 9.2e15)) {
      return fail_at(expr.position.start,
                     fmt::format("timestamp out of bounds for @ modifier: {}", seconds));
    }
    wanted.at = TimeModifier::At::Time;
    wanted.at_ms = static_cast<int64_t>(std::round(seconds * 1000));
  }
  TimeModifier* time = TRY(time_modifier(expr, "@"));
  if (time->at != TimeModifier::At::None) {
    return fail_at(expr.position.start, "@ <timestamp> may not be set multiple times");
  }
  time->at = wanted.at;
  time->at_ms = wanted.at_ms;
  return {};
}

Result<double> Parser::number(const Token& literal) const {
  std::string digits;
  for (const char c : literal.text) {
    if (c != '_') digits += c;
  }
  const char* begin = digits.data();
  const char* end = begin + digits.size();
  const bool hex = digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == 'x';
  const bool octal = !hex && digits.size() > 1 && digits[0] == '0' &&
                     digits.find_first_not_of("01234567") == std::string::npos;
  if (hex || octal) {
    int64_t value = 0;
    const auto [stop, problem] = std::from_chars(begin + (hex ? 2 : 1), end, value, hex ? 16 : 8);
    if (problem == std::errc() && stop == end) return static_cast<double>(value);
    if (hex) {
      return fail_at(literal.start,
                     fmt::format("error parsing number: strconv.ParseFloat: parsing {}: invalid "
                                 "syntax",
                                 quote(literal.text)));
    }
  }
  double value = 0;
  const auto [stop, problem] = std::from_chars(begin, end, value);
  if (problem == std::errc::result_out_of_range) {
    // from_chars does not tell underflow, which is zero, from overflow.
    value = std::strtod(digits.c_str(), nullptr);
    if (!std::isinf(value)) return value;
    return fail_at(literal.start,
                   fmt::format("error parsing number: strconv.ParseFloat: parsing {}: value out of "
                               "range",
                               quote(literal.text)));
  }
  if (problem != std::errc() || stop != end) {
    return fail_at(literal.start,
                   fmt::format("error parsing number: strconv.ParseFloat: parsing {}: invalid "
                               "syntax",
                               quote(literal.text)));
  }
  return value;
}

Result<double> Parser::duration_literal(const Token& literal) const {
  auto parsed = core::parse_duration_ms(literal.text);
  if (!parsed) {
    return fail_at(literal.start,
                   fmt::format("not a valid duration string: {}", quote(literal.text)));
  }
  return static_cast<double>(*parsed) / 1000;
}

Result<int64_t> Parser::to_ms(double seconds, uint32_t at) const {
  // Prometheus counts durations in nanoseconds of an int64: 292 years.
  if (!(std::fabs(seconds) <= 9.2e9)) return fail_at(at, "duration out of range");
  return static_cast<int64_t>(std::llround(seconds * 1000));
}

Result<int64_t> Parser::positive_duration() {
  const uint32_t start = token().start;
  double seconds = 0;
  if (options_.duration_expressions) {
    seconds = TRY(duration_expression(4));
  } else {
    const Token literal = take();
    seconds = TRY(literal.is(TokenKind::Number) ? number(literal) : duration_literal(literal));
  }
  if (!(seconds > 0)) return fail_at(start, "duration must be greater than 0");
  const int64_t ms = TRY(to_ms(seconds, start));
  if (ms <= 0) return fail_at(start, "duration must be greater than 0");
  return ms;
}

Result<double> Parser::duration_expression(int precedence_min) {
  const Nesting nesting(nesting_);
  if (nesting_ > kNestingMax) return too_deep(token().start);
  double lhs = TRY(duration_operand());
  while (true) {
    const Token op = token();
    const int level = precedence(op.kind);
    if (level < 4 || level < precedence_min || op.is(TokenKind::Atan2)) return lhs;
    take();
    const double rhs = TRY(duration_expression(level == kPrecedencePow ? level : level + 1));
    switch (op.kind) {
      case TokenKind::Add:
        lhs += rhs;
        break;
      case TokenKind::Sub:
        lhs -= rhs;
        break;
      case TokenKind::Mul:
        lhs *= rhs;
        break;
      case TokenKind::Div:
        if (rhs == 0) return fail_at(op.start, "division by zero");
        lhs /= rhs;
        break;
      case TokenKind::Mod:
        if (rhs == 0) return fail_at(op.start, "modulo by zero");
        lhs = std::fmod(lhs, rhs);
        break;
      default:
        lhs = std::pow(lhs, rhs);
        break;
    }
  }
}

Result<double> Parser::duration_operand() {
  const Token first = token();
  if (first.is(TokenKind::Add) || first.is(TokenKind::Sub)) {
    take();
    const double value = TRY(duration_expression(kPrecedencePow));
    return first.is(TokenKind::Sub) ? -value : value;
  }
  if (first.is(TokenKind::LeftParen)) {
    take();
    const double value = TRY(duration_expression(4));
    if (!token().is(TokenKind::RightParen)) return unexpected("duration expression", "\")\"");
    take();
    return value;
  }
  if (first.is(TokenKind::Number)) {
    take();
    return number(first);
  }
  if (first.is(TokenKind::Duration)) {
    take();
    return duration_literal(first);
  }
  return unexpected("duration expression", "number or duration");
}

}  // namespace

Result<ExprPtr> parse(std::string_view text, const ParseOptions& options) {
  if (text.size() > kQuerySizeMax) {
    return core::fail(ErrorCode::InvalidArgument, "query of {} bytes is longer than {}",
                      text.size(), kQuerySizeMax);
  }
  ExprPtr expr = TRY(Parser(text, options).expression());
  TRY(check_types(*expr, text));
  return expr;
}

Result<model::Matchers> parse_selector(std::string_view text, const ParseOptions& options) {
  if (text.size() > kQuerySizeMax) {
    return core::fail(ErrorCode::InvalidArgument, "selector of {} bytes is longer than {}",
                      text.size(), kQuerySizeMax);
  }
  const auto selector = TRY(Parser(text, options).selector());
  TRY(check_types(*selector, text));
  return selector->matchers;
}

}  // namespace promql
