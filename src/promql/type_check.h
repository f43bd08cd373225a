// The checks behind the grammar: argument counts and types, matching modifiers.

#pragma once

#include "core/result.h"
#include "promql/ast.h"

#include <string_view>

namespace promql {

// The form of all parse errors: "line:column: parse error: message".
core::Error parse_error(std::string_view text, uint32_t at, std::string_view message);

// The first error in Prometheus's order of checks. Marks the second argument of
// info() as one that may match everything.
core::Result<void> check_types(Expr& expr, std::string_view text);

}  // namespace promql
