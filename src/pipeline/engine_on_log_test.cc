// The storage engine on a log of self-contained records: what Kafka will be to it. The
// next engine knows nothing but the log, not even the series table.

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "pipeline/in_process_log.h"
#include "tsdb/engine.h"

#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pipeline {
namespace {

using Points = std::vector<std::pair<int64_t, uint64_t>>;  // time, value in bits

// An engine with a data directory of its own, on a shared topic.
struct Node {
  Node(InProcessTopic& topic, uint64_t collector_id)
      : log({.collector_id = collector_id}, topic), rng(collector_id) {
    auto opened = tsdb::Engine::open({.data_dir = "data"}, {files, clock, rng, log});
    if (!opened) FAIL(opened.error().message);
    engine = std::move(*opened);
  }

  std::map<std::string, Points> everything(const std::string& tenant) const {
    storage::SelectRequest request;
    request.tenant = tenant;
    request.matchers = {*model::Matcher::create(model::MatchType::Regex, "__name__", ".+")};
    request.range = {.start_ms = 0, .end_ms = INT64_MAX};
    const auto set = engine->select(request);
    REQUIRE(set);
    std::map<std::string, Points> all;
    storage::SeriesBatch batch;
    while (*(*set)->next(batch)) {
      for (size_t i = 0; i < batch.size(); ++i) {
        Points& points = all[batch.labels[i].to_string()];
        for (size_t n = 0; n < batch.timestamps_of(i).size(); ++n) {
          points.emplace_back(batch.timestamps_of(i)[n],
                              std::bit_cast<uint64_t>(batch.values_of(i)[n]));
        }
        for (const model::HistogramSample& one : batch.histograms_of(i)) {
          points.emplace_back(one.timestamp_ms, std::bit_cast<uint64_t>(one.histogram.sum));
        }
      }
    }
    return all;
  }

  core::testing::FakeClock clock;
  core::testing::SimFileSystem files;
  InProcessLog log;
  core::SeededRng rng;
  std::unique_ptr<tsdb::Engine> engine;
};

TEST_CASE("an engine that knows only the log has what the engine that wrote it has") {
  InProcessTopic topic;
  std::map<std::string, Points> written;
  std::map<std::string, Points> written_by_other;
  {
    Node writer(topic, 1);
    for (int round = 0; round < 50; ++round) {
      for (const std::string tenant : {"default", "other"}) {
        storage::WriteBatch batch;
        batch.tenant = tenant;
        for (int i = 0; i < 20 + round / 10; ++i) {
          batch.add(model::Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}}),
                    writer.clock.now_ms(), round % 7 == 0 ? model::stale_nan() : round * 1.1 + i);
        }
        model::Histogram histogram;
        histogram.count = histogram.zero_count = round;
        histogram.sum = round * 0.3;
        batch.begin_series(batch.keep(model::Labels::of({{"__name__", "h"}}).bytes()));
        batch.add_histogram(writer.clock.now_ms(), histogram);
        const auto summary = writer.engine->append(batch);
        REQUIRE(summary);
        CHECK(summary->refused_total() == 0);
      }
      writer.clock.advance_ms(15'000);
    }
    written = writer.everything("default");
    written_by_other = writer.everything("other");
  }
  CHECK(written.size() == 25);

  Node reader(topic, 2);
  CHECK(reader.everything("default") == written);
  CHECK(reader.everything("other") == written_by_other);

  // And it goes on where the other stopped: known series stay one series.
  reader.clock.advance_ms(3'600'000);
  storage::WriteBatch batch;
  batch.add(model::Labels::of({{"__name__", "m"}, {"i", "0"}}), reader.clock.now_ms(), 7);
  REQUIRE(reader.engine->append(batch));
  Node third(topic, 3);
  const auto all = third.everything("default");
  CHECK(all.size() == written.size());
  CHECK(all == reader.everything("default"));
  CHECK(all.at("m{i=\"0\"}").size() == written.at("m{i=\"0\"}").size() + 1);
}

TEST_CASE("records that are read twice change nothing") {
  InProcessTopic topic;
  Node writer(topic, 1);
  for (int round = 0; round < 5; ++round) {
    storage::WriteBatch batch;
    batch.add(model::Labels::of({{"__name__", "m"}}), writer.clock.now_ms(), round);
    REQUIRE(writer.engine->append(batch));
    writer.clock.advance_ms(15'000);
  }
  // A producer that got no answer sends again: the records are in the log twice.
  const std::deque<std::string> once = topic.records;
  topic.records.insert(topic.records.end(), once.begin(), once.end());
  Node reader(topic, 2);
  CHECK(reader.everything("default") == writer.everything("default"));
}

}  // namespace
}  // namespace pipeline
