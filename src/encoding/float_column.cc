#include "encoding/float_column.h"

#include "core/bytes.h"
#include "core/varint.h"
#include "encoding/int_column.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

namespace encoding {
namespace {

enum class Kind : uint8_t { Decimal = 0, Raw = 1 };

constexpr std::array<double, 13> kPowersOfTen = {1e0, 1e1, 1e2, 1e3,  1e4,  1e5, 1e6,
                                                 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
// Adding it leaves an integer in the low mantissa bits, rounded to even, as long as
// the sum stays between 2^52 and 2^53.
constexpr double kRounder = 0x1.8p52;
constexpr double kDecimalLimit = 0x1p51;
// One in so many values may be an exception (10 bytes each) before raw bits are smaller.
constexpr size_t kExceptionShare = 12;

uint64_t bits_of(double value) {
  return std::bit_cast<uint64_t>(value);
}

bool is_decimal(double value, double power) {
  const double scaled = value * power;
  if (!(std::fabs(scaled) < kDecimalLimit)) return false;
  const double rounded = (scaled + kRounder) - kRounder;
  return bits_of(rounded / power) == bits_of(value);
}

// The smallest exponent at which all but a few values are decimal.
std::optional<size_t> find_exponent(std::span<const double> values) {
  const size_t exceptions_max = values.size() / kExceptionShare + 1;
  size_t exponent = 0;
  size_t exceptions = 0;
  for (const double value : values) {
    if (is_decimal(value, kPowersOfTen[exponent])) continue;
    size_t wider = exponent + 1;
    while (wider < kPowersOfTen.size() && !is_decimal(value, kPowersOfTen[wider])) ++wider;
    if (wider < kPowersOfTen.size()) {
      exponent = wider;
    } else if (++exceptions > exceptions_max) {
      return std::nullopt;
    }
  }
  return exponent;
}

struct DecimalForm {
  std::array<int64_t, kColumnSizeMax> integers;
  std::array<uint16_t, kColumnSizeMax> exceptions;
  size_t exception_count = 0;
};

void to_decimal(std::span<const double> values, double power, DecimalForm& form) {
  constexpr auto kRounderBits = static_cast<int64_t>(std::bit_cast<uint64_t>(kRounder));
  bool all = true;
  for (size_t i = 0; i < values.size(); ++i) {
    const double scaled = values[i] * power;
    const double sum = scaled + kRounder;
    form.integers[i] = static_cast<int64_t>(bits_of(sum)) - kRounderBits;
    const bool good = (std::fabs(scaled) < kDecimalLimit) &
                      (bits_of((sum - kRounder) / power) == bits_of(values[i]));
    all &= good;
  }
  form.exception_count = 0;
  if (all) return;
  // An exception repeats its neighbour's integer, which costs the fewest bits.
  int64_t neighbour = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (is_decimal(values[i], power)) {
      neighbour = form.integers[i];
      break;
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (is_decimal(values[i], power)) {
      neighbour = form.integers[i];
    } else {
      form.integers[i] = neighbour;
      form.exceptions[form.exception_count++] = static_cast<uint16_t>(i);
    }
  }
}

void append_raw(std::string& out, std::span<const double> values) {
  std::array<int64_t, kColumnSizeMax> bits;
  std::memcpy(bits.data(), values.data(), values.size_bytes());
  out.push_back(static_cast<char>(Kind::Raw));
  append_int_column(out, std::span(bits).first(values.size()));
}

}  // namespace

void append_float_column(std::string& out, std::span<const double> values) {
  const std::optional<size_t> exponent = find_exponent(values);
  if (!exponent) return append_raw(out, values);
  DecimalForm form;
  to_decimal(values, kPowersOfTen[*exponent], form);
  // A higher exponent can push large values over the limit.
  if (form.exception_count > 2 * (values.size() / kExceptionShare + 1) ||
      form.exception_count == values.size()) {
    return append_raw(out, values);
  }
  out.push_back(static_cast<char>(Kind::Decimal));
  out.push_back(static_cast<char>(*exponent));
  core::append_varint(out, form.exception_count);
  for (size_t i = 0; i < form.exception_count; ++i) {
    core::append_varint(out, form.exceptions[i]);
    core::append_le(out, values[form.exceptions[i]]);
  }
  append_int_column(out, std::span(form.integers).first(values.size()));
}

bool take_float_column(std::string_view& bytes, std::span<double> out) {
  if (bytes.empty() || out.size() > kColumnSizeMax) return false;
  const auto kind = static_cast<Kind>(bytes.front());
  bytes.remove_prefix(1);
  std::array<int64_t, kColumnSizeMax> integers;
  const std::span<int64_t> column = std::span(integers).first(out.size());
  if (kind == Kind::Raw) {
    if (!take_int_column(bytes, column)) return false;
    std::memcpy(out.data(), column.data(), column.size_bytes());
    return true;
  }
  if (kind != Kind::Decimal || bytes.empty()) return false;

  const auto exponent = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  uint64_t exception_count = 0;
  if (exponent >= kPowersOfTen.size()) return false;
  if (!core::take_varint(bytes, exception_count) || exception_count > out.size()) return false;
  std::string_view exceptions = bytes;
  for (uint64_t i = 0; i < exception_count; ++i) {
    uint64_t at = 0;
    if (!core::take_varint(bytes, at) || at >= out.size()) return false;
    if (bytes.size() < sizeof(double)) return false;
    bytes.remove_prefix(sizeof(double));
  }

  if (!take_int_column(bytes, column)) return false;
  if (exponent == 0) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(column[i]);
  } else {
    const double power = kPowersOfTen[exponent];
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(column[i]) / power;
  }
  for (uint64_t i = 0; i < exception_count; ++i) {
    uint64_t at = 0;
    if (!core::take_varint(exceptions, at)) return false;
    out[at] = core::load_le<double>(exceptions);
    exceptions.remove_prefix(sizeof(double));
  }
  return true;
}

}  // namespace encoding
