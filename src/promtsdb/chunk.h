// The chunks of Prometheus: samples of one series, compressed
// (prometheus/tsdb/docs/format/chunks.md).

#pragma once

#include "core/result.h"
#include "model/time_range.h"
#include "storage/series_source.h"

#include <cstdint>
#include <string_view>

namespace promtsdb {

inline constexpr uint8_t kChunkXor = 1;
inline constexpr uint8_t kChunkHistogram = 2;
inline constexpr uint8_t kChunkFloatHistogram = 3;
// Set in the encoding of a head chunk that holds late samples.
inline constexpr uint8_t kChunkOutOfOrder = 0x80;

// Appends the samples in the range to the batch's columns (not to its ends). Errors:
// Unsupported for an encoding that is not known, Corruption for bytes that end early; what
// was decoded until then is appended.
core::Result<void> append_chunk(uint8_t encoding, std::string_view data, model::TimeRange range,
                                storage::SeriesBatch& batch);

// Prometheus refuses other schemas than these too.
bool is_known_schema(int64_t schema);

}  // namespace promtsdb
