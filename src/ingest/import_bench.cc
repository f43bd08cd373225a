// JSON and line imports of 10,000 points.

#include "core/result.h"
#include "ingest/json_import.h"
#include "ingest/line_import.h"

#include <benchmark/benchmark.h>

namespace ingest {
namespace {

constexpr int kPointCount = 10'000;
constexpr int64_t kNowMs = 1'700'000'000'000;

void json_lines(benchmark::State& state) {
  std::string body;
  for (int i = 0; i < kPointCount; ++i) {
    body += fmt::format(
        "{{\"metric_name\":\"cpu.load\",\"labels\":{{\"host\":\"web{}\",\"env\":\"prod\"}},"
        "\"timestamp\":1613707265,\"value\":0.{}}}\n",
        i, i);
  }
  storage::WriteBatch batch;
  for (auto _ : state) {
    batch.clear();
    storage::AppendSummary refused;
    ENSURE(decode_json_import(body, kNowMs, {}, batch, refused));
    ENSURE(batch.series.size() == kPointCount);
  }
  state.SetItemsProcessed(state.iterations() * kPointCount);
}
BENCHMARK(json_lines);

void lines(benchmark::State& state) {
  std::string body;
  for (int i = 0; i < kPointCount; ++i) {
    body += fmt::format("CPU.load host=web{},region=us-west 1613707265 {}\n", i, i * 0.5);
  }
  storage::WriteBatch batch;
  for (auto _ : state) {
    batch.clear();
    storage::AppendSummary refused;
    ENSURE(decode_line_import(body, {}, batch, refused));
    ENSURE(batch.series.size() == kPointCount);
  }
  state.SetItemsProcessed(state.iterations() * kPointCount);
}
BENCHMARK(lines);

}  // namespace
}  // namespace ingest

BENCHMARK_MAIN();
