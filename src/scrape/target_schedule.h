// When a target is scraped: a state machine without clock and threads. Slot k lies at
// k * interval + offset, and the offset comes from the target's key, so that thousands of
// targets spread over the interval and every server agrees on the times.
//
//   idle --due--> in flight --answered--> idle at the next slot
//                     ^ retry ----┘

#pragma once

#include <cstdint>

namespace scrape {

struct ScheduleOptions {
  uint64_t key_hash = 0;
  int64_t interval_ms = 0;
  int64_t timeout_ms = 0;
  uint32_t retry_max = 0;
  int64_t retry_backoff_ms = 0;
};

enum class ScrapeEnd : uint8_t {
  Good,
  Failed,     // answered, but not well
  Timeout,    //
  Retryable,  // connect refused, reset before the first byte, 502, 503, 504
  NotTried,   // limits of ours: says nothing about the target
};

// Confined to whoever guards the targets.
class TargetSchedule {
 public:
  static constexpr uint32_t kRetryMax = 3;
  // Timeouts in a row that send a target to the slow lane, good scrapes that bring it back.
  static constexpr uint32_t kSlowAfter = 3;
  static constexpr uint32_t kFastAfter = 3;

  TargetSchedule(const ScheduleOptions& options, int64_t now_ms);

  // A target that stays with another interval or timeout; or the clock has jumped.
  void change(const ScheduleOptions& options, int64_t now_ms);
  void restart(int64_t now_ms);

  struct Start {
    int64_t slot_ms = 0;
    bool is_late = false;  // by more than a tenth of the interval
    uint64_t skipped = 0;  // slots before it that passed without a scrape
  };
  // Precondition: idle and next_slot_ms() has come.
  Start start(int64_t now_ms);

  struct Next {
    bool retries = false;
    int64_t at_ms = 0;  // of the retry, or the next slot: perhaps in the past
  };
  // Precondition: in flight.
  Next answered(ScrapeEnd end, int64_t now_ms);

  const ScheduleOptions& options() const { return options_; }
  int64_t next_slot_ms() const { return next_slot_ms_; }
  int64_t slot_ms() const { return slot_ms_; }  // of the scrape in flight, or the last one
  bool is_in_flight() const { return in_flight_; }
  bool is_slow() const { return slow_; }
  bool was_started() const { return slot_ms_ != 0; }

  // The slot at `time_ms` or the next one after it.
  int64_t slot_from(int64_t time_ms) const;

 private:
  ScheduleOptions options_;
  int64_t next_slot_ms_ = 0;
  int64_t slot_ms_ = 0;
  int64_t started_ms_ = 0;
  uint32_t retries_ = 0;
  uint32_t timeouts_ = 0;  // in a row
  uint32_t good_ = 0;      // in a row
  bool in_flight_ = false;
  bool slow_ = false;
};

}  // namespace scrape
