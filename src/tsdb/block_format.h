// The bytes of a block file (docs/formats/block.md).
//
//   header │ regions: one per series, its chunks │ index │ footer

#pragma once

#include "core/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tsdb {

inline constexpr std::string_view kBlockMagic = "PTRLBLK";  // then the version byte
inline constexpr uint8_t kBlockVersion = 1;
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

struct BlockFooter {
  uint64_t index_offset = 0;
  uint64_t index_size = 0;  // as stored
  uint64_t index_raw_size = 0;
  uint64_t samples = 0;
  uint32_t index_crc = 0;  // of the stored bytes
};

}  // namespace tsdb
