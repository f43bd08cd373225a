#include "scrape/target_schedule.h"

#include <doctest/doctest.h>

using scrape::ScheduleOptions;
using scrape::ScrapeEnd;
using scrape::TargetSchedule;

namespace {

constexpr int64_t kNow = 1'700'000'000'000;

ScheduleOptions every(int64_t interval_ms, uint64_t hash = 3'333) {
  return {.key_hash = hash, .interval_ms = interval_ms, .timeout_ms = interval_ms};
}

TEST_CASE("slots lie at multiples of the interval plus the key's offset") {
  TargetSchedule schedule(every(10'000), kNow);
  CHECK(schedule.next_slot_ms() == kNow + 3'333);
  CHECK(schedule.start(kNow + 3'335).slot_ms == kNow + 3'333);
  CHECK(schedule.next_slot_ms() == kNow + 13'333);
  CHECK(schedule.slot_from(kNow + 3'333) == kNow + 3'333);
  CHECK(schedule.slot_from(kNow + 3'334) == kNow + 13'333);
}

TEST_CASE("a scrape later than a tenth of the interval is late") {
  TargetSchedule schedule(every(10'000), kNow);
  CHECK_FALSE(schedule.start(kNow + 4'333).is_late);
  schedule.answered(ScrapeEnd::Good, kNow + 4'400);
  CHECK(schedule.start(kNow + 14'334).is_late);
}

TEST_CASE("slots that passed are skipped, not made up for") {
  TargetSchedule schedule(every(10'000), kNow);
  schedule.start(kNow + 3'333);
  CHECK(schedule.answered(ScrapeEnd::Good, kNow + 35'000).at_ms == kNow + 13'333);
  const auto start = schedule.start(kNow + 35'000);
  CHECK(start.skipped == 2);
  CHECK(start.slot_ms == kNow + 33'333);
}

TEST_CASE("a retry happens only where it fits into the slot") {
  ScheduleOptions options = every(10'000);
  options.timeout_ms = 3'000;
  options.retry_max = 2;
  options.retry_backoff_ms = 500;
  TargetSchedule schedule(options, kNow);
  const int64_t slot = schedule.start(kNow + 3'333).slot_ms;
  CHECK(schedule.answered(ScrapeEnd::Retryable, slot + 100).retries);
  CHECK(schedule.is_in_flight());
  CHECK_FALSE(schedule.answered(ScrapeEnd::Retryable, slot + 6'501).retries);
  CHECK_FALSE(schedule.is_in_flight());

  schedule.start(slot + 10'000);
  CHECK(schedule.answered(ScrapeEnd::Retryable, slot + 10'010).at_ms == slot + 10'510);
  CHECK(schedule.answered(ScrapeEnd::Retryable, slot + 10'600).retries);
  CHECK_FALSE(schedule.answered(ScrapeEnd::Retryable, slot + 11'200).retries);  // twice is enough
}

TEST_CASE("a timeout and a bad answer are not retried") {
  ScheduleOptions options = every(10'000);
  options.timeout_ms = 100;
  options.retry_max = 3;
  TargetSchedule schedule(options, kNow);
  schedule.start(kNow + 3'333);
  CHECK_FALSE(schedule.answered(ScrapeEnd::Timeout, kNow + 3'433).retries);
  schedule.start(kNow + 13'333);
  CHECK_FALSE(schedule.answered(ScrapeEnd::Failed, kNow + 13'433).retries);
}

TEST_CASE("three timeouts lead to the slow lane, three good scrapes out of it") {
  TargetSchedule schedule(every(1'000, 0), kNow);
  int64_t now = kNow;
  const auto scrape = [&](ScrapeEnd end) {
    schedule.start(now);
    schedule.answered(end, now);
    now += 1'000;
  };
  scrape(ScrapeEnd::Timeout);
  scrape(ScrapeEnd::Timeout);
  scrape(ScrapeEnd::Good);
  scrape(ScrapeEnd::Timeout);
  scrape(ScrapeEnd::Timeout);
  CHECK_FALSE(schedule.is_slow());
  scrape(ScrapeEnd::NotTried);
  scrape(ScrapeEnd::Timeout);
  CHECK(schedule.is_slow());
  scrape(ScrapeEnd::Good);
  scrape(ScrapeEnd::Good);
  scrape(ScrapeEnd::Failed);
  scrape(ScrapeEnd::Good);
  scrape(ScrapeEnd::Good);
  CHECK(schedule.is_slow());
  scrape(ScrapeEnd::Good);
  CHECK_FALSE(schedule.is_slow());
}

TEST_CASE("another interval moves the slots, another timeout does not") {
  TargetSchedule schedule(every(10'000), kNow);
  ScheduleOptions options = every(10'000);
  options.timeout_ms = 1'000;
  schedule.change(options, kNow + 5'000);
  CHECK(schedule.next_slot_ms() == kNow + 3'333);
  schedule.change(every(5'000), kNow + 5'000);
  CHECK(schedule.next_slot_ms() == kNow + 8'333);
}

}  // namespace
