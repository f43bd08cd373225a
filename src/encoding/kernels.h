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

struct Kernels {
  std::string_view name;

  // out[i] = base + the i-th number of `width` bits (1..56).
  void (*unpack)(const char* in, size_t count, unsigned width, uint64_t base, uint64_t* out);
  // The same with classes: bit k of the class of number i is bit i of plane k; planes are
  // `plane_size` bytes each.
  void (*unpack_classes)(const char* planes, size_t plane_size, const char* in, size_t count,
                         const ClassTable& table, uint64_t* out);
  // In place, wrapping: values[i] += values[i - 1], from the front.
  void (*prefix_sum)(uint64_t* values, size_t count);
  // out[i] = first + unit * in[i], wrapping. `in` may be `out`.
  void (*scale)(const uint64_t* in, size_t count, uint64_t unit, uint64_t first, int64_t* out);
  void (*to_doubles)(const int64_t* in, size_t count, const DecimalScale& scale, double* out);
  // The integers of values at a scale, and bit i of `bad` for those that do not come back bit for
  // bit (bits behind `count` are 0). Gives the number of bad ones.
  size_t (*to_integers)(const double* in, size_t count, const DecimalScale& scale, int64_t* out,
                        uint8_t* bad);
  // Whether every number is greater than the one before.
  bool (*is_rising)(const int64_t* in, size_t count);
  // Whether no value is less than the one before, and none but the first is NaN.
  bool (*never_falls)(const double* in, size_t count);
};

// What this machine can run, the fastest first; the last is the baseline.
std::span<const Kernels* const> available_kernels();
const Kernels& kernels();
// For tests: all work from now on uses these. Not while other threads encode or decode.
void force_kernels(const Kernels& chosen);

}  // namespace encoding
