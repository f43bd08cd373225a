// The index of a Prometheus block: its series in the order of their labels and where
// their chunks are (prometheus/tsdb/docs/format/index.md). Symbols are held in memory; the
// series are read in passes over the file. Postings are not needed.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "promtsdb/damage.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace promtsdb {

struct ChunkMeta {
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  uint64_t ref = 0;  // segment << 32 | offset
};

struct IndexSeries {
  uint64_t ref = 0;                                   // what tombstones name it by
  std::vector<std::pair<uint32_t, uint32_t>> labels;  // symbols of name and value
  std::vector<ChunkMeta> chunks;
};

// The symbol table's content: `section` begins with the number of symbols.
class Symbols {
 public:
  // Version 1 refers to symbols by their offset in the file, version 2 by their number.
  static core::Result<Symbols> parse(std::string section, uint64_t offset, uint8_t version);

  // False for a reference to nothing.
  bool has(uint32_t ref) const { return version_ == 1 ? by_offset_.contains(ref) : ref < count(); }
  std::string_view text(uint32_t ref) const { return at(version_ == 1 ? by_offset_.at(ref) : ref); }
  size_t count() const { return begins_.size(); }

 private:
  std::string_view at(size_t number) const;

  std::string section_;
  std::vector<uint32_t> begins_;  // of the lengths in section_
  std::unordered_map<uint32_t, uint32_t> by_offset_;
  uint8_t version_ = 2;
};

// The body of one series entry, between its length and its checksum. False unless it is
// well-formed and refers to symbols that exist.
bool parse_index_series(std::string_view body, const Symbols& symbols, IndexSeries& series);

// Confined to one thread.
class Index {
 public:
  static core::Result<Index> open(core::FileSystem& files, const std::string& path);

  const Symbols& symbols() const { return symbols_; }
  uint64_t series_bytes() const { return series_end_ - series_begin_; }

  // One walk over the series. A damaged entry is noted and skipped.
  class Pass {
   public:
    Pass(const Index& index, Damage* damage) : index_(index), damage_(damage) {
      offset_ = index.series_begin_;
    }
    core::Result<bool> next(IndexSeries& series);

   private:
    core::Result<std::string_view> view(uint64_t offset, size_t size);

    const Index& index_;
    Damage* damage_;  // may be null: noted in another pass
    uint64_t offset_ = 0;
    std::string window_;
    uint64_t window_offset_ = 0;
    bool in_damage_ = false;
  };

 private:
  Index() = default;

  std::unique_ptr<core::File> file_;
  std::string path_;
  Symbols symbols_;
  uint8_t version_ = 2;
  uint64_t series_begin_ = 0;
  uint64_t series_end_ = 0;
};

}  // namespace promtsdb
