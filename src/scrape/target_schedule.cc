#include "scrape/target_schedule.h"

#include "core/result.h"

#include <algorithm>

namespace scrape {

TargetSchedule::TargetSchedule(const ScheduleOptions& options, int64_t now_ms)
    : options_(options), next_slot_ms_(slot_from(now_ms)) {
  ENSURE(options.interval_ms > 0);
}

int64_t TargetSchedule::slot_from(int64_t time_ms) const {
  const int64_t interval = options_.interval_ms;
  const auto offset = static_cast<int64_t>(options_.key_hash % static_cast<uint64_t>(interval));
  const int64_t slot = (time_ms - offset) / interval * interval + offset;
  return slot < time_ms ? slot + interval : slot;
}

void TargetSchedule::change(const ScheduleOptions& options, int64_t now_ms) {
  const bool moves = options.interval_ms != options_.interval_ms;
  options_ = options;
  if (moves) restart(now_ms);
}

void TargetSchedule::restart(int64_t now_ms) {
  next_slot_ms_ = slot_from(now_ms);
}

TargetSchedule::Start TargetSchedule::start(int64_t now_ms) {
  ENSURE(!in_flight_);
  Start start;
  const int64_t late_ms = std::max<int64_t>(now_ms - next_slot_ms_, 0);
  start.skipped = static_cast<uint64_t>(late_ms / options_.interval_ms);
  start.slot_ms = next_slot_ms_ + late_ms / options_.interval_ms * options_.interval_ms;
  start.is_late = now_ms - start.slot_ms > options_.interval_ms / 10;
  slot_ms_ = start.slot_ms;
  next_slot_ms_ = start.slot_ms + options_.interval_ms;
  started_ms_ = now_ms;
  retries_ = 0;
  in_flight_ = true;
  return start;
}

TargetSchedule::Next TargetSchedule::answered(ScrapeEnd end, int64_t now_ms) {
  ENSURE(in_flight_);
  if (end == ScrapeEnd::Retryable && retries_ < std::min(options_.retry_max, kRetryMax)) {
    const int64_t at_ms = now_ms + options_.retry_backoff_ms;
    if (at_ms - slot_ms_ + options_.timeout_ms <= options_.interval_ms) {
      ++retries_;
      return {.retries = true, .at_ms = at_ms};
    }
  }
  in_flight_ = false;
  if (end == ScrapeEnd::Timeout) {
    good_ = 0;
    if (++timeouts_ >= kSlowAfter) slow_ = true;
  } else if (end != ScrapeEnd::NotTried) {
    timeouts_ = 0;
    good_ = end == ScrapeEnd::Good ? good_ + 1 : 0;
    if (good_ >= kFastAfter) slow_ = false;
  }
  return {.retries = false, .at_ms = next_slot_ms_};
}

}  // namespace scrape
