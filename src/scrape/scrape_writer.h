// Hands batches of scraped samples to the sink. While the sink takes none, a bounded
// number is kept and tried again; then the oldest are dropped and counted: fresh samples
// are worth more than old ones.

#pragma once

#include "core/executor.h"
#include "core/scheduler.h"
#include "scrape/scrape_batch.h"
#include "storage/sample_sink.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace scrape {

struct ScrapeWriterOptions {
  uint64_t kept_samples_max = 2'000'000;  // of batches that the sink has not taken
  int64_t retry_min_ms = 500;
  int64_t retry_max_ms = 15'000;
};

// Thread-safe. Everything outlives it; stop() comes before the end of the executor.
class ScrapeWriter {
 public:
  // `lost` is called when a batch was dropped.
  ScrapeWriter(ScrapeWriterOptions options, storage::SampleSink& sink, core::Scheduler& scheduler,
               core::Executor& executor, std::function<void()> lost);

  // An empty batch, perhaps with memory of an earlier one.
  std::unique_ptr<ScrapeBatch> take_empty();
  // Blocks on the disk: never from an I/O or timer thread.
  void write(std::unique_ptr<ScrapeBatch> batch);
  // Tries what is kept once more; nothing is written afterwards.
  void stop();

  uint64_t kept_samples() const;

 private:
  // False: to be tried again.
  bool append(const ScrapeBatch& batch);
  void keep(std::unique_ptr<ScrapeBatch> batch);
  void schedule_retry();
  void retry();
  void give_back(std::unique_ptr<ScrapeBatch> batch);

  const ScrapeWriterOptions options_;
  storage::SampleSink& sink_;
  core::Scheduler& scheduler_;
  core::Executor& executor_;
  const std::function<void()> lost_;

  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  std::deque<std::unique_ptr<ScrapeBatch>> kept_;
  std::vector<std::unique_ptr<ScrapeBatch>> empty_;
  uint64_t kept_samples_ = 0;
  int64_t delay_ms_ = 0;
  core::TimerId timer_ = 0;
  bool is_retry_due_ = false;  // a timer or a task is on its way
  bool stopping_ = false;
};

}  // namespace scrape
