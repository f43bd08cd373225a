// Cuts a query into tokens. What a character means depends on whether it stands
// inside braces, inside brackets or outside, so the lexer keeps that state.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace promql {

enum class TokenKind : uint8_t {
  End,
  Error,
  Identifier,
  MetricIdentifier,
  Number,
  Duration,
  String,
  LeftParen,
  RightParen,
  LeftBrace,
  RightBrace,
  LeftBracket,
  RightBracket,
  Comma,
  Colon,
  Equal,
  RegexEqual,
  RegexNotEqual,
  At,
  // Operators, in the order of BinaryOp.
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
  // Aggregations, in the order of AggregateOp.
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
  // Keywords.
  Offset,
  By,
  Without,
  On,
  Ignoring,
  GroupLeft,
  GroupRight,
  Bool,
  Start,
  EndKeyword,
};

struct Token {
  TokenKind kind = TokenKind::End;
  uint32_t start = 0;
  std::string_view text;

  uint32_t end() const { return start + static_cast<uint32_t>(text.size()); }
  bool is(TokenKind other) const { return kind == other; }
  bool is_operator() const {
    return (kind >= TokenKind::Add && kind <= TokenKind::Unless) || kind == TokenKind::At ||
           kind == TokenKind::RegexEqual || kind == TokenKind::RegexNotEqual;
  }
  bool is_aggregate() const { return kind >= TokenKind::Sum && kind <= TokenKind::LimitRatio; }
  bool is_keyword() const { return kind >= TokenKind::Offset && kind <= TokenKind::Bool; }
  // For "unexpected ...".
  std::string describe() const;
};

struct Tokens {
  std::vector<Token> list;  // ends with End or Error
  std::string error;        // of the Error token
};

// Borrows `text`. With `dotted_names`, a.b is one name outside braces.
Tokens lex(std::string_view text, bool dotted_names);

// Go's %q.
std::string quote(std::string_view text);

}  // namespace promql
