// The manifest: which block files and which series snapshot count, and up to where each
// tenant is closed. Replaced as a whole and atomically, so it is the point at which a
// flush or a deletion happens. Text, with a checksum (docs/formats/manifest.md).

#pragma once

#include "core/file_system.h"
#include "core/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tsdb {

struct BlockMeta {
  uint64_t number = 0;  // names the file; never used again
  std::string tenant;
  int64_t start_ms = 0;  // of the range it closes
  int64_t end_ms = 0;
  int64_t max_time_ms = 0;  // its newest sample
  uint64_t size_bytes = 0;
  uint64_t series = 0;
  uint64_t samples = 0;

  std::string file_name() const;
};

struct Manifest {
  uint64_t next_number = 1;  // of blocks and snapshots
  uint64_t next_series_id = 1;
  uint64_t snapshot_number = 0;                     // 0: none
  std::map<std::string, int64_t> closed_before_ms;  // by tenant
  std::vector<BlockMeta> blocks;

  std::string encode() const;
  static core::Result<Manifest> decode(std::string_view text);

  static std::string path_in(const std::string& data_dir) { return data_dir + "/manifest"; }
  // A directory without a manifest is a new one.
  static core::Result<Manifest> load(core::FileSystem& files, const std::string& data_dir);
  core::Result<void> store(core::FileSystem& files, const std::string& data_dir) const;
};

}  // namespace tsdb
