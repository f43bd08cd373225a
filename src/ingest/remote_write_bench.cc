// Decoding of remote write requests as a large fleet sends them: 5,000 series of 12
// labels with one sample each.

#include "core/result.h"
#include "ingest/decompress.h"
#include "ingest/remote_write.h"
#include "ingest/testing/wire_writer.h"

#include <benchmark/benchmark.h>
#include <snappy.h>

namespace ingest {
namespace {

constexpr int kSeriesCount = 5000;

std::string request() {
  testing::WireWriter message;
  for (int i = 0; i < kSeriesCount; ++i) {
    const std::string host = fmt::format("web-{:04}.eu-central-1.example.net", i / 50);
    const std::string metric = fmt::format("http_server_requests_seconds_bucket_{}", i % 50);
    testing::WireWriter series = testing::series_message({{"__name__", metric},
                                                          {"cluster", "production-a"},
                                                          {"code", "200"},
                                                          {"datacenter", "eu-central-1"},
                                                          {"env", "prod"},
                                                          {"host", host},
                                                          {"instance", host},
                                                          {"job", "frontend"},
                                                          {"le", "0.25"},
                                                          {"method", "GET"},
                                                          {"path", "/api/v1/orders"},
                                                          {"pool", "web"}});
    series.bytes(2, testing::sample_message(i * 1.5, 1'700'000'000'000));
    message.bytes(1, series);
  }
  return message.str();
}

void decode(benchmark::State& state) {
  const std::string message = request();
  storage::WriteBatch batch;
  for (auto _ : state) {
    batch.clear();
    storage::AppendSummary refused;
    ENSURE(decode_remote_write(message, {}, batch, refused));
    ENSURE(batch.series.size() == kSeriesCount);
  }
  state.SetItemsProcessed(state.iterations() * kSeriesCount);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(message.size()));
}
BENCHMARK(decode);

void decompress_and_decode(benchmark::State& state) {
  const std::string message = request();
  std::string body;
  snappy::Compress(message.data(), message.size(), &body);
  storage::WriteBatch batch;
  std::string decoded;
  for (auto _ : state) {
    batch.clear();
    storage::AppendSummary refused;
    ENSURE(decompress(ContentEncoding::Snappy, body, {}, decoded));
    ENSURE(decode_remote_write(decoded, {}, batch, refused));
  }
  state.SetItemsProcessed(state.iterations() * kSeriesCount);
}
BENCHMARK(decompress_and_decode);

}  // namespace
}  // namespace ingest

BENCHMARK_MAIN();
