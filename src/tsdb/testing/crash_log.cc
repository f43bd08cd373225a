#include "tsdb/testing/crash_log.h"

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/embedded_log.h"
#include "tsdb/embedded_log_record.h"
#include "tsdb/embedded_log_segment.h"

#include <fmt/core.h>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace tsdb::testing {

using core::Result;
using core::testing::SimFault;
using storage::LogPosition;

namespace {

// A record, with the mark in front of it if there is one, takes a multiple of that.
constexpr uint64_t kUnitBytes = 256;
constexpr uint64_t kUnitsMax = 3;
constexpr uint64_t kReserveBytes = 128 << 10;
// The log leaves that much in addition, and its segments here are smaller.
constexpr uint64_t kLogFreeBytesMin = 256 << 10;

class LogRun {
 public:
  LogRun(uint64_t seed, CrashCoverage& coverage, std::vector<std::string>* trace)
      : coverage_(coverage),
        trace_to_(trace),
        rng_(seed * 3 + 1'000'000'007),
        log_rng_(seed * 3 + 1'000'000'008),
        files_({.seed = seed * 3 + 1'000'000'009}) {
    options_.dir = "data/wal";
    options_.segment_bytes = 2048ULL << rng_.below(3);
  }

  std::optional<std::string> run() {
    if (one_in(2)) reuse_torn();
    if (!broken_ && one_in(2)) reuse_renamed();
    const uint64_t lives = 4 + rng_.below(6);
    for (uint64_t life = 0; life < lives && !broken_; ++life) {
      if (one_in(2)) fail_power(rng_.below(40));
      if (open()) live();
      end_life();
    }
    // Nothing goes wrong any more, but for what is taken away.
    if (!broken_ && open() && one_in(8)) fill_disk();
    if (!broken_) {
      end_life();
      if (one_in(2)) remove_segment();
    }
    log_.reset();
    return std::move(broken_);
  }

 private:
  struct Sent {
    std::string text;
    bool is_durable = false;
  };

  bool one_in(uint64_t n) { return rng_.below(n) == 0; }
  void fail(std::string what) {
    if (!broken_) broken_ = "the log by itself: " + std::move(what);
  }
  template <typename... Args>
  void trace(fmt::format_string<Args...> format, Args&&... args) {
    if (trace_to_ == nullptr) return;
    trace_to_->push_back("log   " + fmt::format(format, std::forward<Args>(args)...));
  }
  void fail_power(uint64_t after) {
    files_.fail_at(files_.fault_points() + after, SimFault::PowerLoss);
  }

  // The power, when the names in the folder of the log are synced.
  void fail_at_names(uint64_t skip) {
    files_.fail_when({.fault = SimFault::PowerLoss,
                      .operation = core::testing::SimOperation::SyncDir,
                      .path_contains = options_.dir,
                      .skip = skip});
  }

  void live() {
    const uint64_t steps = rng_.below(8);
    for (uint64_t i = 0; i < steps && !broken_ && files_.has_power(); ++i) {
      if (one_in(3)) {
        truncate();
      } else {
        append(1 + rng_.below(4), 0);
      }
    }
  }

  // What a torn write left whole behind the record that it tore: its positions are given again,
  // and where its segment is used again it stands behind a new record that ends there.
  void reuse_torn() {
    if (!open()) return;
    // The mark of the second write proves the first: its segment is not replaced by the next.
    append(1, 0, 1);
    append(1, 0, 1);
    files_.fail_when({.fault = SimFault::PowerLoss,
                      .operation = core::testing::SimOperation::Sync,
                      .path_contains = ".log"});
    append(3, 0, 1);
    end_life();
    if (broken_ || !open()) return;
    append(1, 0, 1);
    truncate_all();
    end_life();
    if (broken_ || !open()) return;
    // As long as all that is before the third of them, whose position comes next.
    append(1, 0, 4);
    end_life();
  }

  // A kill between the rename of a segment to a spare and the sync of that name: the disk may
  // still have the old one, and must not when the next life has written to the spare.
  void reuse_renamed() {
    if (!open()) return;
    for (int i = 0; i < 8; ++i) append(1, 0, kUnitsMax);
    fail_at_names(0);
    truncate_all();
    log_.reset();
    trace("ends");
    files_.kill();
    fail_at_names(rng_.below(3));
    if (!broken_ && open()) append(1, 0, kUnitsMax);
    log_.reset();
    trace("the power fails");
    files_.crash();
  }

  void end_life() {
    // A process that is killed does not close its log.
    if (!one_in(4)) fail_power(0);
    log_.reset();
    const bool is_killed = one_in(4);
    trace("{}", is_killed ? "ends" : "the power fails");
    if (is_killed) {
      files_.kill();
    } else {
      files_.crash();
    }
    files_.set_capacity(UINT64_MAX);
  }

  // False without power. What is found then is durable, and the rest is gone for good.
  bool open() {
    std::vector<std::pair<LogPosition, std::string>> found;
    if (!read(found) || !files_.has_power()) return false;
    read_what_may_go();
    if (!files_.has_power()) return false;
    for (const storage::LogDamage& one : log_->damage()) {
      fail(fmt::format("damage where only power was lost: {} at byte {}: {}", one.file, one.offset,
                       one.what));
    }
    trace("opened: {} records from {}, log from {} to {}", found.size(), needed_, log_->low(),
          log_->high());
    compare(found, false);
    for (auto one = sent_.begin(); one != sent_.end();) {
      one = one->second.is_durable ? std::next(one) : sent_.erase(one);
    }
    high_ = log_->high();
    return !broken_;
  }

  bool read(std::vector<std::pair<LogPosition, std::string>>& found) {
    log_.reset();
    auto log = EmbeddedLog::open(options_, files_, clock_, log_rng_);
    if (!log) {
      if (files_.has_power()) fail("it does not open: " + log.error().message);
      return false;
    }
    log_ = std::move(*log);
    const Result<void> replayed =
        log_->replay(needed_, [&](LogPosition position, const storage::LogBatch& batch) {
          found.emplace_back(position, batch.metadata.empty() ? "" : batch.metadata[0].help);
          return Result<void>();
        });
    if (!replayed && files_.has_power()) fail("it cannot be read: " + replayed.error().message);
    return replayed.has_value();
  }

  // Nobody needs it, but whoever verifies the files must find it whole.
  void read_what_may_go() {
    const Result<void> replayed = log_->replay(
        log_->low(), [](LogPosition, const storage::LogBatch&) { return Result<void>(); });
    if (!replayed && files_.has_power())
      fail("its begin cannot be read: " + replayed.error().message);
  }

  // Marks as durable what was found.
  void compare(const std::vector<std::pair<LogPosition, std::string>>& found, bool may_lack) {
    std::map<LogPosition, Sent> missing;
    for (const auto& [position, sent] : sent_) {
      if (sent.is_durable && position >= needed_) missing.emplace(position, sent);
    }
    std::optional<LogPosition> before;
    for (const auto& [position, text] : found) {
      if (before && position <= *before) fail(fmt::format("record {} twice", position));
      before = position;
      const auto sent = sent_.find(position);
      const bool is_known = sent != sent_.end() && sent->second.text == text;
      // Where a segment is missing, what is whole behind a torn record counts.
      if (!is_known && may_lack) continue;
      if (!is_known) {
        fail(fmt::format("record {} is one that was not there: {}", position, text.substr(0, 8)));
        return;
      }
      sent->second.is_durable = true;
      missing.erase(position);
    }
    if (!missing.empty() && !may_lack) {
      fail(fmt::format("{} records are missing, the first one is {}", missing.size(),
                       missing.begin()->first));
    }
  }

  // One write to the file. With `bytes` records of that size, otherwise of a few units, or of
  // just so many.
  void append(uint64_t count, uint64_t bytes, uint64_t units = 0) {
    LogPosition last = 0;
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t size = bytes;
      if (size == 0) {
        size = kUnitBytes * (units != 0 ? units : 1 + rng_.below(kUnitsMax));
        if (i == 0) size -= encode_mark(0, 0, 0).size();
      }
      const std::string text = make_text(size);
      storage::LogBatch batch = make_batch(text);
      const Result<LogPosition> position = log_->append(batch);
      if (!position) return;
      const bool is_new = sent_.emplace(*position, Sent{.text = text}).second;
      if (!is_new) return fail(fmt::format("position {} is given twice", *position));
      last = *position;
      high_ = last + 1;
    }
    const bool is_durable = log_->wait_durable(last).has_value() && files_.has_power();
    trace("{} records up to {} with text {}, {}", count, last, next_number_ - 1,
          is_durable ? "durable" : "of unknown fate");
    if (!is_durable) return;
    for (auto& [position, sent] : sent_) sent.is_durable = true;
  }

  static storage::LogBatch make_batch(const std::string& text) {
    storage::LogBatch batch;
    batch.tenant = "default";
    batch.metadata.push_back(
        {.metric = "m", .type = model::MetricType::Counter, .unit = "", .help = text});
    return batch;
  }

  // Of a record of `size` bytes; begins with a number of its own.
  std::string make_text(uint64_t size) {
    std::string text = fmt::format("{:08}", next_number_++);
    // The length of the text is stored, too.
    for (int i = 0; i < 3; ++i) {
      std::string payload(1, '\0');
      append_batch_payload(payload, make_batch(text));
      const uint64_t taken = kRecordHeaderBytes + payload.size();
      if (taken > size) {
        text.resize(text.size() - (taken - size));
      } else {
        text.append(size - taken, 'x');
      }
    }
    return text;
  }

  void truncate() {
    if (one_in(2)) return truncate_all();
    truncate_before(needed_ + rng_.below(high_ - needed_ + 1));
  }
  void truncate_all() { truncate_before(high_); }

  void truncate_before(LogPosition position) {
    needed_ = position;
    const Result<void> done = log_->truncate_before(needed_);
    trace("truncated before {}: {}", needed_, done ? "done" : done.error().message);
  }

  // What is reserved is for blocks.
  void fill_disk() {
    log_.reset();
    options_.reserve_bytes = kReserveBytes;
    if (!open()) return;
    files_.set_capacity(files_.used_bytes() + kReserveBytes + kLogFreeBytesMin +
                        rng_.below(128 << 10));
    coverage_.count("logs that fill the disk");
    for (int i = 0; i < 8 && !broken_; ++i) {
      append(1, 96 << 10);
      clock_.advance_ms(2000);
      const uint64_t available = files_.disk_space("data")->available_bytes;
      if (available < kReserveBytes) {
        fail(fmt::format("{} bytes of the disk are left, reserved are {}", available,
                         kReserveBytes));
      }
    }
  }

  // Somebody takes the oldest or the newest segment away.
  void remove_segment() {
    std::vector<std::string> segments;
    for (const std::string& path : files_.all_files()) {
      if (path.starts_with(options_.dir + "/") && path.ends_with(".log")) segments.push_back(path);
    }
    if (segments.size() < 2) return;
    if (!files_.remove(one_in(2) ? segments.front() : segments.back())) return;
    coverage_.count("segments taken away");
    std::vector<std::pair<LogPosition, std::string>> found;
    if (!read(found)) return;
    compare(found, !log_->damage().empty());
  }

  CrashCoverage& coverage_;
  std::vector<std::string>* const trace_to_;  // or null
  core::SeededRng rng_;
  core::SeededRng log_rng_;
  core::testing::FakeClock clock_;
  core::testing::SimFileSystem files_;
  EmbeddedLogOptions options_;
  std::unique_ptr<EmbeddedLog> log_;
  std::map<LogPosition, Sent> sent_;
  LogPosition needed_ = 0;  // the log was told to forget what is before it
  LogPosition high_ = 0;
  uint64_t next_number_ = 0;
  std::optional<std::string> broken_;
};

}  // namespace

std::optional<std::string> run_crash_log(uint64_t seed, CrashCoverage& coverage,
                                         std::vector<std::string>* trace) {
  return LogRun(seed, coverage, trace).run();
}

}  // namespace tsdb::testing
