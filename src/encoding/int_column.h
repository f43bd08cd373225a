// Integers: the column under timestamps and decimal values.
//
//   kind, first value, by kind                              (docs/formats/chunk.md)
//   Constant
//   Linear    step                          v[i] = first + i * step
//   Packed... [unit], [step], numbers       v[i] = first + unit * u[i]
//
// The numbers are u itself, its differences, the differences of these, or what u differs from
// a straight line (timestamps that jitter around their slots); u is counted in the greatest
// common divisor of all. Arithmetic wraps at 2^64, so every int64 survives. The form with the
// fewest bytes wins.

#pragma once

#include "encoding/packed_numbers.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace encoding {

// A chunk never holds more: bounds what a decoder may be asked to produce.
inline constexpr size_t kColumnSizeMax = 1024;

// Whether to try what consecutive values differ in as bits: for bits of float64s.
enum class Xor : uint8_t { Leave, Try };

// Appends the column. Precondition: 1 <= values.size() <= kColumnSizeMax.
void append_int_column(std::string& out, std::span<const int64_t> values, Xor with_xor = Xor::Leave,
                       Effort effort = Effort::Best);

// Takes a column of out.size() values off the front of `bytes`; false when they are
// not such a column. Those before `from` need not be in `out` afterwards.
[[nodiscard]] bool take_int_column(std::string_view& bytes, std::span<int64_t> out,
                                   size_t from = 0);
// The same of a column of decimals: its integers, divided or multiplied as `scale` says.
[[nodiscard]] bool take_decimal_column(std::string_view& bytes, const DecimalScale& scale,
                                       std::span<double> out, size_t from = 0);

// What docs/formats/chunk.md calls the kind of the column at the front of `bytes`: "constant",
// "linear", "plain", "delta", "delta of deltas", "trend", "xor". Empty when there is none.
std::string_view int_column_kind(std::string_view bytes);

}  // namespace encoding
