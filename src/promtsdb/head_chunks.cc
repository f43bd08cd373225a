#include "promtsdb/head_chunks.h"

#include "core/crc32c.h"
#include "promtsdb/cursor.h"
#include "promtsdb/log_reader.h"

#include <algorithm>

namespace promtsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr uint32_t kMagic = 0x0130BC91;
constexpr size_t kFileHeaderSize = 8;
constexpr size_t kChecksumSize = 4;
constexpr size_t kFixedSize = 3 * 8 + 1;
constexpr size_t kLengthMax = 5;
constexpr uint64_t kChunkSizeMax = 64U << 20U;
constexpr size_t kWindowSize = 1U << 20U;

}  // namespace

HeadChunkResult parse_head_chunk(std::string_view bytes, HeadChunk& chunk, size_t& needed) {
  Cursor cursor(bytes);
  chunk.series_ref = cursor.be64();
  chunk.min_ms = static_cast<int64_t>(cursor.be64());
  chunk.max_ms = static_cast<int64_t>(cursor.be64());
  chunk.encoding = cursor.byte();
  const uint64_t size = cursor.uvarint();
  if (!cursor.ok()) {
    needed = kFixedSize + kLengthMax;
    return bytes.size() >= needed ? HeadChunkResult::Malformed : HeadChunkResult::NeedsMore;
  }
  if (chunk.series_ref == 0 && chunk.min_ms == 0 && chunk.max_ms == 0 && chunk.encoding == 0 &&
      size == 0) {
    return HeadChunkResult::End;
  }
  if (size > kChunkSizeMax || chunk.min_ms > chunk.max_ms) return HeadChunkResult::Malformed;
  needed = cursor.offset() + static_cast<size_t>(size) + kChecksumSize;
  if (bytes.size() < needed) return HeadChunkResult::NeedsMore;
  chunk.data = cursor.bytes(size);
  const std::string_view checked = bytes.substr(0, cursor.offset());
  return core::crc32c(checked) == cursor.be32() ? HeadChunkResult::Chunk
                                                : HeadChunkResult::BadChecksum;
}

Result<HeadChunkFiles> HeadChunkFiles::open(core::FileSystem& files, const std::string& dir) {
  HeadChunkFiles all;
  if (!files.exists(dir)) return all;
  std::vector<std::pair<int64_t, std::string>> names;
  for (const std::string& name : TRY(files.list(dir))) {
    const int64_t number = segment_number(name);
    if (number >= 0) names.emplace_back(number, name);
  }
  std::ranges::sort(names);
  for (const auto& [number, name] : names) {
    ChunkFile one;
    one.path = dir + "/" + name;
    one.file = TRY(files.open(one.path, core::OpenMode::Read));
    one.size = TRY(one.file->size());
    all.bytes_ += one.size;
    all.files_.push_back(std::move(one));
  }
  return all;
}

Result<void> HeadChunkFiles::visit(const std::function<void(const HeadChunk&, Place)>& found,
                                   Damage& damage) {
  for (uint32_t i = 0; i < files_.size(); ++i) TRY(visit_file(i, found, damage));
  return {};
}

Result<void> HeadChunkFiles::visit_file(uint32_t number,
                                        const std::function<void(const HeadChunk&, Place)>& found,
                                        Damage& damage) {
  const ChunkFile& from = files_[number];
  const bool is_last = number + 1 == files_.size();
  const std::string header = TRY(from.file->read_at(0, kFileHeaderSize));
  Cursor head(header);
  const uint32_t magic = head.be32();
  const uint8_t version = head.byte();
  if (header.size() < kFileHeaderSize || magic != kMagic || version != 1) {
    // A file that was begun and not written yet.
    if (is_last && header.find_first_not_of('\0') == std::string::npos) return {};
    damage.note(damage.files,
                fmt::format("{}: offset 0: magic {:08x} version {}, expected {:08x} version 1",
                            from.path, magic, version, kMagic));
    return {};
  }
  uint64_t offset = kFileHeaderSize;
  std::string window;
  uint64_t window_offset = 0;
  size_t needed = kFixedSize + kLengthMax;
  while (offset < from.size) {
    const size_t asked = static_cast<size_t>(std::min<uint64_t>(needed, from.size - offset));
    if (offset < window_offset || offset + asked > window_offset + window.size()) {
      window = TRY(from.file->read_at(offset, std::max(asked, kWindowSize)));
      window_offset = offset;
    }
    const std::string_view bytes =
        std::string_view(window).substr(static_cast<size_t>(offset - window_offset));
    HeadChunk chunk;
    const HeadChunkResult result = parse_head_chunk(bytes, chunk, needed);
    switch (result) {
      case HeadChunkResult::End:
        return {};
      case HeadChunkResult::NeedsMore:
        if (offset + needed <= from.size && bytes.size() >= asked) continue;
        [[fallthrough]];
      case HeadChunkResult::Malformed:
        // Its samples are in the log as well: a torn tail costs nothing.
        if (!is_last || result == HeadChunkResult::Malformed) {
          damage.note(damage.files,
                      fmt::format("{}: offset {}: no chunk begins here, the rest of the file's {} "
                                  "bytes is not read",
                                  from.path, offset, from.size));
        }
        return {};
      case HeadChunkResult::BadChecksum:
        damage.note(damage.chunks,
                    fmt::format("{}: offset {}: a chunk of series {} has a bad checksum", from.path,
                                offset, chunk.series_ref));
        break;
      case HeadChunkResult::Chunk:
        found(chunk, {.file = number,
                      .size = static_cast<uint32_t>(chunk.data.size()),
                      .offset = offset + static_cast<uint64_t>(chunk.data.data() - bytes.data())});
        break;
    }
    offset += needed;
    needed = kFixedSize + kLengthMax;
  }
  return {};
}

Result<std::string> HeadChunkFiles::read(Place place) const {
  std::string data = TRY(files_[place.file].file->read_at(place.offset, place.size));
  if (data.size() == place.size) return data;
  return core::fail(ErrorCode::Corruption, "{}: offset {}: {} bytes, {} are there",
                    files_[place.file].path, place.offset, place.size, data.size());
}

}  // namespace promtsdb
