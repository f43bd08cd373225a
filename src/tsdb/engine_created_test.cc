#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

WriteBatch counter(int64_t created_ms, std::vector<std::pair<int64_t, double>> samples) {
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("hits_total").bytes()));
  for (const auto& [time, value] : samples) batch.add_sample(time, value);
  batch.series.back().created_ms = created_ms;
  return batch;
}

}  // namespace

TEST_CASE("where a counter began is a zero, once, and only in front of all it has") {
  for (const LogKind kind : {LogKind::Embedded, LogKind::SelfContained}) {
    World world(kind);
    const int64_t t = kStart + kMinute;
    CHECK(world.append(counter(t - 500, {{t, 3}, {t + 1000, 4}})).stored == 2);
    // Told again with every sample, as senders do; and two that lie too early by now.
    CHECK(world.append(counter(t - 500, {{t + 2000, 5}})).stored == 1);
    CHECK(world.append(counter(t + 1500, {{t + 3000, 6}})).stored == 1);
    // It restarts.
    CHECK(world.append(counter(t + 3500, {{t + 4000, 1}})).stored == 1);
    // No beginning lies behind its samples, or in front of everything kept.
    CHECK(world.append(counter(t + 6000, {{t + 5000, 2}})).stored == 1);
    for (int life = 0; life < 2; ++life) {
      CHECK(world.read().at("hits_total") == World::Samples{{t - 500, 0},
                                                            {t, 3},
                                                            {t + 1000, 4},
                                                            {t + 2000, 5},
                                                            {t + 3000, 6},
                                                            {t + 3500, 0},
                                                            {t + 4000, 1},
                                                            {t + 5000, 2}});
      world.open();
    }
  }
}

TEST_CASE("a beginning too long ago costs nothing") {
  World world(LogKind::Embedded);
  world.clock_.jump_to_ms(kStart + 50 * kHour);
  const int64_t t = kStart + 49 * kHour;
  CHECK(world.append("other", t, 1).stored == 1);
  const auto summary = world.append(counter(kStart, {{t, 3}}));
  CHECK(summary.stored == 1);
  CHECK(summary.refused_total() == 0);
  CHECK(world.read().at("hits_total") == World::Samples{{t, 3}});
}

TEST_CASE("a histogram begins with an empty one of its own kind") {
  World world(LogKind::Embedded);
  model::Histogram histogram;
  histogram.schema = model::kCustomBucketsSchema;
  histogram.integer_counts = true;
  histogram.count = 3;
  histogram.sum = 1;
  histogram.positive_spans = {{0, 2}};
  histogram.positive_counts = {1, 2};
  histogram.custom_bounds = {0.5};
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("h").bytes()));
  batch.add_histogram(kStart + 1000, histogram);
  batch.series.back().created_ms = kStart;
  const auto summary = world.append(batch);
  CHECK(summary.stored == 1);
  CHECK(summary.histograms == 1);
  storage::SelectRequest request;
  request.range = kAllTime;
  auto set = world.engine().select(request);
  REQUIRE(set.has_value());
  storage::SeriesBatch found;
  REQUIRE(*(*set)->next(found));
  REQUIRE(found.histograms.size() == 2);
  CHECK(found.histograms[0].timestamp_ms == kStart);
  CHECK(found.histograms[0].histogram.count == 0);
  CHECK(found.histograms[0].histogram.positive_counts.empty());
  CHECK(found.histograms[0].histogram.custom_bounds == histogram.custom_bounds);
  CHECK(found.histograms[1].histogram == histogram);
}

}  // namespace tsdb
