// A batch as text, one fact per line, for golden files.

#pragma once

#include "core/result.h"
#include "storage/sample_sink.h"
#include "storage/write_batch.h"

#include <string>

namespace ingest::testing {

// Series with their samples, histograms, exemplars; metadata; refusals; or the error.
std::string describe(const core::Result<void>& result, const storage::WriteBatch& batch,
                     const storage::AppendSummary& refused);

}  // namespace ingest::testing
