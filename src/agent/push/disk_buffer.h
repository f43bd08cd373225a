// What waits to be sent, on disk: a queue of request bodies in segment files
// (docs/formats/agent_buffer.md).
//
//   append() > 00000000000000000007.seg ... 00000000000000000003.seg > front(), pop()
//              newest, written               oldest, read
//
// A record counts once append() has returned: it is synced. What is popped is remembered
// by the cursor, which is written now and then; after a crash the records since are given
// again. When the bound is reached the oldest segment goes, and what was lost is counted.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/result.h"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace agent {

struct DiskBufferOptions {
  std::string path;
  uint64_t segment_size_max = 16ULL << 20;
  uint64_t size_max = 1ULL << 30;         // of all segments together
  int64_t age_max_ms = 24 * 3'600'000LL;  // of a record's newest sample; 0: no bound
  // The buffer takes no more than this share of its own bytes and the free ones.
  double disk_share_max = 0.8;
};

struct BufferRecord {
  int64_t first_ms = 0;
  int64_t last_ms = 0;
  uint32_t samples = 0;
  uint8_t type = kWriteRequest;
  std::string payload;

  static constexpr uint8_t kWriteRequest = 1;  // a remote write 1.0 body, compressed

  bool operator==(const BufferRecord&) const = default;
};

enum class DropReason : uint8_t {
  Size,    // the bound of the buffer
  Age,     // older than age_max_ms
  Disk,    // the file system is full
  Damage,  // the bytes on disk are not what was written
};
inline constexpr size_t kDropReasonCount = 4;
std::string_view drop_reason_name(DropReason reason);

struct DiskBufferStats {
  uint64_t bytes = 0;    // on disk
  uint64_t records = 0;  // that wait
  uint64_t samples = 0;
  uint64_t segments = 0;
  std::array<uint64_t, kDropReasonCount> dropped_samples{};
  std::array<uint64_t, kDropReasonCount> dropped_records{};
  uint64_t damaged_segments = 0;  // that ended early, found at the start
};

// Thread-safe.
class DiskBuffer {
 public:
  // Reads what an earlier run left. The folder must be locked by the caller.
  static core::Result<std::unique_ptr<DiskBuffer>> open(DiskBufferOptions options,
                                                        core::FileSystem& files,
                                                        const core::Clock& clock);

  // Durable when it returns. TooLarge for a record above the bound: it is dropped and
  // counted. After another error the record may be appended again.
  core::Result<void> append(const BufferRecord& record);
  // The oldest record, which stays; nothing when none waits. Records past their age go.
  core::Result<std::optional<BufferRecord>> front();
  // Forgets what front() gave last.
  void pop();
  // Makes what was popped so far durable. Cheap when nothing was.
  core::Result<void> save_cursor();
  DiskBufferStats stats() const;

 private:
  struct Entry {
    uint64_t offset;
    uint32_t size;  // of the whole record
    uint32_t samples;
    int64_t last_ms;
  };
  struct Segment {
    uint64_t sequence;
    std::string path;
    uint64_t bytes;
    std::deque<Entry> waiting;
  };

  DiskBuffer(DiskBufferOptions options, core::FileSystem& files, const core::Clock& clock)
      : options_(std::move(options)), files_(files), clock_(clock) {}

  // All below: mutex_ is held.
  core::Result<void> recover();
  core::Result<void> recover_segment(uint64_t sequence, uint64_t read_until);
  core::Result<uint64_t> size_limit();
  core::Result<void> make_room(uint64_t bytes);
  core::Result<void> write(const std::string& bytes, const Entry& entry);
  core::Result<void> begin_segment();
  core::Result<void> drop_oldest(DropReason reason);
  void count_drop(DropReason reason, const Entry& entry);
  void drop_entry(DropReason reason);
  core::Result<void> remove_read_segments();
  uint64_t bytes() const;

  const DiskBufferOptions options_;
  core::FileSystem& files_;
  const core::Clock& clock_;
  mutable std::mutex mutex_;
  std::deque<Segment> segments_;        // oldest first
  std::unique_ptr<core::File> newest_;  // of segments_.back(); null: begin another one
  std::unique_ptr<core::File> oldest_;  // of segments_.front(), for reading
  uint64_t oldest_sequence_ = 0;
  uint64_t next_sequence_ = 1;
  bool is_given_ = false;  // front() gave a record that pop() may forget
  bool is_cursor_old_ = false;
  DiskBufferStats stats_;  // the counters only
};

// The bytes of a record, and what front() reads. Corruption when they do not fit.
std::string encode_buffer_record(const BufferRecord& record);
// Takes a record off the front of `bytes`.
core::Result<BufferRecord> take_buffer_record(std::string_view& bytes);

}  // namespace agent
