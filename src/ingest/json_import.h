// Data points as JSON: one object, an array of objects, or one object per line.
//
//   {"metric_name": "cpu.load", "labels": "host:i631,env:prod",
//    "timestamp": 1613707265, "value": 0.29}
//
// `labels` is an object of strings or the text `k:v,k:v`, where the first ':' of each
// pair splits it; it may be absent. `timestamp` is in seconds and may have a fraction;
// an integer from 1e11 on is read as milliseconds, from 1e14 as microseconds, from 1e17
// as nanoseconds; absent, it is the time of receipt. `value` is a number or one of the
// strings "NaN", "+Inf", "-Inf". `type` (optional) is the metric's type. Other members
// are refused by name, because they are nearly always misspellings.

#pragma once

#include "core/result.h"
#include "ingest/limits.h"
#include "storage/sample_sink.h"
#include "storage/write_batch.h"

#include <cstdint>
#include <string_view>

namespace ingest {

// Appends the points to `batch`. Text that is not JSON is an error and leaves `batch` as
// it was; a point that is JSON but not a point is left out and counted in `refused`. Both
// name the line (or array index), the field, its value and what was expected.
core::Result<void> decode_json_import(std::string_view body, int64_t received_at_ms,
                                      const Limits& limits, storage::WriteBatch& batch,
                                      storage::AppendSummary& refused);

}  // namespace ingest
