// Looking at a block file without an engine: is it whole, what is in it.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "storage/series_source.h"
#include "tsdb/block_format.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

struct BlockDamage {
  uint64_t offset = 0;  // in the file, where the damaged part begins
  std::string series;   // as text; empty when it is not one series that is damaged
  std::string what;
};

struct BlockCheck {
  uint8_t version = 0;            // 0: the footer cannot be read
  std::optional<BlockSelf> self;  // of version 2
  uint64_t series = 0;            // that can be read, as the next two
  uint64_t samples = 0;           // histograms included
  uint64_t histograms = 0;
  uint64_t file_bytes = 0;
  uint64_t region_bytes = 0;
  uint64_t time_bytes = 0;
  uint64_t index_bytes = 0;
  int64_t min_time_ms = 0;  // of what can be read; 0 when nothing can
  int64_t max_time_ms = 0;
  uint64_t damage_count = 0;
  std::vector<BlockDamage> damage;  // the first kDamageMax

  static constexpr size_t kDamageMax = 1'000;
};

// Checks every checksum, decodes everything and compares what the file says of itself with
// what is in it. An error only when the file cannot be read at all.
core::Result<BlockCheck> verify_block(core::FileSystem& files, const std::string& path);

// What a block of version 2 says of itself, without reading the rest.
core::Result<BlockSelf> read_block_self(core::FileSystem& files, const std::string& path);

// Every series that can be read and its samples in the range, in the order of the labels;
// `labels` are canonical bytes. Series without a sample in the range are left out. Damage is
// skipped: verify_block() tells of it. A failure of `visit` ends it.
using BlockVisitor =
    std::function<core::Result<void>(std::string_view labels, const storage::SeriesBatch& samples)>;
core::Result<void> visit_block(core::FileSystem& files, const std::string& path,
                               model::TimeRange range, const BlockVisitor& visit);

}  // namespace tsdb
