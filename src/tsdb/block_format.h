// The bytes of a block file (docs/formats/block.md).
//
//   header │ regions: one per series, its chunks │ index, zstd │ footer

#pragma once

#include <array>
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

struct BlockFooter {
  uint64_t index_offset = 0;
  uint64_t index_size = 0;  // as stored
  uint64_t index_raw_size = 0;
  uint64_t samples = 0;
  uint32_t index_crc = 0;  // of the stored bytes
};

}  // namespace tsdb
