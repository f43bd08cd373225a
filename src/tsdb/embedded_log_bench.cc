// What the embedded log costs per sample: encoding a scrape, reading it back, and the
// whole way to the disk.

#include "core/file_system.h"
#include "core/rng.h"
#include "tsdb/embedded_log.h"
#include "tsdb/embedded_log_record.h"

#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace tsdb {
namespace {

constexpr uint64_t kSeries = 10'000;

// As node_exporter: zeros, small integers, byte counts, seconds with two decimals, and
// some values that need all their bits.
storage::LogBatch scrape() {
  core::SeededRng rng(1);
  storage::LogBatch batch;
  batch.tenant = "default";
  for (uint64_t i = 0; i < kSeries; ++i) {
    const uint64_t kind = rng.below(100);
    const double value = kind < 35   ? 0
                         : kind < 60 ? static_cast<double>(rng.below(1000))
                         : kind < 80 ? static_cast<double>(rng.below(1ULL << 36U))
                         : kind < 95 ? static_cast<double>(rng.below(100'000'000)) / 100
                                     : rng.unit();
    batch.samples.push_back({.timestamp_ms = 1'700'000'000'000, .value = value});
    batch.series.push_back({.id = i,
                            .labels = {},
                            .is_new = false,
                            .samples_end = static_cast<uint32_t>(i + 1),
                            .histograms_end = 0,
                            .exemplars_end = 0});
  }
  return batch;
}

void encode(benchmark::State& state) {
  const storage::LogBatch batch = scrape();
  std::string payload;
  for (auto _ : state) {
    payload.clear();
    append_batch_payload(payload, batch);
    benchmark::DoNotOptimize(payload.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSeries));
  state.counters["bytes/sample"] = static_cast<double>(payload.size()) / kSeries;
}
BENCHMARK(encode);

void decode(benchmark::State& state) {
  std::string payload;
  append_batch_payload(payload, scrape());
  storage::LogBatch batch;
  for (auto _ : state) {
    if (!decode_batch_payload(payload, batch)) std::abort();
    benchmark::DoNotOptimize(batch.samples.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSeries));
}
BENCHMARK(decode);

// Each iteration is one request: appended, written, synced.
void append_durable(benchmark::State& state) {
  core::PosixFileSystem files;
  const core::SystemClock clock;
  core::SystemRng rng;
  std::string dir = "/tmp/petrel_log_bench.XXXXXX";
  if (::mkdtemp(dir.data()) == nullptr) std::abort();
  {
    auto log = EmbeddedLog::open({.dir = dir + "/log"}, files, clock, rng);
    if (!log) std::abort();
    const storage::LogBatch batch = scrape();
    for (auto _ : state) {
      const auto position = (*log)->append(batch);
      if (!position || !(*log)->wait_durable(*position)) std::abort();
      if (*position % 1000 == 0 && !(*log)->truncate_before(*position)) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSeries));
  if (!files.remove_all(dir)) std::abort();
}
BENCHMARK(append_durable)->UseRealTime();

}  // namespace
}  // namespace tsdb

BENCHMARK_MAIN();
