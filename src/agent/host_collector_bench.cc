// A round of the host collector on this host, and each collector alone.

#include "agent/collector.h"
#include "agent/round_writer.h"

#include <benchmark/benchmark.h>

namespace agent {
namespace {

void one_round(benchmark::State& state) {
  const core::SystemClock clock;
  const auto collectors = std::move(*make_collectors({}, clock));
  RoundWriter writer({{"job", "node"}, {"instance", "here"}});
  storage::WriteBatch batch;
  for (auto _ : state) {
    batch.clear();
    writer.begin(1, batch);
    for (const auto& collector : collectors) static_cast<void>(collector->collect(writer));
    writer.end();
  }
  state.counters["samples"] = static_cast<double>(writer.samples_of_round());
}
BENCHMARK(one_round);

void one_collector(benchmark::State& state) {
  const core::SystemClock clock;
  const auto collectors = std::move(*make_collectors({}, clock));
  Collector& collector = *collectors[static_cast<size_t>(state.range(0))];
  RoundWriter writer({{"job", "node"}, {"instance", "here"}});
  storage::WriteBatch batch;
  for (auto _ : state) {
    batch.clear();
    writer.begin(1, batch);
    static_cast<void>(collector.collect(writer));
    writer.end();
  }
  state.SetLabel(std::string(collector.name()));
}
BENCHMARK(one_collector)->DenseRange(0, 30);

}  // namespace
}  // namespace agent

BENCHMARK_MAIN();
