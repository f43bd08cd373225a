#include "agent/push/counter_interval.h"

#include "storage/testing/memory_store.h"

#include <doctest/doctest.h>

namespace agent {
namespace {

// Writes down what comes, and can be away.
class Recorder final : public storage::SampleSink {
 public:
  core::Result<storage::AppendSummary> append(const storage::WriteBatch& batch) override {
    if (is_away) return core::fail(core::ErrorCode::Unavailable, "away");
    for (const storage::BatchSeries& series : batch.series) {
      for (const model::Sample& sample : batch.samples_of(series)) {
        const std::string value =
            model::is_stale_nan(sample.value) ? "stale" : fmt::format("{}", sample.value);
        text += fmt::format("{}@{}={} ", model::LabelsView(series.labels).metric_name(),
                            sample.timestamp_ms, value);
      }
    }
    return storage::AppendSummary{};
  }

  std::string taken() { return std::exchange(text, {}); }
  bool is_away = false;
  std::string text;
};

const model::Labels kCounter = model::Labels::of({{"__name__", "c_total"}});
const model::Labels kGauge = model::Labels::of({{"__name__", "g"}});

storage::WriteBatch batch_of(int64_t time_ms, double counter, double gauge) {
  storage::WriteBatch batch;
  batch.metadata.push_back(
      {.metric = "c_total", .type = model::MetricType::Counter, .unit = "", .help = ""});
  batch.metadata.push_back(
      {.metric = "g", .type = model::MetricType::Gauge, .unit = "", .help = ""});
  batch.add(kCounter, time_ms, counter);
  batch.add(kGauge, time_ms, gauge);
  return batch;
}

TEST_CASE("of a counter the newest sample of each interval goes, gauges go as they come") {
  Recorder recorder;
  CounterInterval thinner(60'000, recorder);
  for (int i = 0; i < 12; ++i) REQUIRE(thinner.append(batch_of(i * 5'000, i, i)));
  CHECK(recorder.taken().find("c_total") == std::string::npos);
  REQUIRE(thinner.append(batch_of(60'000, 12, 12)));
  CHECK(recorder.taken() == "c_total@55000=11 g@60000=12 ");
  REQUIRE(thinner.flush());
  CHECK(recorder.taken() == "c_total@60000=12 ");
  REQUIRE(thinner.flush());
  CHECK(recorder.taken().empty());
}

TEST_CASE("a restart of a counter within an interval loses no increase") {
  Recorder recorder;
  CounterInterval thinner(60'000, recorder);
  REQUIRE(thinner.append(batch_of(0, 100, 0)));
  REQUIRE(thinner.append(batch_of(5'000, 120, 0)));
  recorder.taken();
  REQUIRE(thinner.append(batch_of(10'000, 3, 0)));
  CHECK(recorder.taken() == "c_total@5000=120 g@10000=0 ");
}

TEST_CASE("a series that ends sends its last value before the marker") {
  Recorder recorder;
  CounterInterval thinner(60'000, recorder);
  REQUIRE(thinner.append(batch_of(0, 1, 0)));
  recorder.taken();
  REQUIRE(thinner.append(batch_of(5'000, model::stale_nan(), 0)));
  CHECK(recorder.taken() == "c_total@0=1 c_total@5000=stale g@5000=0 ");
  REQUIRE(thinner.flush());
  CHECK(recorder.taken().empty());
}

TEST_CASE("a batch that was not taken may come again") {
  Recorder recorder;
  CounterInterval thinner(60'000, recorder);
  REQUIRE(thinner.append(batch_of(55'000, 1, 0)));
  recorder.taken();
  recorder.is_away = true;
  CHECK(!thinner.append(batch_of(60'000, 2, 0)));
  recorder.is_away = false;
  REQUIRE(thinner.append(batch_of(60'000, 2, 0)));
  CHECK(recorder.taken() == "c_total@55000=1 g@60000=0 ");
}

}  // namespace
}  // namespace agent
