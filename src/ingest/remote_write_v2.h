// Prometheus remote write 2.0: the protobuf message io.prometheus.write.v2.Request
// (prometheus/prompb/io/prometheus/write/v2/types.proto) to a WriteBatch.
//
// Its series name their labels by references into one table of strings. From them the
// very bytes are put together that remote write 1.0 has for the series, so that both
// versions find it by the same hash and nothing is stored twice.

#pragma once

#include "core/result.h"
#include "ingest/limits.h"
#include "storage/sample_sink.h"
#include "storage/write_batch.h"

#include <cstdint>
#include <string_view>

namespace ingest {

// What becomes of the time at which a counter or histogram began to count.
enum class StartTimes : uint8_t { Ignored, Kept };  // Kept: as BatchSeries::created_ms

// Appends the message's series to `batch`, which then borrows from `message`.
//
// A message that is not a Request, or exceeds what a request may hold, is an error that
// names the field and the byte offset or the limit, and leaves `batch` as it was. Series
// with references that lead nowhere, over a limit, or without content, and histograms
// whose buckets contradict their counts are left out and counted in `refused`.
core::Result<void> decode_remote_write_v2(std::string_view message, StartTimes start_times,
                                          const Limits& limits, storage::WriteBatch& batch,
                                          storage::AppendSummary& refused);

}  // namespace ingest
