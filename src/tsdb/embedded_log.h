// The embedded log: batches become durable here before anyone is told that they are.
//
//   append ─> pending buffer ─(one thread writes for all)─> segment file ─> fdatasync ─> ack
//
// A folder of segments, each a run of records with rising positions. There is no log
// thread: the first thread that waits writes and syncs what all have appended; the
// others sleep and find their records durable, or lead the next round. Records are
// compact: the labels of a series are written once, with its first record. Every open
// starts a new segment, so that what a crash left behind the last whole record can never
// be taken for a record of the next life. Records that are read back but were perhaps
// never synced are written again to the new segment: syncing the old file would prove
// nothing if an earlier sync of it had failed. Damage never keeps the log from opening:
// what is whole before and behind it counts, and the file is kept aside as *.damaged.
// What the disk did not give is no damage: its file stays what it is, nothing is truncated,
// and when the end of the log is part of it, nothing is appended.
// Layout: docs/formats/log.md.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/result.h"
#include "core/rng.h"
#include "storage/log.h"
#include "tsdb/embedded_log_bounds.h"
#include "tsdb/embedded_log_segment.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tsdb {

struct EmbeddedLogOptions {
  std::string dir;                        // created when it is missing; `dir`.bounds is beside it
  uint64_t segment_bytes = 64 << 20;      // a larger record gets a segment of its own
  uint64_t pending_bytes_max = 16 << 20;  // of appended, unwritten records
  uint32_t spare_segments_max = 2;        // kept for reuse instead of being deleted
  uint64_t reserve_bytes = 0;             // of the disk: no segment is made of them
  // Of the times at which records of one run were accepted: as much at most is lost with one of
  // them. 0: every record stands alone, and takes twice the space.
  int64_t run_ms_max = 5 * 60 * 1000;
  bool skip_checksums_for_test = false;  // proves that the crash tests need them
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

  // Nothing is written before somebody waits or the buffer is full. TooLarge for a batch
  // of more than 256 MiB; Unavailable after a failed write or sync (for good, until the
  // log is opened again) and while no segment can be made.
  core::Result<storage::LogPosition> append(const storage::LogBatch& batch) override;
  bool wants_all_labels() const override { return false; }
  // Unavailable when the record could not be made durable, or when that takes longer than
  // 30 s: then nobody knows whether it will be. It stays in the log: after a
  // full disk has space again, a later wait makes it durable. So whoever acknowledges a
  // repeated sample without appending it has to wait for high() - 1 first.
  core::Result<void> wait_durable(storage::LogPosition position) override;

  // Makes everything durable first, if it can, then reads the segments. Not while another
  // thread truncates.
  core::Result<void> replay(storage::LogPosition from, const Visitor& visit) override;
  std::vector<storage::LogDamage> damage() const override;

  storage::LogPosition low() const override;
  storage::LogPosition high() const override;
  core::Result<void> truncate_before(storage::LogPosition position) override;
  // Segments and spare ones, as large as their files are now.
  uint64_t size_bytes() const override;

  // Why appends are refused, if they are.
  core::Result<void> writable() const;
  // Whether that is for good, until the log is opened again.
  bool has_failed() const;
  uint64_t segment_count() const;

 private:
  struct Segment {
    storage::LogPosition first = 0;
    std::string name;
    bool is_damaged = false;     // never reused
    bool is_kept_aside = false;  // there is a second name for it
  };
  // What could be read of a segment.
  struct Loaded {
    std::string bytes;  // zeros where the disk gave none
    SegmentHeader header;
    std::vector<std::pair<uint64_t, uint64_t>> unread;  // offsets: begin, end
    std::string unread_why;                             // the first error
    std::optional<storage::LogDamage> damage;           // of its header

    bool is_unread(uint64_t begin, uint64_t end) const;
    bool is_unread_behind(uint64_t offset) const { return is_unread(offset, UINT64_MAX); }
  };
  // Of a record: in any segment, in a new one, or in that of the record before it.
  enum class Placement : uint8_t { Any, NewSegment, Bound };
  // Appended records, in order. `starts` are their offsets: headers are finished when the
  // segment, and with it the salt, is known.
  struct Buffer {
    std::string bytes;
    std::vector<size_t> starts;
    std::vector<Placement> placements;
    storage::LogPosition first = 0;

    size_t size() const { return starts.size(); }
    void add(std::string_view header, std::string_view payload, Placement placement);
    // Gives the records their final headers and returns the bytes of [begin, end).
    std::string_view finish(size_t begin, size_t end, uint32_t salt);
    size_t end_of(size_t i) const { return i + 1 < starts.size() ? starts[i + 1] : bytes.size(); }
    void clear();
  };

  EmbeddedLog(EmbeddedLogOptions options, core::FileSystem& files, const core::Clock& clock,
              core::Rng& rng);
  core::Result<void> find_segments();
  core::Result<void> find_end();
  void load_bounds();
  core::Result<void> store_bounds(const LogBounds& next);
  core::Result<void> write_bounds(const std::string& text);
  void note_bounds(const LogBounds& next);
  void find_missing_begin();
  void begin_bounds();
  core::Result<void> note_truncation(storage::LogPosition position);
  void find_missing_end();
  std::string bounds_path() const { return options_.dir + ".bounds"; }
  core::Result<Loaded> load(const Segment& segment);
  std::string read_what_is_there(const std::string& file, Loaded& loaded) const;
  storage::LogDamage damage_of(const Segment& segment, const Loaded& loaded,
                               const SegmentReader::Gap& gap, const core::Error& error) const;
  void judge_end(const Segment& newest, const Loaded& loaded, uint64_t offset);
  void stop_for_unread_end(storage::LogDamage unread);
  void note_damage(const storage::LogDamage& damage);
  void keep_aside(const std::string& name);
  core::Result<void> wait_for_others(std::unique_lock<std::mutex>& lock,
                                     std::chrono::steady_clock::time_point deadline);
  void trim(const Segment& segment, uint64_t used);
  core::Result<void> refusal() const;
  Placement place_in_run(const storage::LogBatch& batch);
  core::Result<Placement> encode(const storage::LogBatch& batch, std::string& payload);
  void free_unproven(const Loaded& loaded);
  core::Result<void> commit(std::unique_lock<std::mutex>& lock);
  core::Result<void> write_out();
  bool needs_segment(size_t record) const;
  void note_room();
  core::Result<void> widen_segment(uint64_t bytes);
  core::Result<void> write_run(size_t begin, size_t end);
  core::Result<void> write_and_sync(std::string_view mark, std::string_view records);
  core::Result<void> start_segment(storage::LogPosition first, uint64_t bytes_min);
  void add_segment(storage::LogPosition first, const std::string& name);
  core::Result<uint64_t> segment_bytes() const;
  tl::unexpected<core::Error> no_space(uint64_t available) const;
  core::Result<std::string> prepare_file(const std::string& content, uint64_t bytes);
  core::Result<void> fill_file(const std::string& name, core::OpenMode mode,
                               const std::string& content, uint64_t bytes);
  void close();
  // What a replay has met so far.
  struct Replay {
    // Takes a record, whose batch borrows from the segment.
    using Give = std::function<core::Result<void>(storage::LogPosition, storage::LogBatch&,
                                                  const std::shared_ptr<const Loaded>&)>;
    storage::LogPosition from = 0;
    const Give& give;
    std::optional<int64_t> accepted_at_ms = {};  // of the last record
    std::vector<storage::LogDamage> gaps = {};   // behind it
  };
  core::Result<void> replay_segment(const Segment& segment, storage::LogPosition end,
                                    Replay& replay);
  storage::LogDamage cut_off_damage(const Replay& replay, const Segment& segment,
                                    const Loaded& loaded,
                                    const SegmentReader::Record& record) const;
  void advise(const Segment& segment, core::FileUse use) const;
  void note_gaps(Replay& replay, std::optional<int64_t> before_ms);
  std::string path(const std::string& name) const { return options_.dir + "/" + name; }

  const EmbeddedLogOptions options_;
  core::FileSystem& files_;
  const core::Clock& clock_;
  core::Rng& rng_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Protected by mutex_.
  Buffer pending_;
  std::string scratch_;  // a payload
  storage::LogPosition high_ = 0;
  uint32_t run_ = 0;                    // the number of the newest run
  storage::LogPosition run_first_ = 0;  // its first record
  int64_t run_accepted_at_ms_ = 0;      // when that was accepted
  bool is_run_open_ = false;            // the next record may continue it
  // Where in the newest segment all that was appended will end, at most; and its size.
  uint64_t end_offset_max_ = 0;
  uint64_t newest_bytes_ = 0;
  storage::LogPosition durable_end_ = 0;  // records before it are durable
  storage::LogPosition found_end_ = 0;    // records before it were in the files at open()
  bool committing_ = false;               // a thread is writing
  std::optional<core::Error> failed_;     // for good: a write or sync failed, or no end is known
  bool has_unread_ = false;               // nothing is truncated
  std::optional<core::Error> stalled_;    // no new segment could be made; tried again
  int64_t retry_at_ns_ = 0;               // when, at the earliest
  std::deque<Segment> segments_;          // oldest first; the last one is written to
  std::vector<std::string> spares_;
  std::vector<storage::LogDamage> damage_;  // in the order of positions

  // Of the thread that has set committing_.
  Buffer writing_;
  size_t written_ = 0;                   // records of writing_ that are durable
  storage::LogPosition synced_end_ = 0;  // what durable_end_ becomes
  bool broken_ = false;                  // the error that comes is one for good
  std::unique_ptr<core::File> active_;   // null until a segment could be made
  uint32_t active_salt_ = 0;
  uint64_t active_offset_ = 0;
  uint64_t active_bytes_ = 0;

  Buffer unproven_;  // what open() found behind the last mark, until it is written again

  // What the file beside the folder says; nothing when there is none.
  std::optional<LogBounds> found_bounds_;           // at open()
  uint64_t found_end_offset_ = 0;                   // where find_end() stopped
  std::optional<storage::LogDamage> unread_end_;    // set in open(): the end of the log
  std::optional<storage::LogDamage> begin_damage_;  // set in open(): the oldest are missing
  std::mutex bounds_mutex_;                         // taken before mutex_
  LogBounds bounds_;                                // protected by bounds_mutex_
  bool has_bounds_ = false;                         // they may be stored; as bounds_
  bool are_bounds_stored_ = false;  // this life has, or has removed the file; as bounds_

  std::mutex truncating_;  // taken before bounds_mutex_ and mutex_
};

}  // namespace tsdb
