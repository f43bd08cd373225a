// Numbers as exposition formats write them.

#pragma once

#include <string>
#include <string_view>

namespace ingest {

// The whole of `text` as a number, as Prometheus takes it (Go's strconv.ParseFloat without
// hexadecimals and underscores): decimal with an optional exponent, [+-]Inf, [+-]Infinity
// and NaN in any case, correctly rounded. False for anything else, also when a number does
// not fit into a double.
bool parse_exposition_float(std::string_view text, double& value);

// A decimal number at the front of [at, end). Null when it needs the long way: too many
// digits, a word, or none at all. Otherwise where it ends; what follows is for the caller
// to judge.
const char* parse_short_float(const char* at, const char* end, double& value);

// Prometheus 3 writes the values of `le` and `quantile` in one form, whatever the target
// wrote: Go's shortest form, with ".0" where it would look like an integer.
void append_label_float(std::string& out, double value);

// The canonical NaN of a sample that is not a number (Prometheus' NormalNaN).
double sample_nan();

}  // namespace ingest
