// The syntax tree of a query as JSON, for editors and tree views.

#pragma once

#include "promql/ast.h"

#include <string>

namespace api {

// Appends the tree in the form of Prometheus's /api/v1/parse_query.
void append_ast(std::string& out, const promql::Expr& expr);

}  // namespace api
