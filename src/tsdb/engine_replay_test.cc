// The window of a replay: whatever waits in it, a start ends with what it would be if every
// record were applied when it is read.

#include "core/testing/quiet_log.h"
#include "tsdb/testing/world.h"

#include <fmt/format.h>

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

using core::testing::QuietLog;

constexpr std::string_view kTenants[] = {"default", "other"};

// Everything that a start brings back, as text.
std::string state_of(World& world) {
  std::string state;
  for (const std::string_view tenant : kTenants) {
    const EngineStats stats = world.engine().stats(std::string(tenant));
    state += fmt::format("{}: {} series, {} late, from {} to {}\n", tenant, stats.series,
                         stats.late_samples, stats.min_time_ms, stats.max_time_ms);
    storage::SelectRequest request;
    request.tenant = tenant;
    request.range = kAllTime;
    request.sorted = true;
    auto set = world.engine().select(request);
    REQUIRE(set.has_value());
    storage::SeriesBatch batch;
    while (*(*set)->next(batch)) {
      for (size_t i = 0; i < batch.size(); ++i) {
        state += batch.labels[i].to_string();
        for (size_t j = 0; j < batch.timestamps_of(i).size(); ++j) {
          state += fmt::format(" {}={}", batch.timestamps_of(i)[j], batch.values_of(i)[j]);
        }
        state += "\n";
      }
      for (const model::HistogramSample& one : batch.histograms) {
        state += fmt::format("histogram {}={}\n", one.timestamp_ms, one.histogram.count);
      }
    }
    storage::LabelsRequest all;
    all.tenant = tenant;
    all.range = kAllTime;
    const auto exemplars = world.engine().exemplars(all);
    REQUIRE(exemplars.has_value());
    for (const storage::ExemplarSeries& one : *exemplars) {
      state += fmt::format("{}: {} exemplars\n", one.labels.to_string(), one.exemplars.size());
    }
    state += fmt::format("{} metadata\n", world.engine().metadata(std::string(tenant), "")->size());
  }
  return state;
}

// One request: some series, new ones among them, with samples that rise, are late, or come twice.
void append_random(World& world, core::SeededRng& rng) {
  WriteBatch batch;
  batch.tenant = kTenants[rng.below(4) == 0 ? 1 : 0];
  const uint64_t count = 1 + rng.below(30);
  const uint64_t first = rng.below(1 + rng.below(120));
  for (uint64_t i = 0; i < count; ++i) {
    batch.begin_series(batch.keep(World::labels(fmt::format("m{{s={}}}", first + i)).bytes()));
    int64_t time_ms = world.clock_.now_ms();
    if (rng.below(8) == 0) time_ms -= static_cast<int64_t>(rng.below(90)) * kMinute;
    for (uint64_t n = 1 + rng.below(2) * rng.below(40); n > 0; --n) {
      batch.add_sample(time_ms,
                       static_cast<double>(rng.below(5)) / static_cast<double>(1 + time_ms % 3));
      time_ms += 1 + static_cast<int64_t>(rng.below(2'000));
    }
    if (rng.below(20) == 0) {
      model::Histogram histogram;
      histogram.count = static_cast<double>(rng.below(100));
      batch.add_histogram(time_ms, histogram);
    }
    if (rng.below(20) == 0) {
      batch.add_exemplar({Labels::of({{"trace_id", fmt::format("{}", rng.below(9))}}), 1, time_ms});
    }
  }
  if (rng.below(10) == 0) {
    const std::string metric = fmt::format("m{}", rng.below(5));
    batch.metadata.push_back({metric, model::MetricType::Gauge, "", "help"});
  }
  world.append(batch);
}

void step(World& world, core::SeededRng& rng) {
  const uint64_t kind = rng.below(100);
  if (kind < 85) return append_random(world, rng);
  if (kind < 95) return world.clock_.advance_ms(static_cast<int64_t>(rng.below(40)) * kMinute);
  if (kind < 98) {
    world.maintain();
    return;
  }
  DeleteRequest request;
  request.selectors = {{Matcher::equal("s", fmt::format("{}", rng.below(100)))}};
  const auto ago_ms = static_cast<int64_t>(rng.below(60)) * kMinute;
  request.range = {world.clock_.now_ms() - ago_ms - kHour, world.clock_.now_ms() - ago_ms};
  REQUIRE(world.engine().delete_series(request).has_value());
}

}  // namespace

TEST_CASE("a replay through a window of any size ends as one that applies record by record") {
  FOR_BOTH_LOGS
  const QuietLog quiet;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    core::SeededRng rng(seed);
    World world(kind, seed);
    world.options_.stale_series_min = 1;
    for (int life = 0; life < 3; ++life) {
      for (int i = 0; i < 120; ++i) step(world, rng);
      world.options_.replay_window_bytes = 0;
      world.open();
      const std::string expected = state_of(world);
      for (const uint64_t window_bytes :
           {uint64_t{1}, uint64_t{2048}, uint64_t{10} << 10U, uint64_t{1} << 30U}) {
        world.options_.replay_window_bytes = window_bytes;
        world.open();
        CHECK_MESSAGE(state_of(world) == expected, "window of ", window_bytes, " bytes");
      }
    }
  }
}

TEST_CASE("what waits for two threads is applied by them as by one") {
  const QuietLog quiet;
  World world(LogKind::Embedded);
  constexpr int kSeries = 3'000;
  constexpr int kSteps = 50;
  std::vector<std::string> labels;
  labels.reserve(kSeries);
  for (int s = 0; s < kSeries; ++s) {
    labels.push_back(World::labels(fmt::format("m{{s={}}}", s)).bytes());
  }
  for (int i = 0; i < kSteps; ++i) {
    WriteBatch batch;
    for (int s = 0; s < kSeries; ++s) {
      batch.begin_series(batch.keep(labels[static_cast<size_t>(s)]));
      batch.add_sample(kStart + i * 10'000, i * 0.1 + s % 7);
    }
    CHECK(world.append(batch).stored == kSeries);
    world.clock_.advance_ms(10'000);
  }
  world.options_.replay_window_bytes = 0;
  world.open();
  const std::string expected = state_of(world);
  world.options_.replay_window_bytes = 1U << 30U;
  world.open();
  CHECK(world.engine().progress().samples == kSeries * kSteps);
  CHECK(state_of(world) == expected);
}

}  // namespace tsdb
