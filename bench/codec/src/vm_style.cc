#include "vm_style.h"

#include "core/varint.h"
#include "model/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>
#include <zstd.h>

namespace {

constexpr int64_t kInfinity = std::numeric_limits<int64_t>::max();
constexpr int64_t kMinusInfinity = std::numeric_limits<int64_t>::min();
constexpr int64_t kStale = kInfinity - 1;
constexpr int64_t kMax = kInfinity - 2;
constexpr int64_t kMin = kMinusInfinity + 1;

bool is_special(int64_t mantissa) {
  return mantissa > kMax || mantissa < kMin;
}

struct Decimal {
  int64_t mantissa = 0;
  int exponent = 0;
};

// 12 to 15 digits: enough for its users, not for every float64.
Decimal fraction_to_decimal(double value) {
  int exponent = 0;
  double precision = 1e12;
  if (value > 1e6 || value < 1e-6) {
    if (value > 1e6) precision = 1e15;
    int binary = 0;
    std::frexp(value, &binary);
    binary = std::clamp(binary, -1022, 1023);
    exponent = static_cast<int>(binary * (std::numbers::ln2 / std::numbers::ln10));
    value *= std::pow(10.0, -exponent);
  }
  while (value < precision) {
    double whole = 0;
    const double rest = std::modf(value, &whole);
    if (rest * precision < whole) {
      value = whole;
      break;
    }
    if ((1 - rest) * precision < whole) {
      value = whole + 1;
      break;
    }
    value *= 100;
    exponent -= 2;
  }
  const auto mantissa = static_cast<uint64_t>(value);
  if (mantissa % 10 != 0) return {static_cast<int64_t>(mantissa), exponent};
  return {static_cast<int64_t>(mantissa / 10), exponent + 1};
}

Decimal positive_to_decimal(double value) {
  if (value >= 0x1p64) return fraction_to_decimal(value);
  auto whole = static_cast<uint64_t>(value);
  if (static_cast<double>(whole) != value) return fraction_to_decimal(value);
  int exponent = 0;
  while (whole >= uint64_t{1} << 55U || (whole != 0 && whole % 10 == 0)) {
    whole /= 10;
    ++exponent;
  }
  return {static_cast<int64_t>(whole), exponent};
}

Decimal to_decimal(double value) {
  if (value == 0) return {};
  if (std::isnan(value)) return {kStale, 0};
  if (std::isinf(value)) return {value > 0 ? kInfinity : kMinusInfinity, 0};
  Decimal decimal = positive_to_decimal(std::fabs(value));
  if (value < 0) decimal.mantissa = -decimal.mantissa;
  return decimal;
}

// How often a mantissa can be multiplied by ten.
int room_above(int64_t mantissa) {
  if (mantissa == 0 || is_special(mantissa)) return 1024;
  uint64_t size = static_cast<uint64_t>(std::abs(mantissa));
  int room = 0;
  while (room < 18 && size <= static_cast<uint64_t>(kInfinity) / 10) {
    size *= 10;
    ++room;
  }
  return room;
}

int to_common_exponent(std::vector<Decimal>& decimals) {
  int least = std::numeric_limits<int>::max();
  for (const Decimal& one : decimals) {
    if (!is_special(one.mantissa)) least = std::min(least, one.exponent);
  }
  if (least == std::numeric_limits<int>::max()) least = 0;
  int too_far = 0;
  for (const Decimal& one : decimals) {
    too_far = std::max(too_far, one.exponent - least - room_above(one.mantissa));
  }
  least += too_far;
  for (Decimal& one : decimals) {
    if (is_special(one.mantissa) || one.mantissa == 0) continue;
    for (; one.exponent > least; --one.exponent) one.mantissa *= 10;
    for (; one.exponent < least; ++one.exponent) one.mantissa /= 10;
  }
  return least;
}

bool is_gauge(std::span<const int64_t> values) {
  size_t extremes = 0;
  bool rising = values[0] <= values[1];
  for (size_t i = 2; i < values.size(); ++i) {
    if (rising ? values[i] < values[i - 1] : values[i] > values[i - 1]) {
      ++extremes;
      rising = !rising;
    }
  }
  return extremes > 2 && extremes > values.size() / 32;
}

int64_t minus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

size_t integers_size(std::span<const int64_t> values) {
  std::string head;
  head.push_back('\0');  // type
  core::append_zigzag(head, values[0]);
  if (std::all_of(values.begin(), values.end(), [&](int64_t one) { return one == values[0]; })) {
    return head.size();
  }
  const int64_t first_delta = minus(values[1], values[0]);
  bool steady = true;
  for (size_t i = 2; i < values.size(); ++i) {
    steady &= minus(values[i], values[i - 1]) == first_delta;
  }
  std::string body;
  if (steady) {
    core::append_zigzag(body, first_delta);
    return head.size() + body.size();
  }
  if (is_gauge(values)) {
    for (size_t i = 1; i < values.size(); ++i) {
      core::append_zigzag(body, minus(values[i], values[i - 1]));
    }
  } else {
    core::append_zigzag(body, first_delta);
    int64_t before = first_delta;
    for (size_t i = 2; i < values.size(); ++i) {
      const int64_t delta = minus(values[i], values[i - 1]);
      core::append_zigzag(body, minus(delta, before));
      before = delta;
    }
  }
  if (body.size() >= 128) {
    std::string packed(ZSTD_compressBound(body.size()), '\0');
    const size_t size =
        ZSTD_compress(packed.data(), packed.size(), body.data(), body.size(), kVmZstdLevel);
    if (ZSTD_isError(size) == 0 &&
        static_cast<double>(size) <= 0.9 * static_cast<double>(body.size())) {
      return head.size() + size;
    }
  }
  return head.size() + body.size();
}

double to_double(Decimal decimal) {
  if (decimal.mantissa == kInfinity) return std::numeric_limits<double>::infinity();
  if (decimal.mantissa == kMinusInfinity) return -std::numeric_limits<double>::infinity();
  if (decimal.mantissa == kStale) return model::stale_nan();
  const auto mantissa = static_cast<double>(decimal.mantissa);
  return decimal.exponent < 0 ? mantissa / std::pow(10.0, -decimal.exponent)
                              : mantissa * std::pow(10.0, decimal.exponent);
}

}  // namespace

size_t vm_timestamps_size(std::span<const int64_t> timestamps_ms) {
  return integers_size(timestamps_ms);
}

VmValues vm_values_size(std::span<const double> values) {
  std::vector<Decimal> decimals;
  decimals.reserve(values.size());
  for (const double value : values) decimals.push_back(to_decimal(value));
  const int exponent = to_common_exponent(decimals);
  std::vector<int64_t> mantissas;
  VmValues result;
  for (size_t i = 0; i < values.size(); ++i) {
    mantissas.push_back(decimals[i].mantissa);
    const double back = to_double({decimals[i].mantissa, exponent});
    result.altered += model::same_bits(back, values[i]) ? 0 : 1;
  }
  result.size = integers_size(mantissas) + 1;  // the exponent
  return result;
}
