// Data points as lines of text:
//
//   CPU.load host=webserver01,region=us-west 1613707265 50
//   up - 1613707265 1
//
// metric, labels (`k=v,k=v`, or `-` for none), timestamp, value, separated by blanks.
// Empty lines and those that start with '#' are skipped. Timestamps as in json_import.h;
// the value is anything Prometheus's text format takes, NaN and +Inf included.

#pragma once

#include "core/result.h"
#include "ingest/limits.h"
#include "storage/sample_sink.h"
#include "storage/write_batch.h"

#include <string_view>

namespace ingest {

// Appends the points to `batch`. A bad line is left out and counted in `refused`, with
// its line and column ("line 3:17: ..."); only a limit of the whole request is an error.
core::Result<void> decode_line_import(std::string_view body, const Limits& limits,
                                      storage::WriteBatch& batch, storage::AppendSummary& refused);

}  // namespace ingest
