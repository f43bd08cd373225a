#include "encoding/float_column.h"

#include "core/bytes.h"
#include "core/result.h"
#include "core/varint.h"
#include "encoding/int_column.h"
#include "encoding/kernels.h"
#include "encoding/packed_numbers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

namespace encoding {
namespace {

// Decimal = 0 is read only: it was written before there were packed numbers.
enum class Kind : uint8_t { Decimal = 0, Raw = 1 };
// A kind byte with this bit is a decimal one: exponent, form, whether exceptions follow.
constexpr uint8_t kDecimals = 0x40;
// With this bit all values are one: its integer follows, or its bits.
constexpr uint8_t kConstant = 0x80;
constexpr uint8_t kMultiplies = 0x10;
constexpr uint8_t kExceptionsFollow = 0x20;
constexpr uint8_t kExponentMask = 0x0f;

constexpr size_t kExponentCount = 16;
constexpr size_t kOldExponentCount = 13;
constexpr std::array<double, kExponentCount> kPowersOfTen = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
constexpr std::array<double, kExponentCount> kInverses = {1e0,   1e-1,  1e-2,  1e-3, 1e-4,  1e-5,
                                                          1e-6,  1e-7,  1e-8,  1e-9, 1e-10, 1e-11,
                                                          1e-12, 1e-13, 1e-14, 1e-15};
constexpr double kRounder = 0x1.8p52;
constexpr double kDecimalLimit = 0x1p51;

uint64_t bits_of(double value) {
  return std::bit_cast<uint64_t>(value);
}

struct Scale {
  size_t exponent = 0;
  bool multiply = false;

  DecimalScale for_kernels() const {
    return {kPowersOfTen[exponent], kInverses[exponent], multiply};
  }
};

// The same test as the kernels'.
bool is_decimal(double value, Scale scale) {
  const double scaled = value * kPowersOfTen[scale.exponent];
  if (!(std::fabs(scaled) < kDecimalLimit)) return false;
  const double rounded = (scaled + kRounder) - kRounder;
  const double back =
      scale.multiply ? rounded * kInverses[scale.exponent] : rounded / kPowersOfTen[scale.exponent];
  return bits_of(back) == bits_of(value);
}

// The smallest exponent from `scale`'s on at which `value` is decimal; kExponentCount if none.
size_t exponent_of(double value, Scale scale) {
  while (scale.exponent < kExponentCount && !is_decimal(value, scale)) ++scale.exponent;
  return scale.exponent;
}

// ---- choosing a scale ----

constexpr size_t kSampleSize = 16;
// An exception costs about so many bits, a digit more of every value this many tenths.
constexpr size_t kExceptionBits = 72;
constexpr size_t kDigitTenthBits = 33;
// From one exception in so many values on, raw bits are tried as well.
constexpr size_t kRawTriedShare = 16;

struct Sample {
  size_t count = 0;
  std::array<double, kSampleSize> values;
};

// Spread over the column. Without what is never decimal.
Sample sample_of(std::span<const double> values) {
  Sample sample;
  const size_t wanted = std::min(values.size(), kSampleSize);
  for (size_t i = 0; i < wanted; ++i) {
    const size_t at = wanted == 1 ? 0 : i * (values.size() - 1) / (wanted - 1);
    if (std::isfinite(values[at])) sample.values[sample.count++] = values[at];
  }
  return sample;
}

// The smallest exponent at which most of the sample is decimal.
std::optional<Scale> find_scale(const Sample& sample, bool multiply) {
  Scale scale{.exponent = 0, .multiply = multiply};
  size_t odd = 0;
  for (size_t i = 0; i < sample.count; ++i) {
    const size_t wider = exponent_of(sample.values[i], scale);
    if (wider < kExponentCount) {
      scale.exponent = wider;
    } else if (++odd * 2 > sample.count) {
      return std::nullopt;
    }
  }
  return scale;
}

// Values that are next to decimal: sums of decimals, which are off by some last places. The
// exponent must leave enough places between neighbours for that to be no accident.
std::optional<Scale> find_near_scale(const Sample& sample) {
  constexpr uint64_t kPlacesOff = 8;
  constexpr uint64_t kPlacesBetween = 512;
  if (sample.count == 0) return std::nullopt;
  for (const size_t exponent : {0U, 1U, 2U, 3U, 6U, 9U}) {
    size_t near = 0;
    for (size_t i = 0; i < sample.count; ++i) {
      const double value = std::fabs(sample.values[i]);
      const double scaled = value * kPowersOfTen[exponent];
      if (!(scaled < kDecimalLimit)) continue;
      const double rounded = (scaled + kRounder) - kRounder;
      const uint64_t places = bits_of(rounded / kPowersOfTen[exponent]) - bits_of(value);
      const uint64_t between = bits_of((rounded + 1) / kPowersOfTen[exponent]) -
                               bits_of(rounded / kPowersOfTen[exponent]);
      near += (places + kPlacesOff <= 2 * kPlacesOff && between >= kPlacesBetween) ? 1 : 0;
    }
    if (near * 4 >= sample.count * 3) return Scale{.exponent = exponent, .multiply = false};
  }
  return std::nullopt;
}

// ---- writing ----

struct DecimalForm {
  Scale scale;
  std::array<int64_t, kColumnSizeMax> integers;
  std::array<uint8_t, kColumnSizeMax / 8> bad;
  size_t bad_count = 0;

  void fill(std::span<const double> values, Scale with) {
    scale = with;
    bad_count = kernels().to_integers(values.data(), values.size(), scale.for_kernels(),
                                      integers.data(), bad.data());
  }
};

// Fills the form, with a wider exponent where that costs less than the exceptions.
void fill_decimal(std::span<const double> values, Scale scale, DecimalForm& form) {
  constexpr int kTries = 3;
  form.fill(values, scale);
  for (int attempt = 0; attempt < kTries && form.bad_count > 0; ++attempt) {
    size_t wider = kExponentCount;
    for (size_t i = 0, seen = 0; i < values.size() && seen < 4; ++i) {
      if (((form.bad[i / 8] >> (i % 8)) & 1U) == 0 || !std::isfinite(values[i])) continue;
      ++seen;
      wider = std::min(wider, exponent_of(values[i], form.scale));
    }
    if (wider == kExponentCount) return;
    const size_t digits = wider - form.scale.exponent;
    if (digits * kDigitTenthBits * values.size() / 10 > form.bad_count * kExceptionBits) return;
    const Scale before = form.scale;
    const size_t bad_before = form.bad_count;
    form.fill(values, {.exponent = wider, .multiply = scale.multiply});
    if (form.bad_count >= bad_before) return form.fill(values, before);
  }
}

// What an exception is stored as: how far its bits are from those of its integer.
struct Corrections {
  size_t count = 0;
  std::array<int64_t, kColumnSizeMax> gaps;
  std::array<int64_t, kColumnSizeMax> differences;
};

void find_corrections(std::span<const double> values, DecimalForm& form, Corrections& found) {
  const DecimalScale scale = form.scale.for_kernels();
  found.count = 0;
  size_t next = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (((form.bad[i / 8] >> (i % 8)) & 1U) == 0) continue;
    // Where nothing is near, the integer before costs the fewest bits.
    if (!(std::fabs(values[i] * scale.power) < kDecimalLimit)) {
      form.integers[i] = i > 0 ? form.integers[i - 1] : 0;
    }
    const auto integer = static_cast<double>(form.integers[i]);
    const double back = scale.multiply ? integer * scale.inverse : integer / scale.power;
    found.gaps[found.count] = static_cast<int64_t>(i - next);
    found.differences[found.count] = static_cast<int64_t>(bits_of(values[i]) - bits_of(back));
    next = i + 1;
    ++found.count;
  }
}

// The first integers may be those of exceptions, with nothing before them.
void fill_front(size_t count, DecimalForm& form) {
  size_t good = 0;
  while (good < count && ((form.bad[good / 8] >> (good % 8)) & 1U) != 0) ++good;
  if (good == count) return;
  std::fill_n(form.integers.begin(), good, form.integers[good]);
}

void append_decimal(std::string& out, std::span<const double> values, DecimalForm& form,
                    Effort effort) {
  static thread_local Corrections corrections;
  corrections.count = 0;
  if (form.bad_count > 0) {
    fill_front(values.size(), form);
    find_corrections(values, form, corrections);
  }
  out.push_back(static_cast<char>(kDecimals | form.scale.exponent |
                                  (form.scale.multiply ? kMultiplies : 0U) |
                                  (corrections.count > 0 ? kExceptionsFollow : 0U)));
  append_int_column(out, std::span(form.integers).first(values.size()), Xor::Leave, effort);
  if (corrections.count == 0) return;
  core::append_varint(out, corrections.count);
  append_packed_numbers(out, std::span(corrections.gaps).first(corrections.count), effort);
  append_packed_numbers(out, std::span(corrections.differences).first(corrections.count), effort);
}

void append_raw(std::string& out, std::span<const double> values, Effort effort) {
  std::array<int64_t, kColumnSizeMax> bits;
  std::memcpy(bits.data(), values.data(), values.size_bytes());
  out.push_back(static_cast<char>(Kind::Raw));
  append_int_column(out, std::span(bits).first(values.size()), Xor::Try, effort);
}

bool all_the_same(std::span<const double> values) {
  const uint64_t first = bits_of(values[0]);
  uint64_t different = 0;
  for (const double value : values) different |= bits_of(value) ^ first;
  return different == 0;
}

void append_constant(std::string& out, double value) {
  for (const bool multiply : {false, true}) {
    const Scale scale{.exponent = exponent_of(value, {.exponent = 0, .multiply = multiply}),
                      .multiply = multiply};
    if (scale.exponent >= kExponentCount) continue;
    const double scaled = value * kPowersOfTen[scale.exponent];
    std::string decimal;
    core::append_zigzag(decimal, static_cast<int64_t>((scaled + kRounder) - kRounder));
    if (decimal.size() > sizeof(double)) continue;
    out.push_back(
        static_cast<char>(kConstant | kDecimals | scale.exponent | (multiply ? kMultiplies : 0U)));
    out.append(decimal);
    return;
  }
  out.push_back(static_cast<char>(kConstant | static_cast<uint8_t>(Kind::Raw)));
  core::append_le(out, bits_of(value));
}

}  // namespace

void append_float_column(std::string& out, std::span<const double> values, Effort effort) {
  ENSURE(!values.empty() && values.size() <= kColumnSizeMax);
  if (all_the_same(values)) return append_constant(out, values[0]);
  static thread_local DecimalForm form;  // too large for small stacks
  const Sample sample = sample_of(values);
  std::optional<Scale> divided = find_scale(sample, false);
  std::optional<Scale> multiplied =
      divided && divided->exponent == 0 ? std::nullopt : find_scale(sample, true);
  // A product often is a decimal of some more digits, and the other way round.
  if (!divided || (multiplied && multiplied->exponent < divided->exponent)) {
    std::swap(divided, multiplied);
  }
  std::optional<Scale> chosen = divided;
  if (!chosen || chosen->exponent >= 10) {
    if (const std::optional<Scale> near = find_near_scale(sample)) chosen = near;
  }
  if (!chosen) return append_raw(out, values, effort);
  fill_decimal(values, *chosen, form);
  if (form.bad_count > 0 && multiplied && multiplied->exponent <= form.scale.exponent + 1) {
    const Scale before = form.scale;
    const size_t bad_before = form.bad_count;
    fill_decimal(values, *multiplied, form);
    if (form.bad_count >= bad_before) form.fill(values, before);
  }
  const size_t begin = out.size();
  append_decimal(out, values, form, effort);
  if (form.bad_count * kRawTriedShare < values.size() && out.size() - begin < 5 * values.size()) {
    return;
  }
  std::string raw;
  append_raw(raw, values, effort);
  if (raw.size() < out.size() - begin) out.replace(begin, std::string::npos, raw);
}

namespace {

bool take_decimals(std::string_view& bytes, uint8_t kind, std::span<double> out, size_t from) {
  const Scale scale{.exponent = kind & size_t{kExponentMask},
                    .multiply = (kind & kMultiplies) != 0};
  if (!take_decimal_column(bytes, scale.for_kernels(), out, from)) return false;
  if ((kind & kExceptionsFollow) == 0) return true;

  uint64_t count = 0;
  if (!core::take_varint(bytes, count) || count == 0 || count > out.size()) return false;
  std::array<uint64_t, kColumnSizeMax> gaps;
  std::array<uint64_t, kColumnSizeMax> differences;
  if (!take_packed_numbers(bytes, count, gaps.data()) ||
      !take_packed_numbers(bytes, count, differences.data())) {
    return false;
  }
  size_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    if (gaps[i] >= out.size() - next) return false;
    const size_t at = next + gaps[i];
    next = at + 1;
    if (at < from) continue;
    out[at] = std::bit_cast<double>(bits_of(out[at]) + differences[i]);
  }
  return true;
}

bool take_raw(std::string_view& bytes, std::span<double> out) {
  std::array<int64_t, kColumnSizeMax> bits;
  if (!take_int_column(bytes, std::span(bits).first(out.size()))) return false;
  std::memcpy(out.data(), bits.data(), out.size_bytes());
  return true;
}

bool take_constant(std::string_view& bytes, uint8_t kind, std::span<double> out) {
  double value = 0;
  if ((kind & kDecimals) != 0) {
    int64_t integer = 0;
    if ((kind & kExceptionsFollow) != 0 || !core::take_zigzag(bytes, integer)) return false;
    const Scale scale{.exponent = kind & size_t{kExponentMask},
                      .multiply = (kind & kMultiplies) != 0};
    const auto number = static_cast<double>(integer);
    value =
        scale.multiply ? number * kInverses[scale.exponent] : number / kPowersOfTen[scale.exponent];
  } else {
    if (kind != (kConstant | static_cast<uint8_t>(Kind::Raw))) return false;
    if (bytes.size() < sizeof(value)) return false;
    value = core::load_le<double>(bytes);
    bytes.remove_prefix(sizeof(value));
  }
  std::fill(out.begin(), out.end(), value);
  return true;
}

bool take_old_decimals(std::string_view& bytes, std::span<double> out) {
  if (bytes.empty()) return false;
  std::array<int64_t, kColumnSizeMax> integers;
  const std::span<int64_t> column = std::span(integers).first(out.size());
  const auto exponent = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  uint64_t exception_count = 0;
  if (exponent >= kOldExponentCount) return false;
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

}  // namespace

bool take_float_column(std::string_view& bytes, std::span<double> out, size_t from) {
  if (bytes.empty() || out.empty() || out.size() > kColumnSizeMax) return false;
  const auto kind = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  if ((kind & kConstant) != 0) return take_constant(bytes, kind, out);
  if ((kind & kDecimals) != 0) return take_decimals(bytes, kind, out, from);
  if (kind == static_cast<uint8_t>(Kind::Raw)) return take_raw(bytes, out);
  return kind == static_cast<uint8_t>(Kind::Decimal) && take_old_decimals(bytes, out);
}

std::string float_column_kind(std::string_view bytes) {
  if (bytes.empty()) return {};
  const auto kind = static_cast<uint8_t>(bytes.front());
  const bool is_old = kind == static_cast<uint8_t>(Kind::Decimal);
  const bool is_decimal = is_old || (kind & kDecimals) != 0;
  std::string name = is_decimal ? "decimal " : "raw ";
  if ((kind & kConstant) != 0) return name + "constant";
  // The old form has its exceptions in between.
  if (is_old) return name + "of version 1";
  const std::string_view integers = int_column_kind(bytes.substr(1));
  if (integers.empty()) return {};
  name += integers;
  if (is_decimal && (kind & kExceptionsFollow) != 0) name += ", exceptions";
  return name;
}

}  // namespace encoding
