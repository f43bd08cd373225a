#include "filled_engine.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fmt/core.h>
#include <fstream>
#include <vector>

using core::Result;

namespace {

constexpr size_t kBatch = 5'000;
// Between two calls of maintain(), in steps.
constexpr int64_t kMaintainSteps = 60;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Result<std::unique_ptr<FilledEngine>> FilledEngine::open(const FilledEngineOptions& options) {
  auto filled = std::make_unique<FilledEngine>();
  const int64_t start_ms = filled->clock_.now;
  const int64_t end_ms = start_ms + options.minutes * 60'000;
  const std::string mark = options.dir + "/filled";
  const std::string shape = fmt::format("{} series, {} minutes", options.series, options.minutes);
  std::string before;
  std::getline(std::ifstream(mark), before);
  const bool is_filled = before == shape;
  if (is_filled) filled->clock_.now = end_ms;
  auto lock = TRY(tsdb::lock_data_dir(filled->files_, options.dir));
  filled->log_ = TRY(tsdb::EmbeddedLog::open({.dir = options.dir + "/log"}, filled->files_,
                                             filled->clock_, filled->rng_));
  tsdb::EngineOptions engine_options;
  engine_options.data_dir = options.dir;
  filled->engine_ = TRY(tsdb::Engine::open(
      engine_options, {filled->files_, filled->clock_, filled->rng_, *filled->log_},
      std::move(lock)));
  if (is_filled) return filled;
  TRY(filled->fill(options));
  std::ofstream(mark) << shape << '\n';
  return filled;
}

Result<void> FilledEngine::fill(const FilledEngineOptions& options) {
  core::SeededRng rng(1);
  std::vector<storage::WriteBatch> batches((options.series + kBatch - 1) / kBatch);
  std::vector<model::Labels> labels;  // borrowed by the batches
  labels.reserve(options.series);
  for (size_t i = 0; i < options.series; ++i) {
    labels.push_back(options.labels(i));
    batches[i / kBatch].begin_series(labels.back().bytes());
    batches[i / kBatch].add_sample(0, 0);
  }
  std::vector<double> values(options.series);
  const int64_t steps = options.minutes * 60'000 / kScrapeMs;
  for (int64_t step = 0; step < steps; ++step, clock_.now += kScrapeMs) {
    for (size_t i = 0; i < options.series; ++i) {
      values[i] += static_cast<double>(rng.below(1'000));
      const auto offset = static_cast<int64_t>(i / 10 % static_cast<size_t>(kScrapeMs));
      batches[i / kBatch].samples[i % kBatch] = {clock_.now + offset, values[i]};
    }
    for (const storage::WriteBatch& batch : batches) {
      const storage::AppendSummary summary = TRY(engine_->append(batch));
      if (summary.refused_total() != 0) {
        return core::fail(core::ErrorCode::Internal, "{}", summary.examples.front());
      }
    }
    if (step % kMaintainSteps == 0) TRY(engine_->maintain());
  }
  return {};
}

Result<Timing> time_of(int runs, const std::function<Result<void>()>& work) {
  std::vector<double> walls;
  std::vector<double> cpus;
  for (int run = 0; run < runs; ++run) {
    const double wall = wall_seconds();
    const double cpu = cpu_seconds();
    TRY(work());
    walls.push_back((wall_seconds() - wall) * 1e3);
    cpus.push_back((cpu_seconds() - cpu) * 1e3);
  }
  std::sort(walls.begin(), walls.end());
  std::sort(cpus.begin(), cpus.end());
  return Timing{walls[walls.size() / 2], cpus[cpus.size() / 2], walls[walls.size() * 95 / 100]};
}
