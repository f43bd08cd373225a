// The inner loops of the codec and of reading, one set per instruction set: AVX-512 with VBMI,
// AVX2, and baseline, chosen at run time. All sets write the same bytes and read the same values.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace encoding {

// Loops read up to so many bytes behind packed numbers, and write whole groups of eight.
inline constexpr size_t kReadSlack = 72;
inline constexpr size_t kGroup = 8;

inline constexpr size_t kClassesMax = 8;
// A number of up to 56 bits at any bit offset lies within one 8-byte load.
inline constexpr unsigned kClassWidthMax = 56;

// Numbers in [base, base + 2^width) belong to a class and are stored as `width` bits.
struct ClassTable {
  size_t count = 1;
  std::array<uint8_t, kClassesMax> width{};
  std::array<uint64_t, kClassesMax> base{};
};

// How decimal values become integers: value = integer / power, or integer * inverse.
struct DecimalScale {
  double power = 1;
  double inverse = 1;
  bool multiply = false;
};

// How packed numbers become the values of a column: value i is unit * (number i, summed up so many
// times) + first, or unit * (number i + step * (i + 1)) + first where nothing is summed up. All of
// it wraps.
struct Restoring {
  unsigned sums = 0;  // 0..2
  uint64_t step = 0;  // 0 where there are sums
  uint64_t unit = 1;
  uint64_t first = 0;
  size_t from = 0;  // values before this place need not be right
};

inline constexpr double kReachRoom = 1.001;

// Windows over a column: where the first and the last of its values stand, by how much what lies
// between them is stretched, how long that is, and how far it is from there to the left end.
struct WindowColumns {
  size_t count = 0;
  const uint32_t* first = nullptr;
  const uint32_t* last = nullptr;
  const double* factor = nullptr;
  const double* sampled_s = nullptr;
  const double* to_start_s = nullptr;
};

struct Kernels {
  std::string_view name;

  // out[i] = base + the i-th number of `width` bits (1..56).
  void (*unpack)(const char* in, size_t count, unsigned width, uint64_t base, uint64_t* out);
  // The same with classes: bit k of the class of number i is bit i of plane k; planes are
  // `plane_size` bytes each, and kReadSlack can be read behind them, too. Gives how many bits the
  // numbers take. Of `in` all can be read that numbers of the widest class would take; what lies
  // behind the numbers does not count.
  size_t (*unpack_classes)(const char* planes, size_t plane_size, const char* in, size_t count,
                           const ClassTable& table, uint64_t* out);
  // Numbers are read up to whole groups. `in` may be `out`.
  void (*restore)(const uint64_t* in, size_t count, const Restoring& how, int64_t* out);
  void (*restore_doubles)(const uint64_t* in, size_t count, const Restoring& how,
                          const DecimalScale& scale, double* out);
  // The integers of values at a scale, and bit i of `bad` for those that do not come back bit for
  // bit (bits behind `count` are 0). Gives the number of bad ones.
  size_t (*to_integers)(const double* in, size_t count, const DecimalScale& scale, int64_t* out,
                        uint8_t* bad);
  // out[i] = first + i * step, wrapping.
  void (*linear)(uint64_t first, uint64_t step, size_t count, int64_t* out);
  // Whether every number is greater than the one before.
  bool (*is_rising)(const int64_t* in, size_t count);
  // Whether no value is less than the one before, and none but the first is NaN.
  bool (*never_falls)(const double* in, size_t count);
  // sums[i] += in[i]; `lost` takes what rounding loses (Neumaier), 0 where the sum is infinite.
  void (*add_with_lost)(const double* in, size_t count, double* sums, double* lost);
  // out[i] = difference of a window's last and first value, times its factor. Gives whether there
  // is a window in which may_reach_zero().
  bool (*window_increases)(const double* values, const WindowColumns& windows, double* out);
};

// Whether a counter that rose from `first` by `increase` in `sampled_s`, continued to the left,
// could be zero within `to_start_s`. Dividing is dear, so that these are products, with some room.
inline bool may_reach_zero(double first, double increase, double sampled_s, double to_start_s) {
  return increase > 0 && first >= 0 && first * sampled_s <= kReachRoom * (to_start_s * increase);
}

// What this machine can run, the fastest first; the last is the baseline.
std::span<const Kernels* const> available_kernels();
const Kernels& kernels();
// For tests: all work from now on uses these. Not while other threads encode or decode.
void force_kernels(const Kernels& chosen);

}  // namespace encoding
