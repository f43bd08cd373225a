// The bytes of a block file (docs/formats/block.md).
//
//   header │ regions: one per series, its chunks │ timestamps │ index │ meta │ footer

#pragma once

#include "core/result.h"
#include "tsdb/manifest.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

inline constexpr std::string_view kBlockMagic = "PTRLBLK";  // then the version byte
inline constexpr uint8_t kBlockVersion = 2;                 // what is written; 1 is read too
inline constexpr size_t kBlockHeaderSize = 8;
inline constexpr size_t kBlockFooterSize = 48;
// An index above it is not read: it could not be held in memory.
inline constexpr uint64_t kBlockIndexSizeMax = 4ULL << 30U;

// Below it zstd saves nothing worth the frame. Index and snapshot frames are stored as
// they are when the stored size equals the raw size.
inline constexpr size_t kCompressMin = 512;

// `raw` as zstd if that is smaller.
std::string compress(std::string_view raw);
// Corruption unless `stored` gives exactly `raw_size` bytes.
core::Result<std::string> decompress(std::string_view stored, uint64_t raw_size);

// Where the parts stand and what they must hash to. Of version 1 there are no timestamps and
// no meta: those parts are empty.
struct BlockFooter {
  uint8_t version = 0;
  uint64_t times_offset = 0;  // where the regions end
  uint64_t index_offset = 0;
  uint64_t meta_offset = 0;
  uint64_t meta_size = 0;
  uint64_t index_raw_size = 0;  // version 1
  uint64_t samples = 0;         // version 1
  uint32_t times_crc = 0;
  uint32_t index_crc = 0;  // of the stored bytes
  uint32_t meta_crc = 0;

  // Timestamps and index, which are read together.
  uint64_t index_part_size() const { return meta_offset - times_offset; }
};

// The last kBlockFooterSize bytes of a file of that size.
core::Result<BlockFooter> decode_block_footer(std::string_view bytes, uint64_t file_size);
// Of version 2.
std::string encode_block_footer(const BlockFooter& footer);

// What a block says of itself: enough to write a manifest anew from the files.
struct BlockSelf {
  BlockMeta meta;                  // size_bytes is the file's
  std::vector<uint64_t> replaces;  // numbers of the blocks that it was merged from
};
std::string encode_block_self(const BlockSelf& self);
core::Result<BlockSelf> decode_block_self(std::string_view bytes);

}  // namespace tsdb
