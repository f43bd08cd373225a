// The Log seam: where samples become durable, before anyone is told that they are.
//
// The seam is the batch, not its bytes. The embedded log (tsdb/embedded_log.h) lives
// beside the series table and writes labels once per series; the self-contained logs
// (pipeline/in_process_log.h, later Kafka) write every record so that it can be read
// alone. Both give back the same batches on replay.

#pragma once

#include "core/result.h"
#include "model/sample.h"
#include "model/tenant.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace storage {

// Place of a record in the log: 0 is the first; rises by at least 1 per record.
using LogPosition = uint64_t;

// What a log may remember of a series from one record to the next. The writer keeps it, zeroed
// at first, for as long as it uses the id, and does not look into it.
struct LoggedValue {
  double value = 0;
  uint32_t run = 0;
  uint32_t record = 0;  // of the run
};

// One series of a record.
struct LogSeries {
  // The series table's id at the time of writing. Stable for as long as the series is
  // in the table; a new life of the same labels gets a new id.
  uint64_t id = 0;
  // Canonical label bytes. Set by the writer, unless the series is not new and the log does
  // not want them; on replay empty when an earlier record (or the series snapshot)
  // introduced the id.
  std::string_view labels;
  bool is_new = false;       // first record that mentions the id
  uint32_t samples_end = 0;  // the series' samples are [end of the one before, this)
  uint32_t histograms_end = 0;
  uint32_t exemplars_end = 0;
  // Null: the log writes the values so that they need no others. Not set on replay.
  LoggedValue* logged_value = nullptr;
};

// What one append carries: already judged, so that nothing is refused after it.
struct LogBatch {
  std::string_view tenant;
  int64_t accepted_at_ms = 0;
  std::vector<LogSeries> series;
  std::vector<model::Sample> samples;
  std::vector<model::HistogramSample> histograms;
  std::vector<model::Exemplar> exemplars;
  std::vector<model::Metadata> metadata;

  void clear();
  bool empty() const { return series.empty() && metadata.empty(); }
};

// Records that the log had and cannot give back, for now or for ever.
struct LogDamage {
  LogPosition first = 0;  // records [first, end) are missing; none when both are equal
  LogPosition end = 0;
  std::optional<uint64_t> count = {};  // how many of these, if not all
  bool end_is_known = true;            // false: more may be missing than that
  // An i/o error hides them, and a later start may find them: they are not lost.
  bool is_unread = false;
  std::string file;
  uint64_t offset = 0;  // where in the file the damage begins
  std::string what;
  // When the nearest whole records before and behind it were accepted, ms.
  std::optional<int64_t> accepted_after_ms = {};
  std::optional<int64_t> accepted_before_ms = {};

  uint64_t lost() const { return count.value_or(end - first); }
};

// Thread-safe.
class Log {
 public:
  virtual ~Log() = default;
  // Puts the batch behind all earlier ones and returns its position; not yet durable.
  // Blocks while the bounded buffer is full. Unavailable after a failed fsync.
  virtual core::Result<LogPosition> append(const LogBatch& batch) = 0;
  // Whether append() reads the labels of series that are not new.
  virtual bool wants_all_labels() const { return true; }
  // Blocks until the record at `position` and all before it are durable.
  virtual core::Result<void> wait_durable(LogPosition position) = 0;

  // Calls `visit` for each record from `from` on, in order. The batch is borrowed for
  // the call. A torn tail ends the replay silently: it was never acknowledged. Damage is
  // passed over: the positions jump there, and damage() tells.
  using Visitor = std::function<core::Result<void>(LogPosition, const LogBatch&)>;
  virtual core::Result<void> replay(LogPosition from, const Visitor& visit) = 0;
  // What was found so far, in the order of positions; complete after a replay of all.
  virtual std::vector<LogDamage> damage() const { return {}; }

  virtual LogPosition low() const = 0;   // oldest record still there
  virtual LogPosition high() const = 0;  // where the next record will stand
  // Forgets records before `position`; may keep more (whole segments only).
  virtual core::Result<void> truncate_before(LogPosition position) = 0;
  // Of this machine's disk; 0 when it is none.
  virtual uint64_t size_bytes() const { return 0; }
};

}  // namespace storage
