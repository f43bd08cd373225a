// The manifest: which block files and which series snapshot count, up to where each
// tenant is closed, and what was deleted. Replaced as a whole and atomically, so it is the
// point at which a flush, a merge or a deletion happens. Text, with a checksum
// (docs/formats/manifest.md).

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "model/matcher.h"
#include "model/time_range.h"
#include "storage/log.h"
#include "tsdb/incomplete.h"

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace tsdb {

std::string block_file_name(uint64_t number);

struct BlockMeta {
  uint64_t number = 0;  // names the file; never used again
  std::string tenant;
  uint32_t level = 1;  // 1: written from the head; higher: merged from blocks
  // Of blocks with the same sample the one of lower order was first in the log: its value
  // counts. A block from the head has its number, a merged one the highest of its inputs.
  uint64_t order = 0;
  int64_t start_ms = 0;  // the aligned range that it belongs to; blocks may overlap
  int64_t end_ms = 0;
  int64_t min_time_ms = 0;  // its oldest and newest sample
  int64_t max_time_ms = 0;
  uint64_t size_bytes = 0;
  uint64_t series = 0;
  uint64_t samples = 0;

  std::string file_name() const { return block_file_name(number); }
};

// Deleted: the samples in the range of the series that match, in blocks and log records
// that were there at the time. Dropped itself when those are gone or written anew.
struct Tombstone {
  std::string tenant;
  model::Matchers matchers;
  model::TimeRange range;
  uint64_t blocks_before = 0;           // block numbers below it
  storage::LogPosition log_before = 0;  // log records before it
};

// What blocks hold of a tenant: the samples before `before_ms` of log records before
// `log_before`. Later records bring late samples.
struct Closed {
  // Of a manifest of version 1, which accepted no late samples.
  static constexpr storage::LogPosition kWholeLog = std::numeric_limits<uint64_t>::max();

  int64_t before_ms = 0;
  storage::LogPosition log_before = 0;
};

struct Manifest {
  uint64_t next_number = 1;  // of blocks and snapshots
  uint64_t next_series_id = 1;
  uint64_t snapshot_number = 0;          // 0: none
  std::map<std::string, Closed> closed;  // by tenant
  // Series that stopped have left for blocks before their range was closed: records before that
  // position may name ids that nothing introduces any more. By tenant.
  std::map<std::string, storage::LogPosition> evicted;
  std::vector<BlockMeta> blocks;
  std::vector<Tombstone> tombstones;
  IncompleteList incomplete;

  // The newest sample that is in a block, by tenant.
  std::map<std::string, int64_t> newest_times_ms() const;

  std::string encode() const;
  // Reads versions 1 to 3.
  static core::Result<Manifest> decode(std::string_view text);

  static std::string path_in(const std::string& data_dir) { return data_dir + "/manifest"; }
  static std::string copy_path_in(const std::string& data_dir) {
    return data_dir + "/manifest.copy";
  }
  // A directory without a manifest is a new one. For tools; the engine asks
  // load_manifest(), which can do without (manifest_recovery.h).
  static core::Result<Manifest> load(core::FileSystem& files, const std::string& data_dir);
  // Atomic. Then stores the copy, too, which counts when the manifest cannot be read. When it
  // fails, `may_be_stored` tells whether the next start may find this one.
  core::Result<void> store(core::FileSystem& files, const std::string& data_dir,
                           bool* may_be_stored = nullptr) const;
  // Stores the copy unless it is this one. Failing is told and costs only help.
  void store_copy(core::FileSystem& files, const std::string& data_dir) const;
};

}  // namespace tsdb
