// Scalars of YAML 1.1, and Prometheus's sizes.

#include "config/schema.h"
#include "core/time.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace config {
namespace {

using core::ErrorCode;
using core::fail;
using core::Result;

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view text) {
  return std::ranges::find(words, text) != words.end();
}

constexpr std::array<std::string_view, 11> kTrue = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                                    "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 11> kFalse = {"n",     "N",     "no",  "No",  "NO", "false",
                                                     "False", "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 5> kNull = {"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 12> kSpecialFloats = {".nan",  ".NaN",  ".NAN",  ".inf",
                                                             ".Inf",  ".INF",  "+.inf", "+.Inf",
                                                             "+.INF", "-.inf", "-.Inf", "-.INF"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

struct Magnitude {
  bool negative = false;
  uint64_t value = 0;
};

// Go's ParseInt with base 0, underscores dropped: 12, 0x1f, 0o17, 017, 0b101.
std::optional<Magnitude> parse_magnitude(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != '_') digits += c;
  }
  std::string_view rest = digits;
  Magnitude number;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    number.negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  int base = 10;
  if (rest.size() > 1 && rest[0] == '0') {
    const char mark = static_cast<char>(rest[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    rest.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  const char* end = rest.data() + rest.size();
  const auto [at, error] = std::from_chars(rest.data(), end, number.value, base);
  if (rest.empty() || error != std::errc() || at != end) return std::nullopt;
  return number;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
std::optional<double> parse_decimal(std::string_view text) {
  if (is_one_of(kSpecialFloats, text)) {
    if (text.find('n') != std::string_view::npos && text[1] != 'i') {
      return std::numeric_limits<double>::quiet_NaN();
    }
    if (text == ".NAN" || text == ".NaN") return std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    return text[0] == '-' ? -infinity : infinity;
  }
  std::string_view rest = text;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  const bool plausible = std::ranges::all_of(rest, [](char c) {
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '-' || c == '+';
  });
  if (rest.empty() || !plausible || rest == "." || rest == "-") return std::nullopt;
  double value = 0;
  const char* end = rest.data() + rest.size();
  const auto [at, error] = std::from_chars(rest.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

bool is_date(std::string_view text) {
  return text.size() >= 8 && std::all_of(text.begin(), text.begin() + 4, is_digit) &&
         text[4] == '-' && is_digit(text[5]) && text.find('-', 5) != std::string_view::npos;
}

// 12:30 and 1:2:3.5, numbers to base 60 for readers of YAML 1.1.
bool is_base60(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return false;
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || !is_digit(text[0])) return false;
  const size_t dot = text.find('.');
  std::string_view fraction = dot == std::string_view::npos ? "" : text.substr(dot + 1);
  std::string_view whole = text.substr(0, dot);
  const auto is_number = [](char c) { return is_digit(c) || c == '_'; };
  if (!std::ranges::all_of(fraction, is_number)) return false;
  size_t colon = whole.find(':');
  if (colon == std::string_view::npos ||
      !std::all_of(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(colon), is_number)) {
    return false;
  }
  while (colon != std::string_view::npos) {
    const size_t next = whole.find(':', colon + 1);
    const std::string_view part = whole.substr(colon + 1, next - colon - 1);
    const bool fits = (part.size() == 1 && is_digit(part[0])) ||
                      (part.size() == 2 && part[0] >= '0' && part[0] <= '5' && is_digit(part[1]));
    if (!fits) return false;
    colon = next;
  }
  return true;
}

}  // namespace

Result<bool> parse_bool(std::string_view text) {
  if (is_one_of(kTrue, text)) return true;
  if (is_one_of(kFalse, text)) return false;
  return fail(ErrorCode::InvalidArgument, "\"{}\" is not a boolean, expected true or false", text);
}

Result<int64_t> parse_int(std::string_view text) {
  if (const auto number = parse_magnitude(text)) {
    const uint64_t limit = (uint64_t{1} << 63) - (number->negative ? 0 : 1);
    if (number->value <= limit) {
      return number->negative ? static_cast<int64_t>(0 - number->value)
                              : static_cast<int64_t>(number->value);
    }
  } else if (const auto real = parse_decimal(text)) {
    if (*real == std::trunc(*real) && std::abs(*real) < 9.2e18) return static_cast<int64_t>(*real);
  }
  return fail(ErrorCode::InvalidArgument, "\"{}\" is not an integer", text);
}

Result<uint64_t> parse_uint(std::string_view text) {
  if (const auto number = parse_magnitude(text)) {
    if (!number->negative || number->value == 0) return number->value;
  } else if (const auto real = parse_decimal(text)) {
    if (*real == std::trunc(*real) && *real >= 0 && *real < 1.8e19) {
      return static_cast<uint64_t>(*real);
    }
  }
  return fail(ErrorCode::InvalidArgument, "\"{}\" is not a whole number of 0 or more", text);
}

Result<double> parse_float(std::string_view text) {
  if (const auto real = parse_decimal(text)) return *real;
  if (const auto number = parse_magnitude(text)) {
    const double value = static_cast<double>(number->value);
    return number->negative ? -value : value;
  }
  return fail(ErrorCode::InvalidArgument, "\"{}\" is not a number", text);
}

Result<int64_t> parse_size(std::string_view text) {
  const auto bad = [text] {
    return fail(ErrorCode::InvalidArgument,
                "\"{}\" is not a size, expected a number with a unit such as 10MB or 512KiB", text);
  };
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return 0;
  if (rest.empty()) return bad();
  double total = 0;
  // One spelling throughout: KiB, MiB, or KB, MB.
  std::optional<bool> is_binary_spelling;
  while (!rest.empty()) {
    double number = 0;
    const char* end = rest.data() + rest.size();
    const auto [at, error] = std::from_chars(rest.data(), end, number, std::chars_format::fixed);
    if (error != std::errc() || rest[0] == '-' || !std::isfinite(number)) return bad();
    rest.remove_prefix(static_cast<size_t>(at - rest.data()));
    size_t letters = 0;
    while (letters < rest.size() && !is_digit(rest[letters]) && rest[letters] != '.') ++letters;
    const std::string_view unit = rest.substr(0, letters);
    rest.remove_prefix(letters);
    if (unit != "B") {
      constexpr std::string_view kPrefixes = "KMGTPE";
      const size_t power = unit.empty() ? std::string_view::npos : kPrefixes.find(unit[0]);
      if (power == std::string_view::npos) return bad();
      const bool binary = unit.substr(1) == "iB";
      if (!binary && unit.substr(1) != "B") return bad();
      if (is_binary_spelling.value_or(binary) != binary) return bad();
      is_binary_spelling = binary;
      number = std::ldexp(number, 10 * (static_cast<int>(power) + 1));
    }
    total += number;
  }
  if (total >= 9.2e18) return bad();
  return static_cast<int64_t>(negative ? -total : total);
}

std::string format_size(int64_t size) {
  constexpr std::array<std::string_view, 7> kUnits = {"B",   "KiB", "MiB", "GiB",
                                                      "TiB", "PiB", "EiB"};
  if (size == 0) return "0B";
  std::string text;
  for (const std::string_view unit : kUnits) {
    if (size % 1024 != 0) text = fmt::format("{}{}{}", size % 1024, unit, text);
    size /= 1024;
    if (size == 0) break;
  }
  return text;
}

bool needs_quotes(std::string_view text) {
  if (is_one_of(kTrue, text) || is_one_of(kFalse, text) || is_one_of(kNull, text)) return true;
  if (is_one_of(kSpecialFloats, text) || text == "<<") return true;
  const char first = text[0];
  if (!is_digit(first) && first != '-' && first != '+' && first != '.') return false;
  return parse_magnitude(text) || parse_decimal(text) || is_date(text) || is_base60(text);
}

UrlParts url_parts(std::string_view url) {
  UrlParts parts;
  const size_t colon = url.find(':');
  const auto is_scheme_char = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '+' ||
           c == '-' || c == '.';
  };
  if (colon != std::string_view::npos && colon > 0 && !is_digit(url[0]) &&
      std::all_of(url.begin(), url.begin() + static_cast<ptrdiff_t>(colon), is_scheme_char)) {
    parts.scheme = url.substr(0, colon);
    for (char& c : parts.scheme) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    url.remove_prefix(colon + 1);
  }
  if (!url.starts_with("//")) return parts;
  url.remove_prefix(2);
  url = url.substr(0, url.find_first_of("/?#"));
  const size_t user = url.rfind('@');
  parts.host = user == std::string_view::npos ? url : url.substr(user + 1);
  return parts;
}

std::string hide_password(std::string_view url) {
  const size_t start = url.find("//");
  if (start == std::string_view::npos) return std::string(url);
  const size_t end = url.find_first_of("/?#", start + 2);
  const size_t at = url.substr(0, end).rfind('@');
  const size_t colon = url.find(':', start + 2);
  if (at == std::string_view::npos || at < start || colon > at) return std::string(url);
  return fmt::format("{}:xxxxx{}", url.substr(0, colon), url.substr(at));
}

Result<void> check_url(std::string_view url) {
  const auto bad = [url](std::string_view reason) {
    return fail(ErrorCode::InvalidArgument, "\"{}\" is not a URL: {}", hide_password(url), reason);
  };
  for (const char c : url) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return bad("it holds a control character");
  }
  if (url.starts_with(':')) return bad("missing protocol scheme");
  const UrlParts parts = url_parts(url);
  const size_t slashes = url.find('/');
  if (parts.scheme.empty() && url.find(':') < slashes) {
    return bad("first path segment in URL cannot contain colon");
  }
  if (parts.host.find_first_of(" <>\"\\^`{|}") != std::string::npos) {
    return bad("invalid character in host name");
  }
  const bool has_brackets = parts.host.starts_with('[');
  if (has_brackets && parts.host.find(']') == std::string::npos) return bad("missing ']' in host");
  const size_t colon = parts.host.find(':', has_brackets ? parts.host.find(']') : 0);
  if (colon != std::string::npos) {
    const std::string_view port = std::string_view(parts.host).substr(colon + 1);
    if (!std::ranges::all_of(port, is_digit)) return bad("invalid port after host");
  }
  for (size_t i = 0; i < url.size(); ++i) {
    const auto is_hex = [url](size_t at) {
      return at < url.size() && std::isxdigit(static_cast<unsigned char>(url[at])) != 0;
    };
    if (url[i] == '%' && !(is_hex(i + 1) && is_hex(i + 2))) {
      // Escapes of the query are not looked at, as in Go.
      if (url.substr(0, i).find('?') == std::string_view::npos) return bad("invalid URL escape");
    }
  }
  return {};
}

}  // namespace config
