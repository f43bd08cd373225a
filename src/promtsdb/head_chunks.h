// The chunks that Prometheus's head has written to files (chunks_head/):
// prometheus/tsdb/docs/format/head_chunks.md.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "promtsdb/damage.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace promtsdb {

struct HeadChunk {
  uint64_t series_ref = 0;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  uint8_t encoding = 0;  // with kChunkOutOfOrder
  std::string_view data;
};

enum class HeadChunkResult : uint8_t { Chunk, End, NeedsMore, BadChecksum, Malformed };

// The chunk that `bytes` begin with. `needed`: its size, or with NeedsMore how many bytes it
// takes at least. Zeros are the end: the files are allocated ahead.
HeadChunkResult parse_head_chunk(std::string_view bytes, HeadChunk& chunk, size_t& needed);

// Confined to one thread.
class HeadChunkFiles {
 public:
  static core::Result<HeadChunkFiles> open(core::FileSystem& files, const std::string& dir);

  struct Place {
    uint32_t file = 0;
    uint32_t size = 0;  // of the data
    uint64_t offset = 0;
  };
  // Every chunk with a right checksum. A torn tail of the newest file is its end.
  core::Result<void> visit(const std::function<void(const HeadChunk&, Place)>& found,
                           Damage& damage);
  core::Result<std::string> read(Place place) const;
  uint64_t bytes() const { return bytes_; }

 private:
  struct ChunkFile {
    std::string path;
    std::unique_ptr<core::File> file;
    uint64_t size = 0;
  };
  core::Result<void> visit_file(uint32_t number,
                                const std::function<void(const HeadChunk&, Place)>& found,
                                Damage& damage);

  std::vector<ChunkFile> files_;
  uint64_t bytes_ = 0;
};

}  // namespace promtsdb
