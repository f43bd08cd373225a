// The records of a Prometheus log (wal/, its checkpoint, wbl/): segments in pages of 32 KiB,
// records in fragments (prometheus/tsdb/docs/format/wal.md), plain, snappy or zstd.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "promtsdb/damage.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace promtsdb {

// Puts records together from fragments; pages of one segment come in order. A damaged
// fragment costs its record and the rest of its page.
class PageReader {
 public:
  static constexpr size_t kPageSize = 32U << 10U;

  // Borrows the page until the next call.
  void feed(std::string_view page, uint64_t offset);
  // The next record of the page, uncompressed, until the next call; false: feed another one.
  bool next(std::string_view& record);
  // Where the record, or what was wrong, begins.
  uint64_t record_offset() const { return record_offset_; }
  // What was wrong since it was last asked; empty: nothing.
  std::string take_problem() { return std::exchange(problem_, {}); }
  // Whether a record has begun that further pages would end.
  bool is_within_record() const { return within_; }
  void reset();

 private:
  bool fail(std::string problem);
  bool uncompress(std::string_view stored, uint8_t flags, std::string_view& record);

  std::string_view page_;
  size_t at_ = 0;
  uint64_t page_offset_ = 0;
  bool within_ = false;
  uint64_t record_offset_ = 0;
  std::string parts_;
  std::string plain_;
  std::string problem_;
};

// Confined to one thread.
class LogReader {
 public:
  // Segments from `first_segment` on. A folder that is not there has none.
  static core::Result<LogReader> open(core::FileSystem& files, const std::string& dir,
                                      uint64_t first_segment = 0);

  // False at the end. A tail that was torn is the end, other damage is noted and skipped.
  core::Result<bool> next(std::string_view& record, Damage* damage);
  // File and offset of the record, for errors.
  std::string where() const;
  uint64_t bytes() const { return bytes_; }            // of all segments
  uint64_t bytes_read() const { return bytes_read_; }  // so far
  bool had_torn_tail() const { return torn_; }

 private:
  struct Segment {
    std::string path;
    uint64_t number = 0;
    uint64_t size = 0;
  };

  std::vector<Segment> segments_;
  core::FileSystem* files_ = nullptr;
  size_t segment_ = 0;
  std::unique_ptr<core::File> file_;
  uint64_t offset_ = 0;  // of the next page
  std::string buffer_;   // some pages
  uint64_t buffer_offset_ = 0;
  PageReader pages_;
  uint64_t bytes_ = 0;
  uint64_t bytes_read_ = 0;
  bool torn_ = false;
};

// The number in "00000012"; -1 when the name is none.
int64_t segment_number(std::string_view name);

}  // namespace promtsdb
