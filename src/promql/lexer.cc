#include "promql/lexer.h"

#include "core/utf8.h"

#include <algorithm>
#include <array>
#include <fmt/core.h>
#include <optional>
#include <utility>

namespace promql {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_alnum(char c) {
  return is_alpha(c) || is_digit(c);
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

struct Keyword {
  std::string_view text;
  TokenKind kind;
};
constexpr std::array<Keyword, 30> kKeywords = {{
    {"and", TokenKind::And},
    {"or", TokenKind::Or},
    {"unless", TokenKind::Unless},
    {"atan2", TokenKind::Atan2},
    {"sum", TokenKind::Sum},
    {"avg", TokenKind::Avg},
    {"min", TokenKind::Min},
    {"max", TokenKind::Max},
    {"count", TokenKind::Count},
    {"group", TokenKind::Group},
    {"stddev", TokenKind::Stddev},
    {"stdvar", TokenKind::Stdvar},
    {"topk", TokenKind::Topk},
    {"bottomk", TokenKind::Bottomk},
    {"count_values", TokenKind::CountValues},
    {"quantile", TokenKind::Quantile},
    {"limitk", TokenKind::Limitk},
    {"limit_ratio", TokenKind::LimitRatio},
    {"offset", TokenKind::Offset},
    {"by", TokenKind::By},
    {"without", TokenKind::Without},
    {"on", TokenKind::On},
    {"ignoring", TokenKind::Ignoring},
    {"group_left", TokenKind::GroupLeft},
    {"group_right", TokenKind::GroupRight},
    {"bool", TokenKind::Bool},
    {"start", TokenKind::Start},
    {"end", TokenKind::EndKeyword},
    {"inf", TokenKind::Number},
    {"nan", TokenKind::Number},
}};

std::optional<TokenKind> keyword(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const Keyword& one : kKeywords) {
    if (one.text == lower) return one.kind;
  }
  return std::nullopt;
}

// Go's %q of one character, in single quotes.
std::string quote_character(std::string_view rest) {
  if (rest.empty()) return "'\\x00'";
  if (rest[0] == '\'') return "'\\''";
  if (rest[0] == '"') return "'\"'";
  const size_t size = std::max<size_t>(core::utf8_sequence_length(rest), 1);
  if (size == 1 && static_cast<uint8_t>(rest[0]) >= 0x80) return "'\xef\xbf\xbd'";
  const std::string quoted = quote(rest.substr(0, size));
  return "'" + quoted.substr(1, quoted.size() - 2) + "'";
}

class Lexer {
 public:
  Lexer(std::string_view text, bool dotted_names) : text_(text), dotted_names_(dotted_names) {}

  Tokens run() {
    while (!done_) {
      start_ = at_;
      if (brace_open_) {
        inside_braces();
      } else {
        statement();
      }
    }
    return std::move(out_);
  }

 private:
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool at_end() const { return at_ >= text_.size(); }
  std::string_view lexeme() const { return text_.substr(start_, at_ - start_); }

  void emit(TokenKind kind) {
    out_.list.push_back(Token{kind, static_cast<uint32_t>(start_), lexeme()});
  }
  void emit(TokenKind kind, size_t size) {
    at_ = std::min(start_ + size, text_.size());
    emit(kind);
  }
  void error(std::string message) {
    out_.list.push_back(Token{TokenKind::Error, static_cast<uint32_t>(start_), lexeme()});
    out_.error = std::move(message);
    done_ = true;
  }

  bool skip_blank() {
    if (is_space(peek()) && !at_end()) {
      while (!at_end() && is_space(peek())) ++at_;
      return true;
    }
    if (peek() == '#' && !at_end()) {
      while (!at_end() && peek() != '\n' && peek() != '\r') ++at_;
      return true;
    }
    return false;
  }

  void statement();
  void operator_or_bracket(char c);
  void inside_braces();
  void word();
  void number_or_duration();
  bool scan_number();
  bool scan_duration();
  void quoted(char quote_char);
  bool escape(char quote_char);

  std::string_view text_;
  bool dotted_names_;
  size_t at_ = 0;
  size_t start_ = 0;
  int paren_depth_ = 0;
  bool brace_open_ = false;
  bool bracket_open_ = false;
  bool got_colon_ = false;
  bool done_ = false;
  Tokens out_;
};

void Lexer::statement() {
  if (at_end()) {
    if (paren_depth_ != 0) return error("unclosed left parenthesis");
    if (bracket_open_) return error("unclosed left bracket");
    emit(TokenKind::End);
    done_ = true;
    return;
  }
  if (skip_blank()) return;
  const char c = peek();
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number_or_duration();
  if (c == '"' || c == '\'' || c == '`') return quoted(c);
  if (is_alpha(c) || c == ':') {
    if (!bracket_open_) return word();
    if (c == ':') {
      if (got_colon_) return error(fmt::format("unexpected colon {}", quote_character(":")));
      got_colon_ = true;
      return emit(TokenKind::Colon, 1);
    }
    return error(fmt::format("unexpected character in duration expression: {}",
                             quote_character(text_.substr(at_))));
  }
  operator_or_bracket(c);
}

void Lexer::operator_or_bracket(char c) {
  switch (c) {
    case ',':
      return emit(TokenKind::Comma, 1);
    case '*':
      return emit(TokenKind::Mul, 1);
    case '/':
      return emit(TokenKind::Div, 1);
    case '%':
      return emit(TokenKind::Mod, 1);
    case '+':
      return emit(TokenKind::Add, 1);
    case '-':
      return emit(TokenKind::Sub, 1);
    case '^':
      return emit(TokenKind::Pow, 1);
    case '@':
      return emit(TokenKind::At, 1);
    case '=':
      if (peek(1) == '=') return emit(TokenKind::Eq, 2);
      if (peek(1) == '~') return error("unexpected character after '=': '~'");
      return emit(TokenKind::Equal, 1);
    case '!':
      if (peek(1) == '=') return emit(TokenKind::Ne, 2);
      return error(fmt::format("unexpected character after '!': {}",
                               at_ + 1 < text_.size() ? quote_character(text_.substr(at_ + 1))
                                                      : quote_character("\xff")));
    case '<':
      return peek(1) == '=' ? emit(TokenKind::Le, 2) : emit(TokenKind::Lt, 1);
    case '>':
      return peek(1) == '=' ? emit(TokenKind::Ge, 2) : emit(TokenKind::Gt, 1);
    case '(':
      ++paren_depth_;
      return emit(TokenKind::LeftParen, 1);
    case ')':
      if (--paren_depth_ < 0) return error("unexpected right parenthesis ')'");
      return emit(TokenKind::RightParen, 1);
    case '{':
      brace_open_ = true;
      return emit(TokenKind::LeftBrace, 1);
    case '[':
      if (bracket_open_) return error("unexpected left bracket '['");
      got_colon_ = false;
      bracket_open_ = true;
      return emit(TokenKind::LeftBracket, 1);
    case ']':
      if (!bracket_open_) return error("unexpected right bracket ']'");
      bracket_open_ = false;
      return emit(TokenKind::RightBracket, 1);
    default:
      return error(fmt::format("unexpected character: {}", quote_character(text_.substr(at_))));
  }
}

void Lexer::inside_braces() {
  if (at_end()) return error("unexpected end of input inside braces");
  if (skip_blank()) return;
  const char c = peek();
  if (is_alpha(c)) {
    while (is_alnum(peek()) && !at_end()) ++at_;
    return emit(TokenKind::Identifier);
  }
  switch (c) {
    case ',':
      return emit(TokenKind::Comma, 1);
    case '"':
    case '\'':
    case '`':
      return quoted(c);
    case '=':
      return peek(1) == '~' ? emit(TokenKind::RegexEqual, 2) : emit(TokenKind::Equal, 1);
    case '!':
      if (peek(1) == '~') return emit(TokenKind::RegexNotEqual, 2);
      if (peek(1) == '=') return emit(TokenKind::Ne, 2);
      return error(fmt::format("unexpected character after '!' inside braces: {}",
                               at_ + 1 < text_.size() ? quote_character(text_.substr(at_ + 1))
                                                      : quote_character("\xff")));
    case '{':
      return error("unexpected left brace '{'");
    case '}':
      brace_open_ = false;
      return emit(TokenKind::RightBrace, 1);
    default:
      return error(fmt::format("unexpected character inside braces: {}",
                               quote_character(text_.substr(at_))));
  }
}

void Lexer::word() {
  bool dotted = false;
  while (!at_end()) {
    if (is_alnum(peek()) || peek() == ':') {
      ++at_;
    } else if (dotted_names_ && peek() == '.' && at_ + 1 < text_.size() && is_alnum(peek(1))) {
      dotted = true;
      ++at_;
    } else {
      break;
    }
  }
  if (dotted || lexeme().find(':') != std::string_view::npos) {
    return emit(TokenKind::MetricIdentifier);
  }
  emit(keyword(lexeme()).value_or(TokenKind::Identifier));
}

void Lexer::number_or_duration() {
  if (scan_number()) return emit(TokenKind::Number);
  if (scan_duration()) return emit(TokenKind::Duration);
  error(fmt::format("bad number or duration syntax: {}", quote(lexeme())));
}

// Leaves at_ behind what was read; false when it is no number (it may be a duration).
bool Lexer::scan_number() {
  const bool hex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
  if (hex) {
    at_ += 2;
    if (peek() == '_') ++at_;
  }
  const auto digit = [&](char c) { return hex ? is_hex(c) : is_digit(c); };
  bool dot = false;
  bool exponent = false;
  while (!at_end()) {
    const char c = peek();
    if (digit(c)) {
      ++at_;
    } else if (c == '.') {
      ++at_;
      if (dot || hex || peek() == '_' || peek() == '.') return false;
      dot = true;
    } else if (c == 'e' || c == 'E') {
      ++at_;
      if (exponent) return false;
      exponent = true;
      if (peek() == '+' || peek() == '-') ++at_;
      if (at_end() || !is_digit(peek())) return false;
    } else if (c == '_') {
      ++at_;
      if (at_end() || !digit(peek())) return false;
    } else {
      break;
    }
  }
  return at_end() || !is_alnum(peek());
}

bool Lexer::scan_duration() {
  // Continues behind the digits that scan_number() took.
  const auto unit = [&](std::string_view units) {
    if (at_end() || units.find(peek()) == std::string_view::npos) return false;
    ++at_;
    if (!at_end() && peek() == 's') ++at_;
    return true;
  };
  if (!unit("smhdwy")) return false;
  while (!at_end() && is_digit(peek())) {
    while (!at_end() && is_digit(peek())) ++at_;
    if (!unit("smhdw")) return false;
  }
  if (at_end() || !is_alnum(peek())) return true;
  ++at_;  // for the error's text
  return false;
}

void Lexer::quoted(char quote_char) {
  ++at_;
  const bool raw = quote_char == '`';
  while (true) {
    if (at_end()) return error(raw ? "unterminated raw string" : "unterminated quoted string");
    const char c = peek();
    if (c == quote_char) {
      ++at_;
      return emit(TokenKind::String);
    }
    if (!raw && c == '\n') return error("unterminated quoted string");
    if (!raw && c == '\\') {
      ++at_;
      if (!escape(quote_char)) return;
      continue;
    }
    const size_t size = core::utf8_sequence_length(text_.substr(at_));
    if (size == 0) return error("invalid UTF-8 rune");
    at_ += size;
  }
}

// The backslash has been read.
bool Lexer::escape(char quote_char) {
  if (at_end()) {
    error("escape sequence not terminated");
    return false;
  }
  const char c = peek();
  size_t digits = 0;
  uint32_t base = 16;
  uint32_t max = 0x10ffff;
  if (c == quote_char || std::string_view("abfnrtv\\").find(c) != std::string_view::npos) {
    ++at_;
    return true;
  }
  if (c >= '0' && c <= '7') {
    digits = 3;
    base = 8;
    max = 255;
  } else if (c == 'x' || c == 'u' || c == 'U') {
    digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    if (c == 'x') max = 255;
    ++at_;
  } else {
    error(fmt::format("unknown escape sequence U+{:04X} {}", static_cast<uint8_t>(c),
                      quote_character(text_.substr(at_))));
    return false;
  }
  uint32_t value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (at_end()) {
      error("escape sequence not terminated");
      return false;
    }
    const char d = peek();
    const uint32_t digit = is_digit(d)             ? static_cast<uint32_t>(d - '0')
                           : is_hex(d) && d >= 'a' ? static_cast<uint32_t>(d - 'a' + 10)
                           : is_hex(d)             ? static_cast<uint32_t>(d - 'A' + 10)
                                                   : 16;
    if (digit >= base) {
      error(fmt::format("illegal character U+{:04X} {} in escape sequence", static_cast<uint8_t>(d),
                        quote_character(text_.substr(at_))));
      return false;
    }
    value = value * base + digit;
    ++at_;
  }
  if (value > max || (value >= 0xd800 && value < 0xe000)) {
    error("escape sequence is an invalid Unicode code point");
    return false;
  }
  return true;
}

}  // namespace

Tokens lex(std::string_view text, bool dotted_names) {
  return Lexer(text, dotted_names).run();
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const size_t size = core::utf8_sequence_length(text.substr(i));
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\a') {
      out += "\\a";
    } else if (c == '\b') {
      out += "\\b";
    } else if (c == '\f') {
      out += "\\f";
    } else if (c == '\v') {
      out += "\\v";
    } else if (size == 0 || static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    } else {
      out.append(text.substr(i, size));
    }
    i += std::max<size_t>(size, 1);
  }
  return out + '"';
}

std::string Token::describe() const {
  switch (kind) {
    case TokenKind::End:
      return "end of input";
    case TokenKind::Error:
      return "error";
    case TokenKind::Identifier:
      return "identifier " + quote(text);
    case TokenKind::MetricIdentifier:
      return "metric identifier " + quote(text);
    default:
      break;
  }
  if (is_keyword()) return fmt::format("<{}>", text);
  if (is_operator()) return fmt::format("<op:{}>", text);
  if (is_aggregate()) return fmt::format("<aggr:{}>", text);
  const std::string shown = text.size() > 10 ? quote(text.substr(0, 10)) + "..." : quote(text);
  if (kind == TokenKind::String) return "string " + shown;
  if (kind == TokenKind::Number) return "number " + shown;
  if (kind == TokenKind::Duration) return "duration " + shown;
  return shown;
}

}  // namespace promql
