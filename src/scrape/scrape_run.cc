// Scrapes, from the slot to the batch.

#include "core/log.h"
#include "net/http_response.h"
#include "scrape/scrape_manager_impl.h"
#include "scrape/scrape_metrics.h"

#include <algorithm>
#include <unordered_set>

namespace scrape {

using core::ErrorCode;
using core::Result;

namespace {

// Due times are rounded up to this, so that many scrapes share a wake-up.
constexpr int64_t kTickMs = 10;
// The longest sleep: a clock that jumps is noticed this late.
constexpr int64_t kSleepMaxMs = 1'000;
constexpr int64_t kJumpMs = 1'000;
// Answers are gathered this long, or until there are so many or so much of them.
constexpr int64_t kGatherMs = 100;
constexpr size_t kGatherAnswers = 256;
constexpr uint64_t kGatherBytes = 1ULL << 20;
// A batch of more samples is written before the next body is read.
constexpr size_t kBatchSamplesMax = 20'000;
// A target of the same labels is being scraped: look again.
constexpr int64_t kTwinBusyMs = 200;

std::string seconds_text(int64_t ms) {
  return fmt::format("{:g}", static_cast<double>(ms) / 1000);
}

std::string status_text(int status) {
  return fmt::format("server returned HTTP status {} {}", status, net::status_reason(status));
}

ScrapeEnd end_of(const ScrapeAnswer& answer) {
  if (answer.kind != ScrapeAnswer::Kind::Fetched) return ScrapeEnd::NotTried;
  if (!answer.response) {
    switch (answer.response.error().code) {
      case ErrorCode::Timeout:
        return ScrapeEnd::Timeout;
      case ErrorCode::Unavailable:
        return ScrapeEnd::Retryable;
      default:
        return ScrapeEnd::Failed;
    }
  }
  const int status = answer.response->status;
  if (status == 502 || status == 503 || status == 504) return ScrapeEnd::Retryable;
  return status == 200 ? ScrapeEnd::Good : ScrapeEnd::Failed;
}

core::DurationHistogram& interval_histogram(int64_t interval_ms) {
  return core::duration_histogram("petrel_target_interval_length_seconds",
                                  "Time between the beginnings of scrapes.",
                                  {{"interval", seconds_text(interval_ms) + "s"}});
}

}  // namespace

void ScrapeManagerImpl::set_timer(const TargetPtr& target, int64_t due_ms) {
  timers_.push({due_ms, ++target->timer, target});
}

void ScrapeManagerImpl::arm(int64_t now_ms) {
  if (stopping_) return;
  int64_t at_ms = now_ms + kSleepMaxMs;
  if (!timers_.empty()) at_ms = std::min(at_ms, timers_.top().due_ms);
  at_ms = std::max(at_ms, now_ms);
  at_ms = (at_ms + kTickMs - 1) / kTickMs * kTickMs;
  if (tick_at_ms_ <= at_ms) return;
  if (tick_at_ms_ != INT64_MAX) parts_.scheduler.cancel(tick_timer_);
  tick_at_ms_ = at_ms;
  tick_timer_ = parts_.scheduler.after(at_ms - now_ms, Gate::guarded(gate_, [this] { tick(); }));
}

void ScrapeManagerImpl::tick() {
  Effects effects;
  {
    const std::lock_guard lock(mutex_);
    tick_at_ms_ = INT64_MAX;
    if (stopping_) return;
    const int64_t now_ms = parts_.clock.now_ms();
    notice_clock_jump(now_ms);
    while (!timers_.empty() && timers_.top().due_ms <= now_ms) {
      const Timer timer = timers_.top();
      timers_.pop();
      if (timer.generation == timer.target->timer) on_due(timer.target, now_ms, effects);
    }
    arm(now_ms);
    scrape_metrics().in_flight.set(static_cast<double>(busy_));
  }
  carry_out(std::move(effects));
}

// Slots are times of the wall clock: after a step of it they lie elsewhere.
void ScrapeManagerImpl::notice_clock_jump(int64_t now_ms) {
  const int64_t offset_ms = now_ms - parts_.clock.monotonic_ns() / 1'000'000;
  const int64_t jump_ms = offset_ms - clock_offset_ms_;
  if (std::abs(jump_ms) < kJumpMs) return;
  clock_offset_ms_ = offset_ms;
  core::log_warn("scrape", "the wall clock has jumped, scrapes take their new slots",
                 {{"milliseconds", std::to_string(jump_ms)}});
  for (const auto& [name, pool] : pools_) {
    for (const auto& [key, target] : pool->targets) target->schedule.restart(now_ms);
  }
  auto timers = std::exchange(timers_, {});
  for (; !timers.empty(); timers.pop()) {
    const auto& [due_ms, generation, target] = timers.top();
    if (generation != target->timer) continue;
    // Retries and ends, also of jobs that are gone, have no slots to wait for.
    const bool waits_for_slot =
        target->state == TargetState::Active && (!target->is_busy || target->waits_for_lane);
    set_timer(target, waits_for_slot ? target->schedule.next_slot_ms() : now_ms);
  }
}

void ScrapeManagerImpl::on_due(const TargetPtr& target, int64_t now_ms, Effects& effects) {
  if (target->state == TargetState::Gone) return;
  if (target->waits_for_lane) {
    // Its slot has passed. The failure is stored, so that nobody takes the target for gone.
    target->waits_for_lane = false;
    ScrapeAnswer answer{.job = job_of(target, now_ms),
                        .kind = ScrapeAnswer::Kind::NotTried,
                        .response = core::fail(ErrorCode::Timeout,
                                               "context deadline exceeded (not tried: {} targets "
                                               "that keep timing out are being scraped)",
                                               slow_in_flight_)};
    scrape_metrics().slots_skipped.add();
    effects.answers.push_back(std::move(answer));
    return;
  }
  if (target->is_busy) {  // the retry of a scrape, which has to end before the target can
    ScrapeJob job = job_of(target, now_ms);
    job.is_retry = true;
    plan_fetch(std::move(job), effects);
    return;
  }
  if (target->state == TargetState::Ending) {
    target->is_busy = true;
    ++busy_;
    effects.answers.push_back({.job = job_of(target, now_ms),
                               .kind = ScrapeAnswer::Kind::End,
                               .response = net::FetchResponse{}});
    return;
  }
  begin(target, now_ms, effects);
}

void ScrapeManagerImpl::begin(const TargetPtr& target, int64_t now_ms, Effects& effects) {
  const TargetSchedule::Start start = target->schedule.start(now_ms);
  if (start.is_late) scrape_metrics().slots_late.add();
  if (start.skipped > 0) scrape_metrics().slots_skipped.add(static_cast<double>(start.skipped));
  target->is_busy = true;
  ++busy_;
  if (std::exchange(target->keys_are_outdated, false)) target->series.cache.forget_keys();
  if (!target->pool->error.empty()) {
    effects.answers.push_back(
        {.job = job_of(target, now_ms),
         .kind = ScrapeAnswer::Kind::NotTried,
         .response = core::fail(ErrorCode::LimitExceeded, "{}", target->pool->error)});
    return;
  }
  if (target->schedule.is_slow()) {
    if (slow_in_flight_ >= options_.slow_in_flight_max) {
      target->waits_for_lane = true;
      slow_waiting_.push_back(target);
      set_timer(target, target->schedule.next_slot_ms());
      return;
    }
    ++slow_in_flight_;
    target->has_lane = true;
  }
  plan_fetch(job_of(target, now_ms), effects);
}

void ScrapeManagerImpl::leave_slow_lane(int64_t now_ms, Effects& effects) {
  --slow_in_flight_;
  while (!slow_waiting_.empty()) {
    const TargetPtr target = std::move(slow_waiting_.front());
    slow_waiting_.pop_front();
    if (!target->waits_for_lane) continue;  // its slot has passed
    target->waits_for_lane = false;
    ++target->timer;
    ++slow_in_flight_;
    target->has_lane = true;
    plan_fetch(job_of(target, now_ms), effects);
    return;
  }
}

ScrapeJob ScrapeManagerImpl::job_of(const TargetPtr& target, int64_t now_ms) const {
  return {.target = target,
          .settings = target->pool->settings,
          .client = target->pool->client,
          .request = request_of(*target),
          .timestamp_ms = options_.honor_scrape_time ? now_ms : target->schedule.slot_ms(),
          .timeout_ms = target->schedule.options().timeout_ms,
          .begun_ms = now_ms,
          .begun_ns = parts_.clock.monotonic_ns()};
}

// Counted from here on, so that a reload does not take the client for idle.
void ScrapeManagerImpl::plan_fetch(ScrapeJob job, Effects& effects) {
  if (job.client) ++job.client->in_flight;
  effects.fetches.push_back(std::move(job));
}

const std::shared_ptr<const net::PreparedRequest>& ScrapeManagerImpl::request_of(
    ScrapeTarget& target) const {
  const std::shared_ptr<const PoolSettings>& settings = target.pool->settings;
  const int64_t timeout_ms = target.schedule.options().timeout_ms;
  const auto fits = [&](const TargetRequest& one) {
    return one.prepared && one.settings == settings && one.timeout_ms == timeout_ms;
  };
  if (fits(target.request)) return target.request.prepared;
  TargetRequest& newest = target.pool->newest_request;
  const auto headers =
      fits(newest) ? newest.prepared->headers
                   : std::make_shared<const net::Headers>(net::Headers{
                         {"Accept", settings->accept},
                         {"Accept-Encoding", settings->accept_encoding},
                         {"User-Agent", options_.user_agent},
                         {"X-Prometheus-Scrape-Timeout-Seconds", seconds_text(timeout_ms)}});
  newest = {settings, timeout_ms, net::prepare_request(target.url, headers)};
  target.request = newest;
  return target.request.prepared;
}

void ScrapeManagerImpl::carry_out(Effects effects) {
  for (ScrapeAnswer& answer : effects.answers) take_answer(std::move(answer));
  for (ScrapeJob& job : effects.fetches) fetch(std::move(job));
}

void ScrapeManagerImpl::fetch(ScrapeJob job) {
  if (!job.client) {  // of a removed job: a retry that comes too late
    take_answer({.job = std::move(job),
                 .response = core::fail(ErrorCode::Cancelled, "the job has been removed")});
    return;
  }
  net::FetchRequest request{.timeout_ms = job.timeout_ms,
                            .body_size_max = job.settings->body_size_max,
                            .prepared = job.request};
  const std::shared_ptr<Client> client = job.client;
  client->http->fetch(std::move(request), [this, gate = gate_, job = std::move(job)](
                                              Result<net::FetchResponse> response) mutable {
    const Gate::Pass pass(*gate);
    if (!pass) return;  // stop() holds the client
    const int64_t ended_ns = parts_.clock.monotonic_ns();
    // The answer takes the hold of the client along: the last one must not be let go here,
    // on a thread of the client's own.
    --job.client->in_flight;
    take_answer({.job = std::move(job), .response = std::move(response), .ended_ns = ended_ns});
  });
}

void ScrapeManagerImpl::take_answer(ScrapeAnswer answer) {
  if (answer.ended_ns == 0) answer.ended_ns = parts_.clock.monotonic_ns();
  const std::lock_guard lock(answers_mutex_);
  uint64_t size = answer.response ? answer.response->body.size() : 0;
  if (size > 0 && answer_bytes_ + size > options_.waiting_bytes_max) {
    size = 0;
    scrape_metrics().bodies_discarded.add();
    answer.kind = ScrapeAnswer::Kind::NotTried;
    answer.response =
        core::fail(ErrorCode::LimitExceeded,
                   "body discarded: {} bytes of bodies wait to be stored already", answer_bytes_);
  }
  answer_bytes_ += size;
  answers_.push_back(std::move(answer));
  if (readers_ >= options_.readers_max) return;
  if (answers_.size() >= kGatherAnswers || answer_bytes_ >= kGatherBytes) {
    start_reader();
  } else if (!gather_timer_set_) {
    gather_timer_set_ = true;
    parts_.scheduler.after(kGatherMs, Gate::guarded(gate_, [this] {
                             const std::lock_guard timer_lock(answers_mutex_);
                             gather_timer_set_ = false;
                             if (!answers_.empty() && readers_ < options_.readers_max) {
                               start_reader();
                             }
                           }));
  }
}

void ScrapeManagerImpl::start_reader() {
  if (parts_.executor.post(Gate::guarded(gate_, [this] { read_answers(); }))) {
    ++readers_;
    return;
  }
  // The queue is full: look again.
  if (gather_timer_set_) return;
  gather_timer_set_ = true;
  parts_.scheduler.after(kGatherMs, Gate::guarded(gate_, [this] {
                           const std::lock_guard lock(answers_mutex_);
                           gather_timer_set_ = false;
                           if (!answers_.empty() && readers_ < options_.readers_max) {
                             start_reader();
                           }
                         }));
}

std::vector<ScrapeAnswer> ScrapeManagerImpl::next_answers() {
  std::vector<ScrapeAnswer> taken;
  uint64_t bytes = 0;
  while (!answers_.empty() && taken.size() < kGatherAnswers && bytes < kGatherBytes) {
    ScrapeAnswer& first = answers_.front();
    if (first.response) bytes += first.response->body.size();
    taken.push_back(std::move(first));
    answers_.pop_front();
  }
  return taken;
}

void ScrapeManagerImpl::read_answers() {
  std::unique_ptr<ScrapeReader> reader;
  std::vector<ScrapeAnswer> answers;
  {
    const std::lock_guard lock(answers_mutex_);
    answers = next_answers();
    if (!idle_readers_.empty()) {
      reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
    }
  }
  if (!reader) reader = std::make_unique<ScrapeReader>(hasher_, metadata_table_);
  while (!answers.empty()) {
    sort_out_retries(answers);
    auto batch = writer_.take_empty();
    batch->batch.tenant = options_.tenant;
    for (ScrapeAnswer& one : answers) {
      if (batch->size() >= kBatchSamplesMax) {
        writer_.write(std::move(batch));
        batch = writer_.take_empty();
        batch->batch.tenant = options_.tenant;
      }
      read_one(*reader, one, *batch);
    }
    write_ends(answers, *batch);
    writer_.write(std::move(batch));
    uint64_t bytes = 0;
    for (const ScrapeAnswer& one : answers) bytes += one.response ? one.response->body.size() : 0;
    publish(answers);
    answers.clear();
    const std::lock_guard lock(answers_mutex_);
    answer_bytes_ -= bytes;
    scrape_metrics().waiting_bytes.set(static_cast<double>(answer_bytes_));
    const bool goes_on = answers_.size() >= kGatherAnswers || answer_bytes_ >= kGatherBytes;
    if (goes_on) answers = next_answers();
    if (!answers.empty()) continue;
    --readers_;
    idle_readers_.push_back(std::move(reader));
    if (answers_.empty() || gather_timer_set_) return;
    start_reader();
    return;
  }
  const std::lock_guard lock(answers_mutex_);
  --readers_;
  idle_readers_.push_back(std::move(reader));
}

// What is tried again within its slot is no scrape yet.
void ScrapeManagerImpl::sort_out_retries(std::vector<ScrapeAnswer>& answers) {
  const auto is_candidate = [](const ScrapeAnswer& one) {
    return one.job.target->schedule.options().retry_max > 0 && end_of(one) == ScrapeEnd::Retryable;
  };
  const std::lock_guard lock(mutex_);
  const int64_t now_ms = parts_.clock.now_ms();
  std::erase_if(answers, [&](ScrapeAnswer& one) {
    if (!is_candidate(one)) return false;
    const TargetPtr& target = one.job.target;
    if (target->state != TargetState::Active) return false;
    const TargetSchedule::Next next = target->schedule.answered(ScrapeEnd::Retryable, now_ms);
    one.decided = !next.retries;
    if (!next.retries) return false;
    scrape_metrics().retries.add();
    set_timer(target, next.at_ms);
    return true;
  });
  arm(now_ms);
}

void ScrapeManagerImpl::read_one(ScrapeReader& reader, ScrapeAnswer& answer, ScrapeBatch& batch) {
  if (answer.kind == ScrapeAnswer::Kind::End) return;
  const ScrapeJob& job = answer.job;
  const PoolSettings& settings = *job.settings;
  TargetSeries& series = job.target->series;
  const int64_t reading_since_ns = parts_.clock.monotonic_ns();
  ScrapeReport& report = answer.report;
  report.timeout_ms = job.timeout_ms;
  answer.end = end_of(answer);

  const uint64_t body_limit = settings.config.body_size_limit;
  if (!answer.response) {
    const core::Error& error = answer.response.error();
    const bool is_client = answer.kind == ScrapeAnswer::Kind::Fetched;
    if (error.code == ErrorCode::TooLarge && body_limit > 0) {
      answer.error = "body size limit exceeded";
    } else if (is_client && !error.message.starts_with("Get ")) {
      answer.error = fmt::format("Get \"{}\": {}", job.target->url, error.message);
    } else {
      answer.error = error.message;
    }
  } else if (answer.response->status != 200) {
    answer.error = status_text(answer.response->status);
  } else if (body_limit > 0 && answer.response->body.size() >= body_limit) {
    answer.error = "body size limit exceeded";
  }
  if (answer.error == "body size limit exceeded") {
    scrape_metrics().exceeded_body_size_limit.add();
    answer.end = ScrapeEnd::Failed;
    report.body_bytes = -1;
  }

  if (!answer.error.empty()) {
    reader.read_nothing(series, job.timestamp_ms, batch);
  } else {
    const net::FetchResponse& response = *answer.response;
    report.body_bytes = static_cast<double>(response.body.size());
    const Result<void> result = reader.read(
        settings, job.target->labels, series,
        {.bytes = response.body,
         .content_type = net::find_header(response.headers, "Content-Type").value_or(""),
         .timestamp_ms = job.timestamp_ms,
         .now_ms = job.begun_ms},
        report.counts, batch);
    if (!result) {
      answer.error = result.error().message;
      answer.end = ScrapeEnd::Failed;
    }
    scrape_metrics().body_bytes.add(report.body_bytes);
    scrape_metrics().samples.add(static_cast<double>(report.counts.scraped));
  }
  report.is_up = answer.error.empty();
  scrape_metrics().scrapes.add();
  if (!report.is_up) scrape_metrics().scrapes_failed.add();
  // Waiting for the reader is no time of the target's.
  const int64_t took_ns = std::max<int64_t>(answer.ended_ns - job.begun_ns, 0) +
                          parts_.clock.monotonic_ns() - reading_since_ns;
  report.duration_s = static_cast<double>(took_ns) / 1e9;
  ScrapeReader::report(settings, series, report, job.timestamp_ms, batch);
}

void ScrapeManagerImpl::write_ends(std::vector<ScrapeAnswer>& answers, ScrapeBatch& batch) {
  const bool has_ends = std::any_of(answers.begin(), answers.end(), [](const auto& one) {
    return one.kind == ScrapeAnswer::Kind::End;
  });
  if (!has_ends) return;
  const std::lock_guard lock(mutex_);
  std::unordered_map<std::string_view, TargetPtr> by_labels;
  for (const auto& [name, pool] : pools_) {
    for (const auto& [key, target] : pool->targets) {
      by_labels.emplace(target->labels.bytes(), target);
    }
  }
  for (ScrapeAnswer& one : answers) {
    if (one.kind != ScrapeAnswer::Kind::End) continue;
    const TargetPtr& target = one.job.target;
    if (target->state != TargetState::Ending) continue;  // it is back
    const auto twin = by_labels.find(target->labels.bytes());
    // Series that a target of the same labels has taken over live on.
    std::unordered_set<std::string_view> alive;
    if (twin != by_labels.end()) {
      if (twin->second->is_busy) {
        one.decided = true;  // not yet: looks again
        continue;
      }
      const TargetSeries& series = twin->second->series;
      series.cache.for_each_live([&](std::string_view labels) { alive.insert(labels); });
      if (twin->second->schedule.was_started()) {
        for (uint8_t name = 0; name < ReportSeries::NameCount; ++name) {
          alive.insert(series.report->labels(static_cast<ReportSeries::Name>(name)));
        }
      }
    }
    ScrapeReader::end_of_target(
        *one.job.settings, target->series, target->stale_ms,
        [&](std::string_view labels) { return alive.contains(labels); }, batch);
  }
}

void ScrapeManagerImpl::publish(std::vector<ScrapeAnswer>& answers) {
  Effects effects;
  {
    const std::lock_guard lock(mutex_);
    const int64_t now_ms = parts_.clock.now_ms();
    for (ScrapeAnswer& answer : answers) {
      const TargetPtr& target = answer.job.target;
      target->is_busy = false;
      --busy_;
      if (answer.kind == ScrapeAnswer::Kind::End) {
        if (target->state == TargetState::Active) {
          set_timer(target, target->schedule.next_slot_ms());
        } else if (answer.decided) {
          set_timer(target, now_ms + kTwinBusyMs);
        } else {
          forget_target(target);
        }
        continue;
      }
      if (!answer.decided) target->schedule.answered(answer.end, now_ms);
      if (std::exchange(target->has_lane, false)) leave_slow_lane(now_ms, effects);
      if (target->last_scrape_ms != 0) {
        if (target->interval_lengths == nullptr) {
          target->interval_lengths = &interval_histogram(target->schedule.options().interval_ms);
        }
        target->interval_lengths->observe(
            static_cast<double>(answer.job.begun_ms - target->last_scrape_ms) / 1000);
      }
      target->last_error = std::move(answer.error);
      target->last_scrape_ms = answer.job.begun_ms;
      target->last_duration_s = answer.report.duration_s;
      target->samples_scraped = answer.report.counts.scraped;
      target->samples_after_relabel = answer.report.counts.after_relabel;
      target->bytes = answer.response ? answer.response->body.size() : 0;
      const size_t cache_bytes = target->series.cache.memory_bytes();
      const size_t cache_series = target->series.cache.size();
      scrape_metrics().cache_bytes.add(static_cast<double>(cache_bytes) -
                                       static_cast<double>(target->cache_bytes));
      scrape_metrics().cache_series.add(static_cast<double>(cache_series) -
                                        static_cast<double>(target->cache_series));
      target->cache_bytes = cache_bytes;
      target->cache_series = cache_series;
      if (target->state == TargetState::Active) {
        set_timer(target, target->schedule.next_slot_ms());
      } else {
        plan_end(target);
      }
    }
    effects.idle_clients = take_idle_clients();
    arm(now_ms);
  }
  carry_out(std::move(effects));
}

void ScrapeManagerImpl::forget_target(const TargetPtr& target) {
  target->state = TargetState::Gone;
  ++target->timer;
  const auto found = target->pool->ending.find(target->key);
  if (found != target->pool->ending.end() && found->second == target) {
    target->pool->ending.erase(found);
  }
  scrape_metrics().cache_bytes.add(-static_cast<double>(target->cache_bytes));
  scrape_metrics().cache_series.add(-static_cast<double>(target->cache_series));
}

}  // namespace scrape
