// What queries over many series of one metric take, from the stored samples to the answer.
//
//   query_bench DIR [SERIES [MINUTES [RUNS [ONLY]]]]
//
// Fills DIR with SERIES (100,000) counters of one metric in 1,000 pools, one sample per 10 s
// for MINUTES (130), then prints for each expression (or only the one of that number, from 1 on)
// the median wall and CPU time of its runs.

#include "core/log.h"
#include "filled_engine.h"
#include "promql/engine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/core.h>

namespace {

struct Question {
  const char* expression;
  int64_t range_ms;  // 0: an instant query
  int64_t step_ms;
};

constexpr int64_t kTwoHours = 2LL * 3'600'000;
constexpr Question kQuestions[] = {
    {"count(requests_total)", 0, 0},
    {"sum by (pool) (requests_total)", 0, 0},
    {"sum by (pool) (rate(requests_total[5m]))", 0, 0},
    {"sum by (pool) (rate(requests_total[5m]))", kTwoHours, 60'000},
    {"sum by (pool) (increase(requests_total[2h]))", 0, 0},
    {"max by (pool) (max_over_time(requests_total[1h]))", 0, 0},
    {"sum(rate(requests_total{handler=~\"/api/v1/handler-[13]\"}[5m]))", 0, 0},
    {"sum by (handler) (rate(requests_total{pool=\"pool-007\"}[5m]))", kTwoHours, 60'000},
};

core::Result<void> run(const FilledEngineOptions& options, int runs_asked, size_t only) {
  const auto filled = TRY(FilledEngine::open(options));
  promql::EngineOptions query_options;
  query_options.samples_max = UINT64_MAX;
  const promql::Engine queries(filled->engine(), filled->clock(), query_options);
  std::printf("%zu series, %lld minutes\n", options.series,
              static_cast<long long>(options.minutes));
  std::printf("%10s %10s %12s\n", "wall ms", "CPU ms", "ns/series");
  const int64_t end = filled->end_ms();
  for (size_t i = 0; i < std::size(kQuestions); ++i) {
    if (only != 0 && i + 1 != only) continue;
    const Question& one = kQuestions[i];
    const auto ask = [&]() -> core::Result<void> {
      TRY(one.range_ms == 0 ? queries.instant(one.expression, end)
                            : queries.range(one.expression, end - one.range_ms, end, one.step_ms));
      return {};
    };
    const int runs = one.range_ms == 0 ? runs_asked : std::max(1, runs_asked / 3);
    const Timing timing = TRY(time_of(runs, ask));
    std::printf("%10.2f %10.2f %12.0f  %s%s\n", timing.wall_ms, timing.cpu_ms,
                timing.cpu_ms * 1e6 / static_cast<double>(options.series), one.expression,
                one.range_ms == 0 ? "" : " over 2h by 1m");
    std::fflush(stdout);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIR [SERIES [MINUTES [RUNS [ONLY]]]]\n", argv[0]);
    return 2;
  }
  core::set_log_level(core::LogLevel::Warn);
  FilledEngineOptions options;
  options.dir = argv[1];
  options.series = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  options.minutes = argc > 3 ? std::strtoll(argv[3], nullptr, 10) : 130;
  options.labels = [](size_t i) {
    return model::Labels::of({{"__name__", "requests_total"},
                              {"instance", fmt::format("host-{:05}.dc1.example.com:9100", i / 10)},
                              {"pool", fmt::format("pool-{:03}", i / 10 % 1'000)},
                              {"handler", fmt::format("/api/v1/handler-{}", i % 10)},
                              {"job", "web"}});
  };
  const int runs = argc > 4 ? std::atoi(argv[4]) : 15;
  const size_t only = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 0;
  if (const auto done = run(options, runs, only); !done) {
    std::fprintf(stderr, "query_bench: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
