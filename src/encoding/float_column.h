// Float64 values, bit-exact.
//
// Most metrics are decimal: 0.1 steps, counts, bytes. Such a value is an integer over a
// power of ten, and integers pack ten times better than the bits of a double (VictoriaMetrics
// does the same). A value counts as decimal at exponent e only when dividing the integer
// by 10^e gives back the very same bits; the others (NaN, the stale marker, -0, a rare
// odd one) are listed as exceptions by their raw bits. A column with many of them is
// stored as the integers that its bits are.

#pragma once

#include <span>
#include <string>
#include <string_view>

namespace encoding {

// Precondition: 1 <= values.size() <= kColumnSizeMax.
void append_float_column(std::string& out, std::span<const double> values);

// Takes a column of out.size() values off the front of `bytes`.
[[nodiscard]] bool take_float_column(std::string_view& bytes, std::span<double> out);

}  // namespace encoding
