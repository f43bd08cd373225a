// Integers as bit-packed differences: the column under timestamps and decimal values.
//
//   kind, then by kind                                     (docs/formats/chunk.md)
//   Constant  first
//   Linear    first, step                                  v[i] = first + i * step
//   Plain     first, shift, blocks of v[i] - first
//   Delta     first, shift, blocks of first differences
//   Delta2    first, shift, blocks of second differences
//
// Differences are taken modulo 2^64, so every int64 survives. They are shifted right
// by the zero bits that all of them share (memory comes in pages), cut into blocks of
// 64 and packed with the width that the block needs above its minimum (frame of
// reference: Goldstein et al., ICDE 1998). The kind with the fewest bytes wins.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace encoding {

// A chunk never holds more: bounds what a decoder may be asked to produce.
inline constexpr size_t kColumnSizeMax = 1024;

// Appends the column. Precondition: 1 <= values.size() <= kColumnSizeMax.
void append_int_column(std::string& out, std::span<const int64_t> values);

// Takes a column of out.size() values off the front of `bytes`; false when they are
// not such a column.
[[nodiscard]] bool take_int_column(std::string_view& bytes, std::span<int64_t> out);

}  // namespace encoding
