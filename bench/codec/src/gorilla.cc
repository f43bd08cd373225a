#include "gorilla.h"

#include <bit>

namespace {

// Prometheus's classes of the delta of deltas: 14, 17 and 20 bits.
size_t delta2_bits(int64_t delta2) {
  const auto fits = [&](unsigned bits) {
    return delta2 >= -((int64_t{1} << (bits - 1)) - 1) && delta2 <= int64_t{1} << (bits - 1);
  };
  if (delta2 == 0) return 1;
  if (fits(14)) return 2 + 14;
  if (fits(17)) return 3 + 17;
  if (fits(20)) return 4 + 20;
  return 4 + 64;
}

size_t varint_bits(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7 * 8;
}

}  // namespace

GorillaSize gorilla_size(std::span<const int64_t> timestamps_ms, std::span<const double> values) {
  GorillaSize size;
  size.value_bits = 16 + 64;  // the count of a chunk and the first value
  size.timestamp_bits = varint_bits(static_cast<uint64_t>(timestamps_ms[0]) << 1U);
  int64_t delta_before = 0;
  int leading_before = 0;
  int trailing_before = 0;
  bool window = false;
  for (size_t i = 1; i < values.size(); ++i) {
    const int64_t delta = timestamps_ms[i] - timestamps_ms[i - 1];
    size.timestamp_bits +=
        i == 1 ? varint_bits(static_cast<uint64_t>(delta)) : delta2_bits(delta - delta_before);
    delta_before = delta;
    const uint64_t x = std::bit_cast<uint64_t>(values[i]) ^ std::bit_cast<uint64_t>(values[i - 1]);
    if (x == 0) {
      size.value_bits += 1;
      continue;
    }
    const int leading = std::countl_zero(x) > 31 ? 31 : std::countl_zero(x);
    const int trailing = std::countr_zero(x);
    if (window && leading >= leading_before && trailing >= trailing_before) {
      size.value_bits += 2 + static_cast<size_t>(64 - leading_before - trailing_before);
      continue;
    }
    leading_before = leading;
    trailing_before = trailing;
    window = true;
    size.value_bits += 2 + 5 + 6 + static_cast<size_t>(64 - leading - trailing);
  }
  return size;
}
