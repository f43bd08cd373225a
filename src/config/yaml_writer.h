// Writes a Value as YAML in the form in which Prometheus shows its configuration: that of
// Go's yaml.v2 (lists at the depth of their key, lines folded after column 80).

#pragma once

#include "config/schema.h"

#include <string>

namespace config {

// Secrets and passwords of URLs are hidden.
std::string write_yaml(const Value& mapping);

}  // namespace config
