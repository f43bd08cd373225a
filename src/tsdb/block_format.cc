#include "tsdb/block_format.h"

#include <zstd.h>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr int kZstdLevel = 1;  // label bytes shrink 3-5x; higher levels gain little

}  // namespace

std::string compress(std::string_view raw) {
  if (raw.size() < kCompressMin) return std::string(raw);
  std::string stored(ZSTD_compressBound(raw.size()), '\0');
  const size_t size =
      ZSTD_compress(stored.data(), stored.size(), raw.data(), raw.size(), kZstdLevel);
  ENSURE(ZSTD_isError(size) == 0);  // the buffer is large enough
  if (size >= raw.size()) return std::string(raw);
  stored.resize(size);
  return stored;
}

Result<std::string> decompress(std::string_view stored, uint64_t raw_size) {
  if (stored.size() == raw_size) return std::string(stored);
  // The frame's own claim is checked first, so that nothing large is allocated in vain.
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != raw_size) {
    return core::fail(ErrorCode::Corruption, "{} bytes are not {} bytes of zstd", stored.size(),
                      raw_size);
  }
  std::string raw(raw_size, '\0');
  const size_t size = ZSTD_decompress(raw.data(), raw.size(), stored.data(), stored.size());
  if (ZSTD_isError(size) != 0) {
    return core::fail(ErrorCode::Corruption, "zstd: {}", ZSTD_getErrorName(size));
  }
  if (size != raw_size) {
    return core::fail(ErrorCode::Corruption, "zstd gave {} bytes of {}", size, raw_size);
  }
  return raw;
}

}  // namespace tsdb
