// The canonical text of an expression, as Prometheus prints it.

#pragma once

#include "promql/ast.h"

#include <string>

namespace promql {

// One line. parse(print(e)) gives an equal tree.
std::string print(const Expr& expr);
// Broken over lines where one would pass 100 columns: what /api/v1/format_query gives.
std::string pretty_print(const Expr& expr);

// Go's %v of a float64: shortest digits, exponent form outside 1e-4 .. 1e21.
std::string format_number(double value);
// Go's strconv.FormatFloat(value, 'f', -1, 64): never an exponent.
std::string format_plain(double value);

}  // namespace promql
