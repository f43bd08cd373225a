#pragma once

#include "storage/sample_sink.h"

namespace ingest {

// Adds the refusals of `from` to `into`: what the decoder refused to what the sink did.
void merge_refusals(const storage::AppendSummary& from, storage::AppendSummary& into);

}  // namespace ingest
