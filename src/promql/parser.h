// Text to syntax tree. Errors read as Prometheus writes them, with line and column:
//
//   1:5: parse error: unexpected <op:+>
//
// Petrel's addition, off in strict mode: metric names may hold dots unquoted, as in
// `cpu.load > 0.8`.

#pragma once

#include "core/result.h"
#include "promql/ast.h"

#include <string_view>

namespace promql {

struct ParseOptions {
  bool strict = false;                 // Prometheus's grammar only
  bool experimental_functions = true;  // limitk, sort_by_label, mad_over_time, ...
  bool duration_expressions = true;    // foo[5m * 2]
};

// Deeper trees are refused: every walk over the tree recurses.
inline constexpr uint32_t kNestingMax = 1000;
// Longer queries are refused; positions are 32 bits and tokens are held at once.
inline constexpr size_t kQuerySizeMax = 4 << 20;

// InvalidArgument on syntax and type errors.
core::Result<ExprPtr> parse(std::string_view text, const ParseOptions& options = {});

// name{a="b"}: what the API's match[] takes.
core::Result<model::Matchers> parse_selector(std::string_view text,
                                             const ParseOptions& options = {});

}  // namespace promql
