#include "alerting/matchers.h"

#include "core/text.h"
#include "core/utf8.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <tuple>
#include <vector>

namespace alerting {

using core::ErrorCode;
using core::Result;
using model::Matcher;
using model::Matchers;
using model::MatchType;

namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";
constexpr std::string_view kReserved = "{}!=~,\\\"'`";

bool is_blank(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

tl::unexpected<core::Error> bad(std::string message) {
  return tl::unexpected(core::Error{ErrorCode::InvalidArgument, std::move(message)});
}

// At the front of `text`; nullopt when there is none.
std::optional<MatchType> take_operator(std::string_view& text) {
  static constexpr std::pair<std::string_view, MatchType> kOperators[] = {
      {"=~", MatchType::Regex},
      {"!~", MatchType::NotRegex},
      {"!=", MatchType::NotEqual},
      {"=", MatchType::Equal}};
  for (const auto& [sign, type] : kOperators) {
    if (!text.starts_with(sign)) continue;
    text.remove_prefix(sign.size());
    return type;
  }
  return std::nullopt;
}

// The escapes of a Go string literal in double quotes.
std::optional<std::string> unquote(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') return std::nullopt;
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    static constexpr std::string_view kNames = "abfnrtv\\\"";
    static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\\"";
    if (const size_t at = kNames.find(text[i]); at != std::string_view::npos) {
      out += kMeanings[at];
      continue;
    }
    const bool octal = text[i] >= '0' && text[i] <= '7';
    const size_t digits = octal            ? 3
                          : text[i] == 'x' ? 2
                          : text[i] == 'u' ? 4
                          : text[i] == 'U' ? 8
                                           : 0;
    const size_t start = octal ? i : i + 1;
    if (digits == 0 || start + digits > text.size()) return std::nullopt;
    uint32_t code = 0;
    for (size_t k = start; k < start + digits; ++k) {
      const int digit = core::hex_digit(text[k]);
      if (digit < 0 || (octal && digit > 7)) return std::nullopt;
      code = code * (octal ? 8 : 16) + static_cast<uint32_t>(digit);
    }
    if (octal || digits == 2) {
      if (code > 0xff) return std::nullopt;
      out += static_cast<char>(code);
    } else {
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return std::nullopt;
      core::append_utf8(out, code);
    }
    i = start + digits - 1;
  }
  return out;
}

class Utf8Parser {
 public:
  explicit Utf8Parser(std::string_view text) : text_(text), rest_(text) {}

  Result<Matchers> run() {
    Matchers matchers;
    if (peek() == '\0') return matchers;
    const bool braces = take('{');
    if (braces && peek() == '\0') return expected("a closing brace");
    while (peek() != '}' && peek() != '\0') {
      Matcher one = TRY(matcher());
      matchers.push_back(std::move(one));
      if (peek() == '\0' || peek() == '}') break;
      if (!take(',')) return expected("a comma or closing brace");
    }
    if (braces) {
      if (!take('}')) return expected("a closing brace");
    } else if (peek() == '}') {
      return bad(fmt::format("{}: a closing brace without an opening one", column()));
    }
    if (peek() != '\0') return expected("the end");
    return matchers;
  }

 private:
  char peek() {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool take(char c) {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  size_t column() const { return text_.size() - rest_.size() + 1; }
  tl::unexpected<core::Error> expected(std::string_view what) {
    if (peek() == '\0') return bad(fmt::format("expected {}, not the end", what));
    return bad(fmt::format("column {}: expected {}", column(), what));
  }

  Result<Matcher> matcher() {
    std::string name = TRY(word("a label name"));
    peek();
    const std::optional<MatchType> type = take_operator(rest_);
    if (!type) return expected("an operator such as '=', '!=', '=~' or '!~'");
    std::string value = TRY(word("a label value"));
    return Matcher::create(*type, std::move(name), std::move(value));
  }

  Result<std::string> word(std::string_view what) {
    const char first = peek();
    if (first == '"') {
      size_t end = 1;
      while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
      if (end >= rest_.size()) return bad(fmt::format("column {}: missing end \"", column()));
      std::optional<std::string> text = unquote(rest_.substr(1, end - 1));
      if (!text || !core::is_utf8(*text)) {
        return bad(fmt::format("column {}: bad quoted text", column()));
      }
      rest_.remove_prefix(end + 1);
      return std::move(*text);
    }
    size_t end = 0;
    while (end < rest_.size() && !is_blank(rest_[end]) &&
           kReserved.find(rest_[end]) == std::string_view::npos) {
      ++end;
    }
    if (end == 0) return expected(what);
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return text;
  }

  std::string_view text_;
  std::string_view rest_;
};

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

Result<Matcher> classic_matcher(std::string_view text) {
  std::string_view rest = core::trim(text, kBlanks);
  size_t end = 0;
  while (end < rest.size() &&
         (is_name_start(rest[end]) || (end > 0 && rest[end] >= '0' && rest[end] <= '9'))) {
    ++end;
  }
  std::string name(rest.substr(0, end));
  rest = core::trim(rest.substr(end), kBlanks);
  const std::optional<MatchType> type = take_operator(rest);
  if (name.empty() || !type) return bad(fmt::format("bad matcher format: {}", text));
  rest = core::trim(rest, kBlanks);
  bool trailing_quote = rest.starts_with('"');
  if (trailing_quote) rest.remove_prefix(1);
  const auto unescaped = [] { return bad("matcher value contains an unescaped double quote"); };
  std::string value;
  for (size_t i = 0; i < rest.size(); ++i) {
    const bool is_last = i + 1 == rest.size();
    if (rest[i] == '\\' && !is_last) {
      const char next = rest[++i];
      if (next == 'n') {
        value += '\n';
      } else if (next == '"' || next == '\\') {
        value += next;
      } else {
        value += {'\\', next};
      }
    } else if (rest[i] == '"') {
      if (!trailing_quote || !is_last) return unescaped();
      trailing_quote = false;
    } else {
      value += rest[i];
    }
  }
  if (trailing_quote) return unescaped();
  return Matcher::create(*type, std::move(name), std::move(value));
}

Result<Matchers> parse_classic(std::string_view text) {
  if (text.starts_with('{')) text.remove_prefix(1);
  if (text.ends_with('}')) text.remove_suffix(1);
  Matchers matchers;
  bool in_quotes = false;
  bool escaped = false;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const bool at_end = i == text.size();
    if (at_end || (text[i] == ',' && !in_quotes)) {
      const std::string_view token = text.substr(start, i - start);
      start = i + 1;
      if (at_end && core::trim(token, kBlanks).empty()) break;
      Matcher one = TRY(classic_matcher(token));
      matchers.push_back(std::move(one));
      continue;
    }
    if (!escaped && text[i] == '"') in_quotes = !in_quotes;
    escaped = !escaped && text[i] == '\\';
  }
  return matchers;
}

}  // namespace

Result<Matchers> parse_matchers(std::string_view text) {
  Result<Matchers> modern = Utf8Parser(text).run();
  Result<Matchers> classic = parse_classic(text);
  if (!classic) return modern;
  if (!modern) return classic;
  // Where both read something else, the older meaning is the one that was meant.
  return matchers_text(*modern) == matchers_text(*classic) ? std::move(modern) : std::move(classic);
}

void sort_matchers(Matchers& matchers) {
  std::ranges::stable_sort(matchers, [](const Matcher& a, const Matcher& b) {
    return std::tuple(a.name(), a.value(), a.type()) < std::tuple(b.name(), b.value(), b.type());
  });
}

std::string matchers_text(const Matchers& matchers) {
  const auto quoted = [](std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '\n') {
        out += "\\n";
      } else {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
    }
    return out + "\"";
  };
  static constexpr std::string_view kSigns[] = {"=", "!=", "=~", "!~"};
  std::string out = "{";
  for (const Matcher& one : matchers) {
    if (out.size() > 1) out += ',';
    const bool reserved = one.name().find_first_of(kReserved) != std::string::npos ||
                          std::ranges::any_of(one.name(), is_blank);
    out += reserved ? quoted(one.name()) : one.name();
    out += kSigns[static_cast<size_t>(one.type())];
    out += quoted(one.value());
  }
  return out + "}";
}

}  // namespace alerting
