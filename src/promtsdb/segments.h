// The chunk files of a block (chunks/000001, ...): prometheus/tsdb/docs/format/chunks.md.

#pragma once

#include "core/file_system.h"
#include "core/result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace promtsdb {

struct StoredChunk {
  uint8_t encoding = 0;
  std::string_view data;  // until the next read
};

// The chunk that `bytes` begin with; `stored_size` is the whole of it. When the bytes end
// before the chunk does, `needed` says how many it takes and the result is null.
core::Result<bool> parse_stored_chunk(std::string_view bytes, StoredChunk& chunk, size_t& needed);

// Confined to one thread.
class ChunkSegments {
 public:
  // A folder that is not there has no chunks.
  static core::Result<ChunkSegments> open(core::FileSystem& files, const std::string& dir);

  uint64_t bytes() const { return bytes_; }
  // Neighbouring chunks are read together, up to this many bytes at once.
  void set_window(size_t bytes) { window_size_ = bytes; }
  // Errors name the file and the offset.
  core::Result<StoredChunk> read(uint64_t ref);

 private:
  struct Segment {
    std::string path;
    std::unique_ptr<core::File> file;  // null: `error` says why
    uint64_t size = 0;
    core::Error error;
  };
  core::Result<std::string_view> view(size_t segment, uint64_t offset, size_t size);

  std::string dir_;
  std::vector<Segment> segments_;  // by number, from 1; without a path: missing
  uint64_t bytes_ = 0;
  size_t window_size_ = 1U << 20U;
  std::string window_;
  size_t window_segment_ = SIZE_MAX;
  uint64_t window_offset_ = 0;
};

}  // namespace promtsdb
