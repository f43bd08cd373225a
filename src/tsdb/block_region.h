// The samples of one series in a block, as bytes (docs/formats/block.md).

#pragma once

#include "core/result.h"
#include "model/time_range.h"
#include "storage/series_source.h"
#include "tsdb/block_times.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

// What decoding a region needs of its block. Borrows the columns.
struct RegionContext {
  uint8_t version = 0;  // of the block's format
  const TimeColumns* columns = nullptr;
};

// Appends the region of these samples, of one series and sorted. `base_ms` is the block's.
void encode_region(const storage::SeriesBatch& samples, int64_t base_ms,
                   TimeColumnsBuilder& columns, std::string& out);

// Appends the samples of a region, as stored, that lie in the range to the batch's columns.
// Corruption when the region is not what was written. Chunks outside of the range are not
// decoded.
core::Result<void> append_region(std::string_view region, const RegionContext& context,
                                 model::TimeRange range, storage::SeriesBatch& batch);

// How a chunk of a region is stored, for people who look at sizes.
struct ChunkShape {
  std::string_view times;  // "regular", "shared", "inline"
  std::string values;      // "histogram", or as float_column_kind() names it
  uint64_t samples = 0;
  uint64_t time_bytes = 0;  // without shared columns
  uint64_t value_bytes = 0;
};

// Of a region that append_region() reads.
core::Result<std::vector<ChunkShape>> chunk_shapes(std::string_view region,
                                                   const RegionContext& context);

}  // namespace tsdb
