#include "core/json_writer.h"

#include "core/bytes.h"
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

// Shortest digits in fixed form. std::to_chars would print every digit of a large
// number's binary value; Prometheus fills up with zeros after the shortest ones.
void append_fixed(std::string& out, std::string_view scientific) {
  if (scientific.starts_with('-')) {
    out += '-';
    scientific.remove_prefix(1);
  }
  const size_t e = scientific.find('e');
  const size_t sign = scientific[e + 1] == '+' ? 1 : 0;
  int exponent = 0;
  std::from_chars(scientific.data() + e + 1 + sign, scientific.data() + scientific.size(),
                  exponent);
  std::string digits(scientific.substr(0, 1));
  if (e > 2) digits += scientific.substr(2, e - 2);

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

namespace {

// Whether eight characters need no escape: printable ASCII other than '"' and '\\'.
// "Determine if a word has a zero byte", Bit Twiddling Hacks (S. E. Anderson).
bool are_plain(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101ULL;
  constexpr uint64_t kHighs = 0x8080808080808080ULL;
  const auto has_zero = [](uint64_t bytes) { return (bytes - kOnes) & ~bytes & kHighs; };
  const uint64_t below_space = (word - kOnes * 0x20) & ~word & kHighs;
  const uint64_t special = has_zero(word ^ (kOnes * '"')) | has_zero(word ^ (kOnes * '\\')) |
                           has_zero(word ^ (kOnes * 0x7f));
  return ((word & kHighs) | below_space | special) == 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t plain = 0;  // start of the run that is copied as it is
  for (size_t i = 0; i < text.size();) {
    if (i + sizeof(uint64_t) <= text.size() && are_plain(load_le<uint64_t>(text.substr(i)))) {
      i += sizeof(uint64_t);
      continue;
    }
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
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  const std::string_view scientific(text.data(), static_cast<size_t>(end.ptr - text.data()));
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-6 || size >= 1e21)) {
    out += scientific;
  } else {
    append_fixed(out, scientific);
  }
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
