// Float64 values, bit-exact.
//
// Most metrics are decimal: 0.1 steps, counts, bytes. Such a value is an integer over a
// power of ten, and integers pack ten times better than the bits of a double (VictoriaMetrics
// does the same). A value counts as decimal at exponent e only when dividing the integer
// by 10^e gives back the very same bits, or, for a column that is better described so,
// multiplying it by 10^-e (nanoseconds * 1e-9). The others (NaN, the stale marker, -0, a sum
// of decimals that is a last place off) are exceptions: how far their bits are from those of
// the integer beside them. A column with many of them is stored as the integers that its bits
// are.

#pragma once

#include "encoding/packed_numbers.h"

#include <span>
#include <string>
#include <string_view>

namespace encoding {

// Precondition: 1 <= values.size() <= kColumnSizeMax.
void append_float_column(std::string& out, std::span<const double> values,
                         Effort effort = Effort::Best);

// Takes a column of out.size() values off the front of `bytes`. Those before `from` need not be
// in `out` afterwards.
[[nodiscard]] bool take_float_column(std::string_view& bytes, std::span<double> out,
                                     size_t from = 0);

// How the column at the front of `bytes` is stored: "decimal", or "raw" where its values are no
// decimals, then the kind of its integers, then whether there are exceptions, as in "decimal
// delta, exceptions". Empty when there is none.
std::string float_column_kind(std::string_view bytes);

}  // namespace encoding
