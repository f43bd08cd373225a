// Range queries over 100,000 series whose samples are made on the fly, a batch at a
// time, so that the figures are the engine's own (and the copy into batches).

#include "core/clock.h"
#include "promql/engine.h"

#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr int64_t kScrapeMs = 15'000;
constexpr int64_t kHourMs = 3'600'000;
constexpr size_t kBatchSeries = 256;

class MadeSet final : public storage::SeriesSet {
 public:
  MadeSet(const std::vector<model::Labels>& labels, model::TimeRange range)
      : labels_(labels), range_(range) {
    for (int64_t t = range.start_ms / kScrapeMs * kScrapeMs; t < range.end_ms; t += kScrapeMs) {
      if (!range.contains(t)) continue;
      times_.push_back(t);
      values_.push_back(static_cast<double>(t / kScrapeMs * 7));
    }
  }

  core::Result<bool> next(storage::SeriesBatch& batch) override {
    batch.clear();
    for (; at_ < labels_.size() && batch.size() < kBatchSeries; ++at_) {
      batch.labels.push_back(labels_[at_]);
      batch.timestamps_ms.insert(batch.timestamps_ms.end(), times_.begin(), times_.end());
      batch.values.insert(batch.values.end(), values_.begin(), values_.end());
      batch.sample_ends.push_back(static_cast<uint32_t>(batch.values.size()));
      batch.histogram_ends.push_back(0);
    }
    return batch.size() > 0;
  }

 private:
  const std::vector<model::Labels>& labels_;
  model::TimeRange range_;
  std::vector<int64_t> times_;
  std::vector<double> values_;
  size_t at_ = 0;
};

class MadeSource final : public storage::SeriesSource {
 public:
  explicit MadeSource(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      labels_.push_back(model::Labels::of({{"__name__", "requests_total"},
                                           {"pool", fmt::format("pool-{}", i % 1000)},
                                           {"instance", fmt::format("host-{}", i)},
                                           {"job", "web"}}));
    }
  }
  core::Result<std::unique_ptr<storage::SeriesSet>> select(
      const storage::SelectRequest& request) const override {
    return std::make_unique<MadeSet>(labels_, request.range);
  }
  core::Result<storage::Listed<std::string>> label_names(
      const storage::LabelsRequest&) const override {
    return {};
  }
  core::Result<storage::Listed<std::string>> label_values(
      const std::string&, const storage::LabelsRequest&) const override {
    return {};
  }
  core::Result<storage::Listed<model::Labels>> series(
      const storage::LabelsRequest&) const override {
    return labels_;
  }
  core::Result<std::vector<model::Metadata>> metadata(const model::TenantId&,
                                                      const std::string&) const override {
    return {};
  }
  core::Result<std::vector<storage::ExemplarSeries>> exemplars(
      const storage::LabelsRequest&) const override {
    return {};
  }

 private:
  std::vector<model::Labels> labels_;
};

void run(benchmark::State& state, const char* query) {
  const MadeSource source(static_cast<size_t>(state.range(0)));
  const core::SystemClock clock;
  const promql::Engine engine(source, clock, {});
  const int64_t end = 1'700'000'000'000 / kHourMs * kHourMs;
  for (auto _ : state) {
    const auto got = engine.range(query, end - 2 * kHourMs, end, 60'000);
    if (!got) state.SkipWithError(got.error().message.c_str());
    benchmark::DoNotOptimize(got);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void sum_rate(benchmark::State& state) {
  run(state, "sum by (pool) (rate(requests_total[5m]))");
}
void sum_selector(benchmark::State& state) {
  run(state, "sum by (pool) (requests_total)");
}
void max_over(benchmark::State& state) {
  run(state, "max by (pool) (max_over_time(requests_total[5m]))");
}
void ratio(benchmark::State& state) {
  run(state, "sum by (pool) (rate(requests_total[5m])) / sum by (pool) (requests_total)");
}
BENCHMARK(sum_rate)->Arg(1'000)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(sum_selector)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(max_over)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(ratio)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
