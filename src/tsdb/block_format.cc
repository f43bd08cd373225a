#include "tsdb/block_format.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/varint.h"

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

namespace {

Result<void> check_footer(const BlockFooter& footer, uint64_t end) {
  if (footer.times_offset < kBlockHeaderSize || footer.index_offset < footer.times_offset ||
      footer.meta_offset < footer.index_offset || footer.meta_offset > end ||
      footer.index_raw_size > kBlockIndexSizeMax || footer.index_part_size() > kBlockIndexSizeMax) {
    return core::fail(ErrorCode::Corruption,
                      "block footer: timestamps at {}, index at {} and meta at {} of {}",
                      footer.times_offset, footer.index_offset, footer.meta_offset, end);
  }
  return {};
}

}  // namespace

Result<BlockFooter> decode_block_footer(std::string_view bytes, uint64_t file_size) {
  if (bytes.size() != kBlockFooterSize || file_size < kBlockHeaderSize + kBlockFooterSize) {
    return core::fail(ErrorCode::Corruption, "block of {} bytes is too short", file_size);
  }
  const uint64_t end = file_size - kBlockFooterSize;
  const std::string_view magic = bytes.substr(40);
  if (magic.substr(0, kBlockMagic.size()) != kBlockMagic) {
    return core::fail(ErrorCode::Corruption, "block does not end with its magic, at offset {}",
                      end + 40);
  }
  BlockFooter footer;
  footer.version = static_cast<uint8_t>(magic.back());
  if (footer.version != 1 && footer.version != kBlockVersion) {
    return core::fail(ErrorCode::Corruption, "block has version {}, known are 1 to {}",
                      footer.version, kBlockVersion);
  }
  if (core::crc32c(bytes.substr(0, 36)) != core::load_le<uint32_t>(bytes.substr(36))) {
    return core::fail(ErrorCode::Corruption, "block footer at offset {}: bad checksum", end);
  }
  const auto u64 = [&](size_t at) { return core::load_le<uint64_t>(bytes.substr(at)); };
  const auto u32 = [&](size_t at) { return core::load_le<uint32_t>(bytes.substr(at)); };
  if (footer.version == 1) {
    footer.times_offset = footer.index_offset = u64(0);
    footer.meta_offset = end;
    footer.index_raw_size = u64(16);
    footer.samples = u64(24);
    footer.index_crc = u32(32);
    if (footer.index_offset > end || u64(8) != end - footer.index_offset) {
      return core::fail(ErrorCode::Corruption, "block footer: index of {} bytes at {} of {}",
                        u64(8), footer.index_offset, file_size);
    }
  } else {
    footer.times_offset = u64(0);
    footer.index_offset = u64(8);
    footer.meta_offset = u64(16);
    footer.times_crc = u32(24);
    footer.index_crc = u32(28);
    footer.meta_crc = u32(32);
  }
  TRY(check_footer(footer, end));
  footer.meta_size = end - footer.meta_offset;
  return footer;
}

std::string encode_block_footer(const BlockFooter& footer) {
  std::string out;
  core::append_le<uint64_t>(out, footer.times_offset);
  core::append_le<uint64_t>(out, footer.index_offset);
  core::append_le<uint64_t>(out, footer.meta_offset);
  core::append_le<uint32_t>(out, footer.times_crc);
  core::append_le<uint32_t>(out, footer.index_crc);
  core::append_le<uint32_t>(out, footer.meta_crc);
  core::append_le<uint32_t>(out, core::crc32c(out));
  out.append(kBlockMagic);
  out.push_back(static_cast<char>(kBlockVersion));
  ENSURE(out.size() == kBlockFooterSize);
  return out;
}

std::string encode_block_self(const BlockSelf& self) {
  const BlockMeta& meta = self.meta;
  std::string out;
  core::append_string(out, meta.tenant);
  for (const uint64_t number : {meta.number, uint64_t{meta.level}, meta.order}) {
    core::append_varint(out, number);
  }
  for (const int64_t time_ms : {meta.start_ms, meta.end_ms, meta.min_time_ms, meta.max_time_ms}) {
    core::append_zigzag(out, time_ms);
  }
  for (const uint64_t count : {meta.series, meta.samples, uint64_t{self.replaces.size()}}) {
    core::append_varint(out, count);
  }
  for (const uint64_t number : self.replaces) core::append_varint(out, number);
  return out;
}

Result<BlockSelf> decode_block_self(std::string_view bytes) {
  BlockSelf self;
  BlockMeta& meta = self.meta;
  std::string_view rest = bytes;
  uint64_t level = 0;
  uint64_t replaced = 0;
  bool good = core::take_string(rest, meta.tenant) && core::take_varint(rest, meta.number) &&
              core::take_varint(rest, level) && core::take_varint(rest, meta.order) &&
              core::take_zigzag(rest, meta.start_ms) && core::take_zigzag(rest, meta.end_ms) &&
              core::take_zigzag(rest, meta.min_time_ms) &&
              core::take_zigzag(rest, meta.max_time_ms) && core::take_varint(rest, meta.series) &&
              core::take_varint(rest, meta.samples) && core::take_varint(rest, replaced) &&
              level <= UINT32_MAX && replaced <= rest.size();
  meta.level = static_cast<uint32_t>(level);
  self.replaces.resize(good ? replaced : 0);
  for (uint64_t& number : self.replaces) good = good && core::take_varint(rest, number);
  if (!good || !rest.empty()) {
    return core::fail(ErrorCode::Corruption, "block meta of {} bytes is malformed", bytes.size());
  }
  return self;
}

}  // namespace tsdb
