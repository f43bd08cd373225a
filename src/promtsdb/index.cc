#include "promtsdb/index.h"

#include "core/crc32c.h"
#include "promtsdb/cursor.h"

#include <algorithm>
#include <array>

namespace promtsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr uint32_t kMagic = 0xBAAAD700;
constexpr size_t kHeaderSize = 5;
constexpr size_t kTocSize = 6 * 8 + 4;
constexpr size_t kChecksumSize = 4;
constexpr uint64_t kAlignment = 16;  // of series, from version 2 on
constexpr size_t kLengthMax = 5;     // bytes of a length
constexpr size_t kWindowSize = 1U << 20U;
// A series with more than this in its entry (some ten million chunks) is damage.
constexpr uint64_t kEntrySizeMax = 256U << 20U;

}  // namespace

Result<Symbols> Symbols::parse(std::string section, uint64_t offset, uint8_t version) {
  Symbols symbols;
  symbols.section_ = std::move(section);
  symbols.version_ = version;
  Cursor cursor(symbols.section_);
  const uint32_t count = cursor.be32();
  if (!cursor.ok() || count > cursor.size()) {
    return core::fail(ErrorCode::Corruption, "{} symbols in {} bytes", count, cursor.size());
  }
  symbols.begins_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const size_t begin = cursor.offset();
    if (version == 1) symbols.by_offset_.emplace(static_cast<uint32_t>(offset + begin), i);
    symbols.begins_.push_back(static_cast<uint32_t>(begin));
    cursor.string();
    if (!cursor.ok()) return core::fail(ErrorCode::Corruption, "symbol {} is cut short", i);
  }
  return symbols;
}

std::string_view Symbols::at(size_t number) const {
  return Cursor(std::string_view(section_).substr(begins_[number])).string();
}

bool parse_index_series(std::string_view body, const Symbols& symbols, IndexSeries& series) {
  series.labels.clear();
  series.chunks.clear();
  Cursor cursor(body);
  const uint64_t labels = cursor.uvarint();
  if (labels > cursor.size()) return false;
  for (uint64_t i = 0; i < labels; ++i) {
    const uint64_t name = cursor.uvarint();
    const uint64_t value = cursor.uvarint();
    if (!cursor.ok() || name > UINT32_MAX || value > UINT32_MAX) return false;
    if (!symbols.has(static_cast<uint32_t>(name)) || !symbols.has(static_cast<uint32_t>(value))) {
      return false;
    }
    series.labels.emplace_back(static_cast<uint32_t>(name), static_cast<uint32_t>(value));
  }
  const uint64_t chunks = cursor.uvarint();
  if (chunks > cursor.size()) return false;
  ChunkMeta meta;
  for (uint64_t i = 0; i < chunks; ++i) {
    // Overlapping chunks make a difference negative; it is stored as it wraps.
    meta.min_ms = i == 0 ? cursor.varint()
                         : wrapping_add(meta.max_ms, static_cast<int64_t>(cursor.uvarint()));
    meta.max_ms = wrapping_add(meta.min_ms, static_cast<int64_t>(cursor.uvarint()));
    meta.ref = i == 0 ? cursor.uvarint() : meta.ref + static_cast<uint64_t>(cursor.varint());
    if (!cursor.ok()) return false;
    series.chunks.push_back(meta);
  }
  return cursor.ok() && cursor.empty();
}

Result<Index> Index::open(core::FileSystem& files, const std::string& path) {
  Index index;
  index.path_ = path;
  index.file_ = TRY(files.open(path, core::OpenMode::Read));
  const uint64_t size = TRY(index.file_->size());
  if (size < kHeaderSize + kTocSize) {
    return core::fail(ErrorCode::Corruption, "{}: {} bytes are too short for an index", path, size);
  }
  const std::string header = TRY(index.file_->read_at(0, kHeaderSize));
  Cursor head(header);
  const uint32_t magic = head.be32();
  index.version_ = head.byte();
  if (magic != kMagic) {
    return core::fail(ErrorCode::Corruption, "{}: offset 0: magic {:08x}, expected {:08x}", path,
                      magic, kMagic);
  }
  if (index.version_ != 1 && index.version_ != 2) {
    return core::fail(ErrorCode::Unsupported, "{}: offset 4: version {}, expected 1 or 2", path,
                      index.version_);
  }
  const std::string toc = TRY(index.file_->read_at(size - kTocSize, kTocSize));
  const std::string_view body = std::string_view(toc).substr(0, kTocSize - kChecksumSize);
  if (toc.size() != kTocSize ||
      core::crc32c(body) != Cursor(std::string_view(toc).substr(body.size())).be32()) {
    return core::fail(ErrorCode::Corruption, "{}: offset {}: bad checksum of the table of contents",
                      path, size - kTocSize);
  }
  Cursor cursor(body);
  std::array<uint64_t, 6> sections{};
  for (uint64_t& offset : sections) offset = cursor.be64();
  const uint64_t symbols_at = sections[0];
  index.series_begin_ = sections[1];
  index.series_end_ = size - kTocSize;
  for (const uint64_t offset : sections) {
    if (offset > index.series_begin_) index.series_end_ = std::min(index.series_end_, offset);
  }
  if (symbols_at + 4 > size || index.series_begin_ > size - kTocSize) {
    return core::fail(ErrorCode::Corruption,
                      "{}: offset {}: symbols at {} and series at {} of {} bytes", path,
                      size - kTocSize, symbols_at, index.series_begin_, size);
  }
  const std::string length_bytes = TRY(index.file_->read_at(symbols_at, 4));
  const uint32_t length = Cursor(length_bytes).be32();
  std::string section = TRY(index.file_->read_at(symbols_at + 4, uint64_t{length} + kChecksumSize));
  if (section.size() != uint64_t{length} + kChecksumSize) {
    return core::fail(ErrorCode::Corruption, "{}: offset {}: {} bytes of symbols, {} are there",
                      path, symbols_at, length, section.size());
  }
  const uint32_t stored = Cursor(std::string_view(section).substr(length)).be32();
  section.resize(length);
  if (core::crc32c(section) != stored) {
    return core::fail(ErrorCode::Corruption, "{}: offset {}: bad checksum of the symbols", path,
                      symbols_at);
  }
  index.symbols_ = TRY(Symbols::parse(std::move(section), symbols_at + 4, index.version_)
                           .context("{}: offset {}", path, symbols_at));
  return index;
}

Result<std::string_view> Index::Pass::view(uint64_t offset, size_t size) {
  const bool held = offset >= window_offset_ && offset + size <= window_offset_ + window_.size();
  if (!held) {
    const uint64_t left = index_.series_end_ - offset;
    window_ = TRY(index_.file_->read_at(
        offset, static_cast<size_t>(std::min<uint64_t>(std::max(size, kWindowSize), left))));
    window_offset_ = offset;
  }
  return std::string_view(window_).substr(offset - window_offset_, size);
}

Result<bool> Index::Pass::next(IndexSeries& series) {
  const uint64_t end = index_.series_end_;
  while (offset_ < end) {
    const auto peeked =
        static_cast<size_t>(std::min<uint64_t>(kLengthMax + kAlignment, end - offset_));
    const std::string_view front = TRY(view(offset_, peeked).context("{}", index_.path_));
    if (!front.empty() && front[0] == 0) {  // padding
      ++offset_;
      continue;
    }
    Cursor cursor(front);
    const uint64_t size = cursor.uvarint();
    const size_t length_size = cursor.offset();
    const uint64_t left = end - offset_;
    if (cursor.ok() && size <= kEntrySizeMax && length_size + size + kChecksumSize <= left) {
      const std::string_view entry =
          TRY(view(offset_, length_size + size + kChecksumSize).context("{}", index_.path_));
      const std::string_view body = entry.substr(length_size, size);
      const uint32_t stored = Cursor(entry.substr(length_size + size)).be32();
      if (core::crc32c(body) == stored && parse_index_series(body, index_.symbols_, series)) {
        series.ref = index_.version_ == 1 ? offset_ : offset_ / kAlignment;
        offset_ += length_size + size + kChecksumSize;
        in_damage_ = false;
        return true;
      }
    }
    if (!in_damage_ && damage_ != nullptr) {
      damage_->note(damage_->series,
                    fmt::format("{}: offset {}: a series entry is damaged", index_.path_, offset_));
    }
    // The next one begins at the next aligned place whose checksum is right.
    in_damage_ = true;
    offset_ = index_.version_ == 1 ? offset_ + 1 : (offset_ / kAlignment + 1) * kAlignment;
  }
  return false;
}

}  // namespace promtsdb
