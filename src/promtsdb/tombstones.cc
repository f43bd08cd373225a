#include "promtsdb/tombstones.h"

#include "core/crc32c.h"
#include "promtsdb/cursor.h"

namespace promtsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr uint32_t kMagic = 0x0130BA30;
constexpr size_t kHeaderSize = 5;
constexpr size_t kChecksumSize = 4;

}  // namespace

Result<Tombstones> parse_tombstones(std::string_view file) {
  if (file.size() < kHeaderSize + kChecksumSize) {
    return core::fail(ErrorCode::Corruption, "{} bytes, expected 9 at least", file.size());
  }
  Cursor header(file);
  const uint32_t magic = header.be32();
  const uint8_t version = header.byte();
  if (magic != kMagic) {
    return core::fail(ErrorCode::Corruption, "offset 0: magic {:08x}, expected {:08x}", magic,
                      kMagic);
  }
  if (version != 1) {
    return core::fail(ErrorCode::Unsupported, "offset 4: version {}, expected 1", version);
  }
  const std::string_view stones =
      file.substr(kHeaderSize, file.size() - kHeaderSize - kChecksumSize);
  const uint32_t stored = Cursor(file.substr(file.size() - kChecksumSize)).be32();
  if (core::crc32c(stones) != stored) {
    return core::fail(ErrorCode::Corruption, "offset {}: checksum {:08x}, expected {:08x}",
                      file.size() - kChecksumSize, stored, core::crc32c(stones));
  }
  Tombstones result;
  Cursor cursor(stones);
  while (cursor.ok() && !cursor.empty()) {
    const uint64_t series = cursor.uvarint();
    const int64_t min_ms = cursor.varint();
    const int64_t max_ms = cursor.varint();
    if (cursor.ok()) result[series].push_back({min_ms, max_ms});
  }
  if (!cursor.ok()) {
    return core::fail(ErrorCode::Corruption, "the last tombstone is cut short");
  }
  return result;
}

}  // namespace promtsdb
