// The functions that templates call.

#pragma once

#include "core/result.h"
#include "templates/template.h"
#include "templates/value.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace templates {

struct Function {
  std::string_view name;
  size_t arguments_min;
  size_t arguments_max;
  core::Result<Value> (*call)(std::span<const Value> arguments, const Data& data);
};

// nullptr when there is none. `and` and `or` are in the table for their names only: the
// interpreter evaluates their arguments one by one, as Go does.
const Function* find_function(std::string_view name, Dialect dialect);
const Function* find_notification_function(std::string_view name);

// $labels, $externalLabels, ...: the root value of a template.
Value root_value(const Data& data);

// For a query in an address, as Go's url.QueryEscape.
std::string query_escape(std::string_view text);

}  // namespace templates
