#include "encoding/kernels.h"

#include "encoding/kernels_baseline.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace encoding {
namespace {

uint64_t load_word(const char* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

void unpack(const char* in, size_t count, unsigned width, uint64_t base, uint64_t* out) {
  const uint64_t mask = (uint64_t{1} << width) - 1;
  size_t bit = 0;
  for (size_t i = 0; i < count; ++i) {
    out[i] = ((load_word(in + (bit >> 3U)) >> (bit & 7U)) & mask) + base;
    bit += width;
  }
}

size_t unpack_classes(const char* planes, size_t plane_size, const char* in, size_t count,
                      const ClassTable& table, uint64_t* out) {
  std::array<uint64_t, kClassesMax> masks{};
  for (size_t i = 0; i < table.count; ++i) masks[i] = (uint64_t{1} << table.width[i]) - 1;
  const auto plane_count = static_cast<unsigned>(std::bit_width(table.count - 1));
  size_t bit = 0;
  for (size_t begin = 0; begin < count; begin += kGroup) {
    std::array<unsigned, 3> plane{};
    for (unsigned k = 0; k < plane_count; ++k) {
      plane[k] = static_cast<uint8_t>(planes[k * plane_size + begin / kGroup]);
    }
    const size_t here = std::min(kGroup, count - begin);
    for (size_t i = 0; i < here; ++i) {
      const unsigned id =
          ((plane[0] >> i) & 1U) | (((plane[1] >> i) & 1U) << 1U) | (((plane[2] >> i) & 1U) << 2U);
      out[begin + i] = ((load_word(in + (bit >> 3U)) >> (bit & 7U)) & masks[id]) + table.base[id];
      bit += table.width[id];
    }
  }
  return bit;
}

// Gives every value to `take`, with its place.
template <typename Take>
void for_restored(const uint64_t* in, size_t count, const Restoring& how, const Take& take) {
  uint64_t sum = 0;
  uint64_t sum_of_sums = 0;
  uint64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += in[i];
    sum_of_sums += sum;
    offset += how.step;
    const uint64_t number = how.sums == 0 ? in[i] + offset : how.sums == 1 ? sum : sum_of_sums;
    take(i, static_cast<int64_t>(how.first + how.unit * number));
  }
}

void restore(const uint64_t* in, size_t count, const Restoring& how, int64_t* out) {
  for_restored(in, count, how, [&](size_t i, int64_t value) { out[i] = value; });
}

void restore_doubles(const uint64_t* in, size_t count, const Restoring& how,
                     const DecimalScale& scale, double* out) {
  for_restored(in, count, how,
               [&](size_t i, int64_t value) { out[i] = static_cast<double>(value); });
  if (scale.power == 1) return;
  if (scale.multiply) {
    for (size_t i = 0; i < count; ++i) out[i] *= scale.inverse;
  } else {
    for (size_t i = 0; i < count; ++i) out[i] /= scale.power;
  }
}

size_t to_integers(const double* in, size_t count, const DecimalScale& scale, int64_t* out,
                   uint8_t* bad) {
  constexpr auto kRounderBits = std::bit_cast<uint64_t>(kRounder);
  std::fill_n(bad, (count + 7) / 8, uint8_t{0});
  size_t bad_count = 0;
  for (size_t i = 0; i < count; ++i) {
    const double scaled = in[i] * scale.power;
    const double sum = scaled + kRounder;
    const double rounded = sum - kRounder;
    const double back = scale.multiply ? rounded * scale.inverse : rounded / scale.power;
    out[i] = static_cast<int64_t>(std::bit_cast<uint64_t>(sum) - kRounderBits);
    const bool good = std::fabs(scaled) < kDecimalLimit &&
                      std::bit_cast<uint64_t>(back) == std::bit_cast<uint64_t>(in[i]);
    if (good) continue;
    bad[i / 8] = static_cast<uint8_t>(bad[i / 8] | (1U << (i % 8)));
    ++bad_count;
  }
  return bad_count;
}

// By the block, so that what falls early is told early.
constexpr size_t kChecked = 64;

bool is_rising(const int64_t* in, size_t count) {
  for (size_t i = 1; i < count; i += kChecked) {
    bool good = true;
    for (size_t j = i; j < std::min(count, i + kChecked); ++j) good &= in[j] > in[j - 1];
    if (!good) return false;
  }
  return true;
}

bool never_falls(const double* in, size_t count) {
  for (size_t i = 1; i < count; i += kChecked) {
    bool good = true;
    for (size_t j = i; j < std::min(count, i + kChecked); ++j) good &= in[j] >= in[j - 1];
    if (!good) return false;
  }
  return true;
}

void linear(uint64_t first, uint64_t step, size_t count, int64_t* out) {
  for (size_t i = 0; i < count; ++i) {
    out[i] = static_cast<int64_t>(first);
    first += step;
  }
}

void add_with_lost(const double* in, size_t count, double* sums, double* lost) {
  for (size_t i = 0; i < count; ++i) {
    const double sum = sums[i];
    const double value = in[i];
    const double total = sum + value;
    // Of the two the greater in magnitude first, so that nothing but rounding is lost.
    const bool in_order = std::fabs(sum) >= std::fabs(value);
    const double large = in_order ? sum : value;
    const double small = in_order ? value : sum;
    const double more = lost[i] + ((large - total) + small);
    lost[i] = std::fabs(total) == std::numeric_limits<double>::infinity() ? 0 : more;
    sums[i] = total;
  }
}

bool window_increases(const double* values, const WindowColumns& windows, double* out) {
  bool any = false;
  for (size_t i = 0; i < windows.count; ++i) {
    const double first = values[windows.first[i]];
    const double increase = values[windows.last[i]] - first;
    out[i] = increase * windows.factor[i];
    any |= may_reach_zero(first, increase, windows.sampled_s[i], windows.to_start_s[i]);
  }
  return any;
}

std::vector<const Kernels*> find_available() {
  std::vector<const Kernels*> found;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("fma")) {
    found.push_back(&kAvx512Kernels);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2")) {
    found.push_back(&kAvx2Kernels);
  }
#endif
  found.push_back(&kBaselineKernels);
  return found;
}

std::atomic<const Kernels*>& chosen_kernels() {
  static std::atomic<const Kernels*> chosen = available_kernels().front();
  return chosen;
}

}  // namespace

constinit const Kernels kBaselineKernels = {
    .name = "baseline",
    .unpack = unpack,
    .unpack_classes = unpack_classes,
    .restore = restore,
    .restore_doubles = restore_doubles,
    .to_integers = to_integers,
    .linear = linear,
    .is_rising = is_rising,
    .never_falls = never_falls,
    .add_with_lost = add_with_lost,
    .window_increases = window_increases,
};

std::span<const Kernels* const> available_kernels() {
  static const std::vector<const Kernels*> available = find_available();
  return available;
}

const Kernels& kernels() {
  return *chosen_kernels().load(std::memory_order_relaxed);
}

void force_kernels(const Kernels& chosen) {
  chosen_kernels().store(&chosen, std::memory_order_relaxed);
}

}  // namespace encoding
