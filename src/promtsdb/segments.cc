#include "promtsdb/segments.h"

#include "core/crc32c.h"
#include "promtsdb/cursor.h"

#include <algorithm>
#include <charconv>

namespace promtsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr uint32_t kMagic = 0x85BD40DD;
constexpr size_t kHeaderSize = 8;
constexpr size_t kChecksumSize = 4;
// What is read to learn the size of a chunk: most chunks as a whole.
constexpr size_t kFirstRead = 1024;
// Prometheus cuts chunks near 1 KiB, with histograms at some 100 KiB.
constexpr uint64_t kChunkSizeMax = 64U << 20U;
// 512 MiB each: far more than a block may have.
constexpr uint64_t kSegmentsMax = 100'000;

Result<void> check_header(const core::File& file) {
  const std::string header = TRY(file.read_at(0, kHeaderSize));
  Cursor cursor(header);
  const uint32_t magic = cursor.be32();
  const uint8_t version = cursor.byte();
  if (header.size() != kHeaderSize || magic != kMagic) {
    return core::fail(ErrorCode::Corruption, "offset 0: magic {:08x}, expected {:08x}", magic,
                      kMagic);
  }
  if (version != 1) {
    return core::fail(ErrorCode::Unsupported, "offset 4: version {}, expected 1", version);
  }
  return {};
}

}  // namespace

Result<bool> parse_stored_chunk(std::string_view bytes, StoredChunk& chunk, size_t& needed) {
  Cursor cursor(bytes);
  const uint64_t size = cursor.uvarint();
  if (!cursor.ok()) {
    if (bytes.size() >= 10) return core::fail(ErrorCode::Corruption, "the length is no varint");
    needed = bytes.size() + 1;
    return false;
  }
  if (size > kChunkSizeMax) return core::fail(ErrorCode::Corruption, "a chunk of {} bytes", size);
  needed = cursor.offset() + 1 + static_cast<size_t>(size) + kChecksumSize;
  if (bytes.size() < needed) return false;
  const std::string_view checked = cursor.bytes(1 + size);
  const uint32_t stored = cursor.be32();
  if (core::crc32c(checked) != stored) {
    return core::fail(ErrorCode::Corruption, "checksum {:08x}, expected {:08x}",
                      core::crc32c(checked), stored);
  }
  chunk.encoding = static_cast<uint8_t>(checked[0]);
  chunk.data = checked.substr(1);
  return true;
}

Result<ChunkSegments> ChunkSegments::open(core::FileSystem& files, const std::string& dir) {
  ChunkSegments all;
  all.dir_ = dir;
  if (!files.exists(dir)) return all;
  const std::vector<std::string> names = TRY(files.list(dir));
  for (const std::string& name : names) {
    if (name.empty() || !std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) {
      continue;
    }
    // A file that is missing must not shift the ones behind it.
    uint64_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (number == 0 || number > kSegmentsMax) continue;
    all.segments_.resize(std::max<size_t>(all.segments_.size(), number));
    Segment& segment = all.segments_[number - 1];
    segment.path = dir + "/" + name;
    Result<std::unique_ptr<core::File>> file = files.open(segment.path, core::OpenMode::Read);
    if (!file) {
      segment.error = file.error();
    } else {
      segment.size = TRY((*file)->size());
      all.bytes_ += segment.size;
      if (const Result<void> fine = check_header(**file); fine) {
        segment.file = std::move(*file);
      } else {
        segment.error = fine.error();
      }
    }
  }
  return all;
}

Result<std::string_view> ChunkSegments::view(size_t segment, uint64_t offset, size_t size) {
  const Segment& from = segments_[segment];
  const size_t there = static_cast<size_t>(std::min<uint64_t>(size, from.size - offset));
  const bool held = window_segment_ == segment && offset >= window_offset_ &&
                    offset + there <= window_offset_ + window_.size();
  if (!held) {
    window_segment_ = SIZE_MAX;
    window_ = TRY(from.file->read_at(offset, std::max(there, window_size_)));
    window_segment_ = segment;
    window_offset_ = offset;
  }
  return std::string_view(window_).substr(offset - window_offset_, size);
}

Result<StoredChunk> ChunkSegments::read(uint64_t ref) {
  const size_t segment = ref >> 32U;
  const uint64_t offset = ref & UINT32_MAX;
  if (segment >= segments_.size() || segments_[segment].path.empty()) {
    return core::fail(ErrorCode::Corruption, "{}: chunk file {:06} is missing", dir_, segment + 1);
  }
  const Segment& from = segments_[segment];
  if (from.file == nullptr) {
    return core::fail(ErrorCode::Corruption, "{}: {}", from.path, from.error.message);
  }
  if (offset < kHeaderSize || offset >= from.size) {
    return core::fail(ErrorCode::Corruption, "{}: offset {}: outside of the file of {} bytes",
                      from.path, offset, from.size);
  }
  StoredChunk chunk;
  size_t needed = kFirstRead;
  for (;;) {
    const size_t asked = needed;
    const std::string_view bytes =
        TRY(view(segment, offset, asked).context("{}: offset {}", from.path, offset));
    if (TRY(parse_stored_chunk(bytes, chunk, needed).context("{}: offset {}", from.path, offset))) {
      return chunk;
    }
    if (bytes.size() < asked) {
      return core::fail(ErrorCode::Corruption, "{}: offset {}: the chunk is cut short", from.path,
                        offset);
    }
  }
}

}  // namespace promtsdb
