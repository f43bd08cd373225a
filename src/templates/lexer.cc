#include "templates/lexer.h"

#include "core/utf8.h"

#include <fmt/format.h>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    while (at_ < text_.size()) {
      const bool opened = TRY(outside());
      if (opened) TRY(inside());
    }
    push(TokenKind::End, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void advance(size_t count) {
    for (; count > 0; --count, ++at_) {
      if (text_[at_] == '\n') {
        ++place_.line;
        place_.column = 1;
      } else {
        ++place_.column;
      }
    }
  }

  void push(TokenKind kind, std::string text) { push(kind, place_, std::move(text)); }
  void push(TokenKind kind, Place place, std::string text) {
    tokens_.push_back({kind, place, std::move(text)});
  }

  // Text up to the next {{, whether there is one, or the end. `trim_left_` comes from a
  // " -}}" before it.
  Result<bool> outside() {
    const size_t open = rest().find("{{");
    std::string_view text = rest().substr(0, open);
    const Place place = place_;
    if (trim_left_) {
      while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    }
    trim_left_ = false;
    const bool found = open != std::string_view::npos;
    const std::string_view after = found ? rest().substr(open + 2) : "";
    const bool trim_right = after.size() >= 2 && after[0] == '-' && is_space(after[1]);
    if (trim_right) {
      while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    }
    if (!text.empty()) push(TokenKind::Text, place, std::string(text));
    advance(found ? open : rest().size());
    if (!found) return false;
    open_ = place_;
    advance(trim_right ? 3 : 2);
    return true;
  }

  Result<void> comment() {
    const size_t end = rest().find("*/");
    if (end == std::string_view::npos) return error_at(open_, "unclosed comment");
    advance(end + 2);
    if (rest().starts_with("}}")) {
      advance(2);
      return {};
    }
    if (is_space(peek()) && rest().substr(1).starts_with("-}}")) {
      advance(4);
      trim_left_ = true;
      return {};
    }
    return error_at(open_, "comment ends before closing delimiter");
  }

  Result<void> inside() {
    size_t blanks = 0;
    while (is_space(peek(blanks))) ++blanks;
    if (rest().substr(blanks).starts_with("/*")) {
      advance(blanks);
      return comment();
    }
    push(TokenKind::Open, open_, "{{");
    for (;;) {
      if (at_ >= text_.size()) return error_at(open_, "unclosed action");
      if (rest().starts_with("}}")) {
        push(TokenKind::Close, "}}");
        advance(2);
        return {};
      }
      if (is_space(peek())) {
        size_t count = 1;
        while (is_space(peek(count))) ++count;
        if (rest().substr(count).starts_with("-}}")) {
          push(TokenKind::Close, "-}}");
          advance(count + 3);
          trim_left_ = true;
          return {};
        }
        push(TokenKind::Space, " ");
        advance(count);
        continue;
      }
      TRY(token());
    }
  }

  Result<void> token() {
    const Place place = place_;
    const char c = peek();
    if (c == '"') return quoted();
    if (c == '`') return raw();
    if (c == '\'') return character();
    if (is_digit(c) || ((c == '+' || c == '-') && (is_digit(peek(1)) || peek(1) == '.')) ||
        (c == '.' && is_digit(peek(1)))) {
      return number();
    }
    if (c == '$' || c == '.') {
      size_t size = 1;
      while (is_name(peek(size))) ++size;
      const std::string text(rest().substr(0, size));
      if (c == '$') {
        push(TokenKind::Variable, place, text);
      } else if (size == 1) {
        push(TokenKind::Dot, place, text);
      } else {
        push(TokenKind::Field, place, text.substr(1));
      }
      advance(size);
      return {};
    }
    if (is_name(c)) {
      size_t size = 1;
      while (is_name(peek(size))) ++size;
      push(TokenKind::Identifier, place, std::string(rest().substr(0, size)));
      advance(size);
      return {};
    }
    return sign();
  }

  Result<void> sign() {
    TokenKind kind = TokenKind::End;
    size_t size = 1;
    switch (peek()) {
      case '|':
        kind = TokenKind::Pipe;
        break;
      case '(':
        kind = TokenKind::LeftBracket;
        break;
      case ')':
        kind = TokenKind::RightBracket;
        break;
      case ',':
        kind = TokenKind::Comma;
        break;
      case '=':
        kind = TokenKind::Assign;
        break;
      case ':':
        if (peek(1) != '=') return error_at(place_, "expected :=");
        kind = TokenKind::Declare;
        size = 2;
        break;
      default:
        return error_at(place_, fmt::format("unexpected \"{}\" in action", shown()));
    }
    push(kind, std::string(rest().substr(0, size)));
    advance(size);
    return {};
  }

  std::string shown() const {
    const char c = peek();
    if (static_cast<uint8_t>(c) < 0x20) return fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    return std::string(1, c);
  }

  Result<void> number() {
    size_t size = 1;
    for (;; ++size) {
      const char c = peek(size);
      const char before = peek(size - 1);
      const bool exponent_sign = (c == '+' || c == '-') && (before == 'e' || before == 'E');
      if (!is_name(c) && c != '.' && !exponent_sign) break;
    }
    push(TokenKind::Number, std::string(rest().substr(0, size)));
    advance(size);
    return {};
  }

  Result<void> raw() {
    const size_t end = rest().find('`', 1);
    if (end == std::string_view::npos) return error_at(place_, "unterminated raw quoted string");
    push(TokenKind::String, std::string(rest().substr(1, end - 1)));
    advance(end + 1);
    return {};
  }

  Result<void> quoted() {
    const Place place = place_;
    std::string value;
    advance(1);
    while (peek() != '"') {
      if (at_ >= text_.size() || peek() == '\n') {
        return error_at(place, "unterminated quoted string");
      }
      TRY(character_into(value, '"'));
    }
    advance(1);
    push(TokenKind::String, place, std::move(value));
    return {};
  }

  Result<void> character() {
    const Place place = place_;
    std::string value;
    advance(1);
    if (at_ >= text_.size() || peek() == '\'') return error_at(place, "bad character constant");
    TRY(character_into(value, '\''));
    while (at_ < text_.size() && (static_cast<uint8_t>(peek()) & 0xc0) == 0x80) {
      value += peek();
      advance(1);
    }
    if (peek() != '\'') return error_at(place, "bad character constant");
    advance(1);
    push(TokenKind::Character, place, std::move(value));
    return {};
  }

  // One byte or one escape (go.dev/ref/spec#Rune_literals).
  Result<void> character_into(std::string& out, char quote) {
    const char c = peek();
    if (c != '\\') {
      out += c;
      advance(1);
      return {};
    }
    static constexpr std::string_view kNames = "abfnrtv\\";
    static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\";
    const char name = peek(1);
    if (const size_t at = kNames.find(name); name != '\0' && at != std::string_view::npos) {
      out += kValues[at];
      advance(2);
      return {};
    }
    if (name == quote) {
      out += quote;
      advance(2);
      return {};
    }
    const size_t digits = name == 'x' ? 2 : name == 'u' ? 4 : name == 'U' ? 8 : 0;
    if (digits > 0) return code_point(out, 2, digits, 16, name == 'x');
    if (name >= '0' && name <= '7') return code_point(out, 1, 3, 8, true);
    return error_at(place_, "unknown escape sequence");
  }

  Result<void> code_point(std::string& out, size_t skip, size_t digits, uint32_t base, bool byte) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = peek(skip + i);
      uint32_t digit = base;
      if (is_digit(c)) digit = static_cast<uint32_t>(c - '0');
      if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a' + 10);
      if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A' + 10);
      if (digit >= base) return error_at(place_, "bad escape sequence");
      value = value * base + digit;
    }
    if (value > (byte ? 0xffU : 0x10ffffU) || (!byte && value >= 0xd800 && value < 0xe000)) {
      return error_at(place_, "escape sequence is not a character");
    }
    if (byte) {
      out += static_cast<char>(value);
    } else {
      core::append_utf8(out, value);
    }
    advance(skip + digits);
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  Place place_;
  Place open_;
  bool trim_left_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

tl::unexpected<core::Error> error_at(Place place, std::string_view message) {
  return core::fail(ErrorCode::InvalidArgument, "{}:{}: {}", place.line, place.column, message);
}

Result<std::vector<Token>> lex(std::string_view text) {
  return Lexer(text).run();
}

}  // namespace templates
