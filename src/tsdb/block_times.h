// The timestamps of a block (docs/formats/block.md). What is scraped together shares its
// times: a block keeps every distinct run of them once, and the chunks of many series refer
// to it. Runs are relative to their first time.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tsdb {

// Collects the distinct columns of a block that is being written. Bounded: when it is full a
// column that is not known yet stays with its chunk.
class TimeColumnsBuilder {
 public:
  static constexpr size_t kBytesMax = 16 << 20U;
  static constexpr size_t kColumnsMax = 256 << 10U;

  // The number of the column; nothing when there is no room, `encoded()` has it then.
  // Precondition: 1..kChunkSamplesMax rising times.
  std::optional<uint32_t> add(std::span<const int64_t> times_ms);
  const std::string& encoded() const { return scratch_; }
  std::string encode(int64_t base_ms) const;

 private:
  std::unordered_map<std::string, uint32_t> known_;
  std::vector<const std::string*> columns_;  // keys of known_
  size_t bytes_ = 0;
  std::string scratch_;
  std::vector<int64_t> relative_;
};

// Appends one column, relative to its first time; takes it back with first_ms as that.
void append_time_column(std::string& out, std::span<const int64_t> times_ms,
                        std::vector<int64_t>& scratch);
[[nodiscard]] bool take_time_column(std::string_view& bytes, int64_t first_ms,
                                    std::span<int64_t> out);

// The columns of a block that is read. Immutable, thread-safe.
class TimeColumns {
 public:
  static core::Result<TimeColumns> decode(std::string bytes);

  // False when there is no such column or it has another number of times.
  [[nodiscard]] bool read(uint64_t column, int64_t first_ms, std::span<int64_t> out) const;
  // What times of first chunks are relative to.
  int64_t base_ms() const { return base_ms_; }
  size_t size() const { return ends_.size(); }
  size_t size_bytes() const { return bytes_.size() + ends_.size() * sizeof(uint32_t); }

 private:
  std::string bytes_;
  size_t begin_ = 0;            // of the first column
  std::vector<uint32_t> ends_;  // in bytes_, relative to begin_
  int64_t base_ms_ = 0;
};

}  // namespace tsdb
