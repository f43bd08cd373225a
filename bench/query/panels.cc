// What the storage takes for a dashboard: reading the last 26 hours of 100 series.
//
//   panel_bench DIR [PANELS [HOURS [ROUNDS]]]
//
// Fills DIR with PANELS (100) metrics of 100 series, one sample per 10 s for HOURS (26), then
// reads each panel's series ROUNDS (3) times as a query does, all samples decoded.

#include "core/log.h"
#include "filled_engine.h"

#include <cstdio>
#include <cstdlib>
#include <fmt/core.h>

namespace {

constexpr size_t kSeriesPerPanel = 100;

// The number of samples.
core::Result<uint64_t> read_panel(const storage::SeriesSource& source, size_t panel,
                                  model::TimeRange range) {
  storage::SelectRequest request{
      .matchers = {model::Matcher::equal("__name__", fmt::format("panel_{:03}_total", panel))},
      .range = range};
  auto set = TRY(source.select(request));
  storage::SeriesBatch batch;
  uint64_t samples = 0;
  while (true) {
    const bool more = TRY(set->next(batch));
    if (!more) return samples;
    samples += batch.values.size();
  }
}

core::Result<void> run(const FilledEngineOptions& options, int64_t hours, int rounds) {
  const auto filled = TRY(FilledEngine::open(options));
  const size_t panels = options.series / kSeriesPerPanel;
  const int64_t end = filled->end_ms() + kScrapeMs;
  const model::TimeRange range{end - hours * 3'600'000, end};
  uint64_t samples = 0;
  size_t panel = 0;
  const auto read = [&]() -> core::Result<void> {
    samples = TRY(read_panel(filled->engine(), panel++ % panels, range));
    return {};
  };
  const Timing timing = TRY(time_of(rounds * static_cast<int>(panels), read));
  std::printf("%zu panels of %zu series, %llu samples each\n", panels, kSeriesPerPanel,
              static_cast<unsigned long long>(samples));
  std::printf("%10s %10s %10s\n%10.2f %10.2f %10.2f\n", "p95 ms", "median ms", "CPU ms",
              timing.wall_p95_ms, timing.wall_ms, timing.cpu_ms);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIR [PANELS [HOURS [ROUNDS]]]\n", argv[0]);
    return 2;
  }
  core::set_log_level(core::LogLevel::Warn);
  const size_t panels = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100;
  const int64_t hours = argc > 3 ? std::strtoll(argv[3], nullptr, 10) : 26;
  FilledEngineOptions options;
  options.dir = argv[1];
  options.series = panels * kSeriesPerPanel;
  options.minutes = hours * 60;
  // Every tenth series is one target's, and so in a panel of its own.
  options.labels = [panels](size_t i) {
    return model::Labels::of({{"__name__", fmt::format("panel_{:03}_total", i % panels)},
                              {"instance", fmt::format("host-{:05}:9100", i / panels)},
                              {"job", "web"}});
  };
  if (const auto done = run(options, hours, argc > 4 ? std::atoi(argv[4]) : 3); !done) {
    std::fprintf(stderr, "panel_bench: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
