// A block: the samples of one tenant and one time range in an immutable file.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "model/time_range.h"
#include "storage/series_source.h"
#include "tsdb/block_format.h"
#include "tsdb/block_index.h"
#include "tsdb/block_mask.h"
#include "tsdb/block_region.h"
#include "tsdb/manifest.h"

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace tsdb {

class Block;

// Decoded indexes of blocks, the least recently used one dropped first. Thread-safe.
class BlockCache {
 public:
  explicit BlockCache(size_t bytes_max) : bytes_max_(bytes_max) {}
  std::shared_ptr<const BlockIndex> find(uint64_t number);
  void put(uint64_t number, std::shared_ptr<const BlockIndex> index);
  void erase(uint64_t number);

 private:
  struct Entry {
    uint64_t number;
    std::shared_ptr<const BlockIndex> index;
  };
  const size_t bytes_max_;
  std::mutex mutex_;
  size_t bytes_ = 0;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<uint64_t, std::list<Entry>::iterator> by_number_;
};

// Thread-safe. Damage is found when it is read: a block whose index cannot be read is
// quarantined (kept on disk, no longer asked) until the next start.
class Block {
 public:
  // `path`'s file is opened and its footer read; damage gives a quarantined block.
  static std::shared_ptr<Block> open(core::FileSystem& files, const std::string& path,
                                     BlockMeta meta, BlockCache& cache);

  const BlockMeta& meta() const { return meta_; }
  const std::string& path() const { return path_; }
  model::TimeRange range() const { return {meta_.start_ms, meta_.end_ms}; }
  // What is wrong, for warnings; empty when nothing is.
  std::string damage() const;
  // Whether that is an error of the disk, which may be gone at the next start.
  bool is_unread() const { return is_unread_; }
  // A merge met damage in it: what is still good is read from here until the end.
  void exclude_from_merges(const core::Error& error);
  bool can_merge() const { return can_merge_ && damage().empty(); }

  core::Result<std::shared_ptr<const BlockIndex>> index();
  // The same without a place in the cache: for a merge, which reads each index once.
  core::Result<std::shared_ptr<const BlockIndex>> index_uncached();
  // What these tombstones delete here. The one of the last list is kept.
  std::shared_ptr<const BlockMask> mask(const BlockIndex& index,
                                        const std::shared_ptr<const Tombstones>& tombstones);
  // The series of the mask without a sample that is left, rising. Reads those that are
  // deleted in part; kept for the mask.
  core::Result<std::vector<uint32_t>> hidden_series(const BlockIndex& index,
                                                    const std::shared_ptr<const BlockMask>& mask);
  // Appends the samples in the range of a series whose region was read.
  core::Result<void> append_region(const BlockIndex& index, std::string_view region,
                                   model::TimeRange range, storage::SeriesBatch& batch) const {
    return tsdb::append_region(region, {.version = footer_.version, .columns = &index.times()},
                               range, batch);
  }
  core::Result<std::vector<ChunkShape>> chunk_shapes(const BlockIndex& index,
                                                     std::string_view region) const {
    return tsdb::chunk_shapes(region, {.version = footer_.version, .columns = &index.times()});
  }
  // Bytes of the columns of timestamps that series share.
  uint64_t shared_times_size() const { return footer_.index_offset - footer_.times_offset; }
  // What the file says of itself; NotFound for version 1, which says nothing.
  core::Result<BlockSelf> self() const;
  // Up to `size` bytes of the file.
  core::Result<std::string> read(uint64_t offset, uint64_t size) const {
    return file_->read_at(offset, size);
  }

 private:
  Block(BlockMeta meta, std::string path, BlockCache& cache)
      : meta_(std::move(meta)), path_(std::move(path)), cache_(cache) {}
  core::Result<void> read_footer();
  core::Result<void> check_self() const;
  core::Result<std::shared_ptr<const BlockIndex>> load_index();
  void quarantine(const core::Error& error);

  const BlockMeta meta_;
  const std::string path_;
  BlockCache& cache_;
  std::unique_ptr<core::File> file_;
  BlockFooter footer_;
  mutable std::mutex mutex_;
  std::string damage_;  // protected by mutex_
  std::atomic<bool> can_merge_ = true;
  std::atomic<bool> is_unread_ = false;
  std::shared_ptr<const Tombstones> mask_of_;   // protected by mutex_
  std::shared_ptr<const BlockMask> mask_;       // of mask_of_; protected by mutex_
  std::shared_ptr<const BlockMask> hidden_of_;  // protected by mutex_
  std::vector<uint32_t> hidden_;                // of hidden_of_; protected by mutex_
};

// `stored`: timestamps and index, the part of the file that the footer says.
core::Result<std::shared_ptr<const BlockIndex>> decode_block_index(std::string_view stored,
                                                                   const BlockFooter& footer);

}  // namespace tsdb
