// Bounds on what one push request may hold: those of the tenant that sends it. A breach
// that concerns one series refuses that series; one that concerns the request refuses the
// request.

#pragma once

#include "tenant/limits.h"

namespace ingest {

using tenant::Limits;

}  // namespace ingest
