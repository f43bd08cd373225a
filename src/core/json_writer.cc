#include "core/json_writer.h"

#include "core/utf8.h"

#include <array>
#include <charconv>
#include <cmath>

namespace core {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<uint8_t>(c);
  out += "\\u00";
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

// Shortest digits, then zeros: std::to_chars in fixed form would print the exact binary
// value of large numbers instead (1e23 as 99999999999999991611392).
void append_shortest(std::string& out, double value) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  std::string_view mantissa(text.data(), static_cast<size_t>(end.ptr - text.data()));
  if (mantissa.starts_with('-')) {
    out += '-';
    mantissa.remove_prefix(1);
  }
  const size_t e = mantissa.find('e');
  int exponent = 0;
  const char* exponent_begin = mantissa.data() + e + (mantissa[e + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_begin, mantissa.data() + mantissa.size(), exponent);
  mantissa = mantissa.substr(0, e);
  std::string digits(mantissa.substr(0, 1));
  if (mantissa.size() > 2) digits += mantissa.substr(2);

  const int point = exponent + 1;  // digits before the decimal point
  const int count = static_cast<int>(digits.size());
  if (point <= 0) {
    out += "0.";
    out.append(static_cast<size_t>(-point), '0');
    out += digits;
  } else if (point >= count) {
    out += digits;
    out.append(static_cast<size_t>(point - count), '0');
  } else {
    out.append(digits, 0, static_cast<size_t>(point));
    out += '.';
    out.append(digits, static_cast<size_t>(point));
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t plain = 0;  // start of the run that is copied as it is
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    const size_t length = byte < 0x80 ? 1 : utf8_sequence_length(text.substr(i));
    if (length > 1) {
      i += length;
      continue;
    }
    out.append(text.substr(plain, i - plain));
    if (length == 0) {
      out.append(kReplacement);
    } else {
      append_escaped(out, c);
    }
    plain = ++i;
  }
  out.append(text.substr(plain));
  out += '"';
}

void append_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  // Most samples are integers; 2^53 and beyond take the general path.
  if (std::abs(value) < 1e15 && value == std::trunc(value) &&
      (value != 0 || !std::signbit(value))) {
    std::array<char, 24> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<int64_t>(value));
    out.append(digits.data(), end.ptr);
    return;
  }
  append_shortest(out, value);
}

void append_timestamp(std::string& out, int64_t time_ms) {
  if (time_ms < 0) {
    out += '-';
    time_ms = -time_ms;
  }
  out += std::to_string(time_ms / 1000);
  const int64_t millis = time_ms % 1000;
  if (millis == 0) return;
  const std::array<char, 4> fraction = {'.', static_cast<char>('0' + millis / 100),
                                        static_cast<char>('0' + millis / 10 % 10),
                                        static_cast<char>('0' + millis % 10)};
  size_t length = fraction.size();
  while (fraction[length - 1] == '0') --length;
  out.append(fraction.data(), length);
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return raw({digits.data(), static_cast<size_t>(end.ptr - digits.data())});
}

}  // namespace core
