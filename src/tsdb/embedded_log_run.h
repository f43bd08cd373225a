// The payload of a record that continues a run: as embedded_log_record.h, but of every value only
// what changed since the record of the run that had the series before.
//
//   segment: | run: first record, record, record ... | run ... |
//
// A run lies within one segment, so that a segment can be read alone. A record tells between which
// records those lie that it refers to: when one is lost, those that need it are lost with it,
// and no others. The writer remembers the last value of a series beside the series
// (storage::LoggedValue), which costs no look-up; the reader has a table. Layout:
// docs/formats/log.md.

#pragma once

#include "core/result.h"
#include "storage/log.h"
#include "tsdb/embedded_log_segment.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

// Whether the batch can be part of a run: it has series, whose values the writer keeps.
bool fits_run(const storage::LogBatch& batch);
// About how many bytes the batch will take, cheaply.
size_t guess_run_bytes(const storage::LogBatch& batch);

// Appends the payload of the record `distance` behind the first one of the run, and notes the
// values. Precondition: fits_run(). Runs of one log have rising numbers from 1 on.
void append_run_payload(std::string& out, const storage::LogBatch& batch, uint64_t distance,
                        uint32_t run);

// The last value of each series in a run.
class RunValues {
 public:
  void clear();
  // 0 for a series that was not there yet. Valid until the next call.
  double& at(uint64_t id);

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Slot {
    uint64_t id = kEmpty;
    double value = 0;
  };

  static size_t slot_of(uint64_t id, size_t mask);
  void grow();

  std::vector<Slot> slots_;  // a power of two, linear probing
  size_t used_ = 0;
  double of_empty_ = 0;  // of the id that marks empty slots, which no writer gives
};

// Decodes the records of one segment, in their order.
class RunReader {
 public:
  // `begin`: the first record of the segment.
  explicit RunReader(storage::LogPosition begin) : begin_(begin) {}

  // False when one is lost that the record refers to: then it is lost as well.
  bool can_read(const SegmentReader::Record& record) const;
  // Replaces `batch`; its tenant and labels borrow from the record. Corruption names the byte of
  // the payload, and the record is lost. Precondition: can_read().
  core::Result<void> decode(const SegmentReader::Record& record, storage::LogBatch& batch);
  // The records [first, end) are lost. In rising order.
  void note_lost(storage::LogPosition first, storage::LogPosition end);

 private:
  struct Range {
    storage::LogPosition first = 0;
    storage::LogPosition end = 0;
  };

  const storage::LogPosition begin_;
  RunValues values_;
  std::optional<storage::LogPosition> first_;  // of the run that the values are of
  std::vector<Range> lost_;
};

}  // namespace tsdb
