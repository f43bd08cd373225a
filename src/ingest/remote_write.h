// Prometheus remote write 1.0: the protobuf message prometheus.WriteRequest
// (prometheus/prompb/{remote,types}.proto) to a WriteBatch.
//
//   body > decompress(Snappy) > message > decode_remote_write > batch > SampleSink
//
// The label bytes of a series are handed on as they stand in the message, because the
// sink looks series up by just those bytes (model/labels.h).

#pragma once

#include "core/result.h"
#include "ingest/limits.h"
#include "storage/sample_sink.h"
#include "storage/write_batch.h"

#include <string_view>

namespace ingest {

// Appends the message's series to `batch`, which then borrows from `message`.
//
// A message that is not a WriteRequest is an error that names the field and the byte
// offset, and leaves `batch` as it was: never half a message. Series that break a limit,
// or histograms whose buckets contradict their counts, are left out and counted in
// `refused`; what the sink refuses comes on top of that.
core::Result<void> decode_remote_write(std::string_view message, const Limits& limits,
                                       storage::WriteBatch& batch, storage::AppendSummary& refused);

}  // namespace ingest
