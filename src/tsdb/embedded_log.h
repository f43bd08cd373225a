// The embedded log: batches become durable here before anyone is told that they are.
//
//   append ─> pending buffer ─(one thread writes for all)─> segment file ─> fdatasync ─> ack
//
// A folder of segments, each a run of records with rising positions. There is no log
// thread: the first thread that waits writes and syncs what all have appended; the
// others sleep and find their records durable, or lead the next round. Records are
// compact: the labels of a series are written once, with its first record. Every open
// starts a new segment, so that what a crash left behind the last whole record can never
// be taken for a record of the next life. Layout: docs/formats/log.md.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/result.h"
#include "core/rng.h"
#include "storage/log.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tsdb {

struct EmbeddedLogOptions {
  std::string dir;                        // created when it is missing
  uint64_t segment_bytes = 64 << 20;      // a larger record gets a segment of its own
  uint64_t pending_bytes_max = 16 << 20;  // of appended, unwritten records
  uint32_t spare_segments_max = 2;        // kept for reuse instead of being deleted
  bool skip_checksums_for_test = false;   // proves that the crash tests need them
};

// Thread-safe.
class EmbeddedLog final : public storage::Log {
 public:
  // Reads the newest segment to find the end. A log that can be read but not written
  // (disk full, read-only) opens too: append() then says why. `files`, `clock` and `rng`
  // outlive the log.
  static core::Result<std::unique_ptr<EmbeddedLog>> open(EmbeddedLogOptions options,
                                                         core::FileSystem& files,
                                                         const core::Clock& clock, core::Rng& rng);
  // Writes and syncs what is pending.
  ~EmbeddedLog() override;

  // Nothing is written before somebody waits or the buffer is full. TooLarge above
  // kPayloadBytesMax; Unavailable after a failed write or sync (for good, until the log
  // is opened again) and while the buffer is full and no segment can be made.
  core::Result<storage::LogPosition> append(const storage::LogBatch& batch) override;
  // Unavailable when the record could not be made durable. It stays in the log: after a
  // full disk has space again, a later wait makes it durable. So whoever acknowledges a
  // repeated sample without appending it has to wait for high() - 1 first.
  core::Result<void> wait_durable(storage::LogPosition position) override;

  // Makes everything durable first, then reads the segments.
  core::Result<void> replay(storage::LogPosition from, const Visitor& visit) override;

  storage::LogPosition low() const override;
  storage::LogPosition high() const override;
  core::Result<void> truncate_before(storage::LogPosition position) override;

  // Why appends are refused, if they are.
  core::Result<void> writable() const;
  uint64_t segment_count() const;

 private:
  struct Segment {
    storage::LogPosition first = 0;
    std::string name;
  };
  struct PendingRecord {
    storage::LogPosition position = 0;
    uint32_t offset = 0;  // of the record's header in the buffer
  };
  struct Buffer {
    std::string bytes;
    std::vector<PendingRecord> records;
    void clear();
  };

  EmbeddedLog(EmbeddedLogOptions options, core::FileSystem& files, const core::Clock& clock,
              core::Rng& rng);
  core::Result<void> find_segments();
  core::Result<void> commit(std::unique_lock<std::mutex>& lock);
  core::Result<void> write_out(Buffer& buffer, storage::LogPosition durable_end);
  core::Result<void> write_run(Buffer& buffer, size_t first, size_t last,
                               storage::LogPosition durable_end);
  core::Result<void> start_segment(storage::LogPosition first, uint64_t bytes_min);
  core::Result<std::string> prepare_file(storage::LogPosition first, uint64_t bytes_min,
                                         uint32_t salt);
  std::string path(const std::string& name) const;

  const EmbeddedLogOptions options_;
  core::FileSystem& files_;
  const core::Clock& clock_;
  core::Rng& rng_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Protected by mutex_.
  Buffer pending_;
  storage::LogPosition high_ = 0;
  storage::LogPosition durable_end_ = 0;  // records before it are durable
  bool committing_ = false;               // a thread is writing
  std::optional<core::Error> failed_;     // for good
  std::optional<core::Error> stalled_;    // no segment to write to; tried again
  std::deque<Segment> segments_;          // oldest first; the last one is written to

  // Of the thread that has set committing_.
  Buffer writing_;
  std::unique_ptr<core::File> active_;
  uint32_t active_salt_ = 0;
  uint64_t active_offset_ = 0;
  uint64_t active_bytes_ = 0;
  std::deque<std::string> spares_;
};

}  // namespace tsdb
