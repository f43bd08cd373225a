#include "scrape/scrape_writer.h"

#include "core/log.h"
#include "scrape/scrape_metrics.h"

#include <algorithm>

namespace scrape {
namespace {

constexpr size_t kEmptyMax = 4;
// A batch that grew beyond this is not worth keeping its memory.
constexpr size_t kReusedSamplesMax = 100'000;

void count_refusals(const storage::AppendSummary& summary) {
  const auto refused = [&](storage::RefusalReason reason) {
    return static_cast<double>(summary.refused[static_cast<size_t>(reason)]);
  };
  using enum storage::RefusalReason;
  ScrapeMetrics& metrics = scrape_metrics();
  if (refused(OutOfOrder) > 0) metrics.out_of_order.add(refused(OutOfOrder));
  if (refused(Conflict) > 0) metrics.duplicate_timestamp.add(refused(Conflict));
  const double bounds = refused(TooOld) + refused(TooFarAhead);
  if (bounds > 0) metrics.out_of_bounds.add(bounds);
  if (summary.examples.empty()) return;
  core::log_warn(
      "scrape", "scraped samples were refused",
      {{"count", std::to_string(summary.refused_total())}, {"example", summary.examples.front()}});
}

}  // namespace

ScrapeWriter::ScrapeWriter(ScrapeWriterOptions options, storage::SampleSink& sink,
                           core::Scheduler& scheduler, core::Executor& executor,
                           std::function<void()> lost)
    : options_(options),
      sink_(sink),
      scheduler_(scheduler),
      executor_(executor),
      lost_(std::move(lost)) {}

std::unique_ptr<ScrapeBatch> ScrapeWriter::take_empty() {
  const std::lock_guard lock(mutex_);
  if (empty_.empty()) return std::make_unique<ScrapeBatch>();
  auto batch = std::move(empty_.back());
  empty_.pop_back();
  return batch;
}

void ScrapeWriter::give_back(std::unique_ptr<ScrapeBatch> batch) {
  const bool is_large = batch->batch.samples.capacity() > kReusedSamplesMax;
  batch->clear();
  const std::lock_guard lock(mutex_);
  if (!is_large && empty_.size() < kEmptyMax) empty_.push_back(std::move(batch));
}

bool ScrapeWriter::append(const ScrapeBatch& batch) {
  core::Result<storage::AppendSummary> result = sink_.append(batch.batch);
  if (result) {
    count_refusals(*result);
    return true;
  }
  if (result.error().code == core::ErrorCode::InvalidArgument) {
    // It stays wrong.
    core::log_error("scrape", "scraped samples were refused",
                    {{"samples", std::to_string(batch.size())}, {"error", result.error().message}});
    scrape_metrics().batches_dropped.add();
    scrape_metrics().samples_dropped.add(static_cast<double>(batch.size()));
    return true;
  }
  scrape_metrics().write_retries.add();
  core::log_warn("scrape", "scraped samples could not be stored, they are kept and tried again",
                 {{"samples", std::to_string(batch.size())}, {"error", result.error().message}});
  return false;
}

void ScrapeWriter::write(std::unique_ptr<ScrapeBatch> batch) {
  if (batch->batch.empty()) {
    give_back(std::move(batch));
    return;
  }
  bool must_wait = false;
  {
    const std::lock_guard lock(mutex_);
    must_wait = is_retry_due_ || !kept_.empty();  // behind what came before it
  }
  if (!must_wait && append(*batch)) {
    give_back(std::move(batch));
    return;
  }
  keep(std::move(batch));
}

void ScrapeWriter::keep(std::unique_ptr<ScrapeBatch> batch) {
  uint64_t dropped_batches = 0;
  uint64_t dropped_samples = 0;
  {
    const std::lock_guard lock(mutex_);
    kept_samples_ += batch->size();
    kept_.push_back(std::move(batch));
    while (kept_samples_ > options_.kept_samples_max && kept_.size() > 1) {
      ++dropped_batches;
      dropped_samples += kept_.front()->size();
      kept_samples_ -= kept_.front()->size();
      kept_.pop_front();
    }
    scrape_metrics().unwritten_samples.set(static_cast<double>(kept_samples_));
    schedule_retry();
  }
  if (dropped_batches == 0) return;
  scrape_metrics().batches_dropped.add(static_cast<double>(dropped_batches));
  scrape_metrics().samples_dropped.add(static_cast<double>(dropped_samples));
  core::log_error("scrape", "scraped samples were dropped: storage takes none",
                  {{"samples", std::to_string(dropped_samples)}});
  lost_();
}

// Precondition: mutex_ is held.
void ScrapeWriter::schedule_retry() {
  if (is_retry_due_ || stopping_) return;
  is_retry_due_ = true;
  delay_ms_ = std::clamp(delay_ms_ * 2, options_.retry_min_ms, options_.retry_max_ms);
  timer_ = scheduler_.after(delay_ms_, [this] {
    if (executor_.post([this] { retry(); })) return;
    const std::lock_guard lock(mutex_);
    is_retry_due_ = false;
    schedule_retry();
  });
}

void ScrapeWriter::retry() {
  while (true) {
    std::unique_ptr<ScrapeBatch> oldest;
    {
      const std::lock_guard lock(mutex_);
      if (kept_.empty() || stopping_) {
        is_retry_due_ = false;
        return;
      }
      oldest = std::move(kept_.front());
      kept_.pop_front();
      kept_samples_ -= oldest->size();
    }
    const bool done = append(*oldest);
    const std::lock_guard lock(mutex_);
    if (!done) {
      kept_samples_ += oldest->size();
      kept_.push_front(std::move(oldest));
      is_retry_due_ = false;
      schedule_retry();
      return;
    }
    delay_ms_ = 0;
    scrape_metrics().unwritten_samples.set(static_cast<double>(kept_samples_));
  }
}

void ScrapeWriter::stop() {
  std::deque<std::unique_ptr<ScrapeBatch>> kept;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    scheduler_.cancel(timer_);
    kept.swap(kept_);
    kept_samples_ = 0;
  }
  uint64_t lost = 0;
  bool works = true;
  for (const auto& batch : kept) {
    works = works && append(*batch);
    if (!works) lost += batch->size();
  }
  if (lost > 0) scrape_metrics().samples_dropped.add(static_cast<double>(lost));
}

uint64_t ScrapeWriter::kept_samples() const {
  const std::lock_guard lock(mutex_);
  return kept_samples_;
}

}  // namespace scrape
