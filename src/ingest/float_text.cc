#include "ingest/float_text.h"

#include "core/text.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace ingest {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Powers of ten that a double holds exactly: a mantissa below 2^53 times or divided by one
// of them is rounded once, hence correctly (Clinger's fast path).
constexpr std::array<double, 23> kPowersOfTen = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kExactMantissaMax = uint64_t{1} << 53;
constexpr int kShortDigitsMax = 19;  // always fit into 64 bits

// [+-]?(digits[.digits]|.digits)([eE][+-]?digits)?
bool is_decimal(std::string_view text) {
  size_t at = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const auto digits = [&] {
    const size_t from = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at - from;
  };
  size_t count = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    count += digits();
  }
  if (count == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

bool parse_word(std::string_view text, double& value) {
  if (text.size() > 9) return false;
  const std::string word = core::lower(text);
  std::string_view rest = word;
  if (rest == "nan") {
    value = sample_nan();
    return true;
  }
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest != "inf" && rest != "infinity") return false;
  const double infinity = std::numeric_limits<double>::infinity();
  value = negative ? -infinity : infinity;
  return true;
}

}  // namespace

double sample_nan() {
  return std::bit_cast<double>(uint64_t{0x7ff8000000000001});
}

const char* parse_short_float(const char* at, const char* end, double& value) {
  const bool negative = at != end && *at == '-';
  if (negative) ++at;
  const char* const first = at;
  uint64_t mantissa = 0;
  while (at != end && is_digit(*at)) mantissa = mantissa * 10 + static_cast<uint64_t>(*at++ - '0');
  int64_t digits = at - first;
  int64_t exponent = 0;
  if (at != end && *at == '.') {
    const char* const fraction = ++at;
    while (at != end && is_digit(*at)) {
      mantissa = mantissa * 10 + static_cast<uint64_t>(*at++ - '0');
    }
    exponent = fraction - at;
    digits -= exponent;
  }
  if (digits == 0 || digits > kShortDigitsMax || mantissa > kExactMantissaMax) return nullptr;
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    const bool below_one = at != end && *at == '-';
    if (below_one || (at != end && *at == '+')) ++at;
    const char* const exponent_first = at;
    int64_t written = 0;
    while (at != end && is_digit(*at) && at - exponent_first < 4)
      written = written * 10 + *at++ - '0';
    if (at == exponent_first || (at != end && is_digit(*at))) return nullptr;
    exponent += below_one ? -written : written;
  }
  auto number = static_cast<double>(mantissa);
  if (exponent < 0) {
    if (exponent < -22) return nullptr;
    number /= kPowersOfTen[static_cast<size_t>(-exponent)];
  } else if (exponent > 0) {
    if (exponent > 22) return nullptr;
    number *= kPowersOfTen[static_cast<size_t>(exponent)];
  }
  value = negative ? -number : number;
  return at;
}

bool parse_exposition_float(std::string_view text, double& value) {
  const char* const end = text.data() + text.size();
  if (parse_short_float(text.data(), end, value) == end && !text.empty()) return true;
  if (!is_decimal(text)) return parse_word(text, value);
  if (text[0] == '+') text.remove_prefix(1);
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem == std::errc{}) return stop == end;
  // Out of range: what is too small for a double is zero or subnormal and good, what is too
  // large is not. Only strtod() tells them apart.
  value = std::strtod(std::string(text).c_str(), nullptr);
  return std::isfinite(value);
}

void append_label_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  std::array<char, 40> buffer;
  char* const last = buffer.data() + buffer.size();
  // Go's %g has an exponent below 1e-4 and from 1e+06 on; the scientific form tells which.
  auto result = std::to_chars(buffer.data(), last, value, std::chars_format::scientific);
  std::string_view text(buffer.data(), static_cast<size_t>(result.ptr - buffer.data()));
  const size_t mark = text.rfind('e');
  int exponent = 0;
  const size_t sign = text[mark + 1] == '+' ? 2 : 1;
  std::from_chars(text.data() + mark + sign, text.data() + text.size(), exponent);
  if (exponent >= -4 && exponent < 6) {
    result = std::to_chars(buffer.data(), last, value, std::chars_format::fixed);
    text = {buffer.data(), static_cast<size_t>(result.ptr - buffer.data())};
  }
  out += text;
  if (text.find_first_of("e.") == std::string_view::npos) out += ".0";
}

}  // namespace ingest
