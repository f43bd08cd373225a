// A Prometheus data directory: its blocks and its head.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "promtsdb/block_meta.h"
#include "promtsdb/damage.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace promtsdb {

struct FoundBlock {
  BlockMeta meta;
  std::string dir;
  uint64_t chunk_bytes = 0;
};

struct DataDir {
  std::string dir;
  std::vector<FoundBlock> blocks;  // by start, those that Prometheus would read
  // Blocks that a newer one was merged from and that Prometheus had not removed yet.
  uint64_t replaced_blocks = 0;
  bool has_head = false;
  // Older samples of the log are in blocks, or were deleted there.
  int64_t head_min_valid_ms = INT64_MIN;
};

// `dir` may also be a snapshot, or the folder of a single block. Blocks whose meta.json cannot
// be read are noted and left out.
core::Result<DataDir> find_data(core::FileSystem& files, const std::string& dir, Damage& damage);

// Holds Prometheus's lock on its data directory, so that none starts meanwhile; null when
// there is no lock file, as after a clean stop. Conflict when a Prometheus runs on it: it
// has the lock, or (without lock files) its log open.
core::Result<std::shared_ptr<void>> hold_prometheus_lock(const std::string& dir);

}  // namespace promtsdb
