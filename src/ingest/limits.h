// Bounds on what one push request may hold: those of the tenant that sends it. A breach
// that concerns one series refuses that series; one that concerns the request refuses the
// request.

#pragma once

#include "tenant/limits.h"

#include <string>

namespace ingest {

using tenant::Limits;

// What an error names beside the value: "limits." and the key.
inline std::string limit_key(size_t Limits::* field) {
  return std::string("limits.").append(tenant::limit_name(field));
}

}  // namespace ingest
