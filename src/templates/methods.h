// Methods of the values that notification templates see: of label sets, lists of alerts,
// times and durations (pkg.go.dev/github.com/prometheus/alertmanager/template).

#pragma once

#include "core/result.h"
#include "templates/value.h"

#include <optional>
#include <span>
#include <string_view>

namespace templates {

// nullopt when the value has no such method.
std::optional<core::Result<Value>> call_method(const Value& of, std::string_view name,
                                               std::span<const Value> arguments);

}  // namespace templates
