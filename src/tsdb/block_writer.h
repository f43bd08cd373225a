// Writes a block: series in the order of their labels, one region each, then what is needed
// to read them.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "storage/series_source.h"
#include "tsdb/block_format.h"
#include "tsdb/block_index.h"
#include "tsdb/block_times.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tsdb {

// Confined to one thread. A writer that is destroyed before finish() leaves a file
// that no manifest names; the next start removes it.
class BlockWriter {
 public:
  // `pair_bytes`: see BlockIndexBuilder. `path` must not exist.
  static core::Result<std::unique_ptr<BlockWriter>> create(core::FileSystem& files,
                                                           const std::string& path,
                                                           std::vector<std::string> pair_bytes);
  // What the file says of itself beside what the writer sees: number, tenant, level, order,
  // range; and the blocks that it takes the place of. Before finish().
  void describe(const BlockMeta& meta, std::vector<uint64_t> replaces = {});
  // `samples` holds the columns of this one series, sorted, not empty.
  core::Result<void> add_series(std::span<const uint32_t> pairs,
                                const storage::SeriesBatch& samples);
  // Index and footer, then fsync. Gives the size of the file.
  core::Result<uint64_t> finish();

  size_t series_count() const { return self_.meta.series; }
  uint64_t sample_count() const { return self_.meta.samples; }
  // Of all samples so far.
  int64_t min_time_ms() const { return self_.meta.min_time_ms; }
  int64_t max_time_ms() const { return self_.meta.max_time_ms; }

 private:
  BlockWriter(std::unique_ptr<core::File> file, std::vector<std::string> pair_bytes)
      : file_(std::move(file)), index_(std::move(pair_bytes)) {}
  core::Result<void> flush_buffer();
  void note_times(const storage::SeriesBatch& samples);

  std::unique_ptr<core::File> file_;
  BlockIndexBuilder index_;
  TimeColumnsBuilder columns_;
  std::optional<int64_t> base_ms_;
  BlockSelf self_;
  std::string buffer_;
  uint64_t offset_ = 0;  // of the buffer in the file
  uint64_t synced_ = 0;  // bytes that were synced on the way
};

}  // namespace tsdb
