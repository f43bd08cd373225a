#include "storage/testing/log_suite.h"

#include "core/rng.h"

#include <algorithm>
#include <bit>
#include <doctest/doctest.h>
#include <limits>
#include <map>
#include <thread>

namespace storage::testing {
namespace {

using core::SeededRng;
using model::same_bits;

constexpr size_t kTenants = 2;

bool same_numbers(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_bits);
}

bool same_histogram(const model::Histogram& a, const model::Histogram& b) {
  return a.schema == b.schema && a.reset_hint == b.reset_hint &&
         a.integer_counts == b.integer_counts && same_bits(a.zero_threshold, b.zero_threshold) &&
         same_bits(a.zero_count, b.zero_count) && same_bits(a.count, b.count) &&
         same_bits(a.sum, b.sum) && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans &&
         same_numbers(a.positive_counts, b.positive_counts) &&
         same_numbers(a.negative_counts, b.negative_counts) &&
         same_numbers(a.custom_bounds, b.custom_bounds);
}

bool same_series(const OwnedBatch::Series& a, const OwnedBatch::Series& b) {
  const auto same_sample = [](const model::Sample& x, const model::Sample& y) {
    return x.timestamp_ms == y.timestamp_ms && same_bits(x.value, y.value);
  };
  const auto same_histogram_sample = [](const model::HistogramSample& x,
                                        const model::HistogramSample& y) {
    return x.timestamp_ms == y.timestamp_ms && same_histogram(x.histogram, y.histogram);
  };
  const auto same_exemplar = [](const model::Exemplar& x, const model::Exemplar& y) {
    return x.timestamp_ms == y.timestamp_ms && same_bits(x.value, y.value) && x.labels == y.labels;
  };
  return a.labels == b.labels &&
         std::equal(a.samples.begin(), a.samples.end(), b.samples.begin(), b.samples.end(),
                    same_sample) &&
         std::equal(a.histograms.begin(), a.histograms.end(), b.histograms.begin(),
                    b.histograms.end(), same_histogram_sample) &&
         std::equal(a.exemplars.begin(), a.exemplars.end(), b.exemplars.begin(), b.exemplars.end(),
                    same_exemplar);
}

double random_value(SeededRng& rng) {
  switch (rng.below(10)) {
    case 0:
      return 0;
    case 1:
      return static_cast<double>(rng.below(1000));
    case 2:
      return -static_cast<double>(rng.next() >> rng.below(64));
    case 3:
      return static_cast<double>(rng.below(10'000'000)) / 1000;
    case 4:
      return static_cast<double>(rng.below(1'000'000)) / 100;
    case 5:
      return static_cast<double>(rng.below(1 << 20)) / 256;
    case 6: {
      const double special[] = {-0.0,
                                model::stale_nan(),
                                std::numeric_limits<double>::quiet_NaN(),
                                std::bit_cast<double>(0x7ff8'dead'beef'0001ULL),
                                std::numeric_limits<double>::infinity(),
                                -std::numeric_limits<double>::infinity(),
                                std::numeric_limits<double>::denorm_min(),
                                std::numeric_limits<double>::max(),
                                0x1p53,
                                -0x1p53,
                                0x1p53 - 1,
                                0x1p46 / 1000};
      return special[rng.below(std::size(special))];
    }
    case 7:
      return rng.unit();
    case 8:
      return static_cast<double>(1'700'000'000 + rng.below(1000));
    default:
      return std::bit_cast<double>(rng.next());
  }
}

model::Histogram random_histogram(SeededRng& rng) {
  model::Histogram histogram;
  const bool custom = rng.below(3) == 0;
  histogram.schema = custom ? model::kCustomBucketsSchema : static_cast<int32_t>(rng.below(13)) - 4;
  histogram.reset_hint = static_cast<model::CounterResetHint>(rng.below(4));
  histogram.integer_counts = rng.below(2) == 0;
  histogram.zero_threshold = 1e-128;
  histogram.zero_count = static_cast<double>(rng.below(5));
  histogram.count = random_value(rng);
  histogram.sum = random_value(rng);
  for (uint64_t i = rng.below(3); i > 0; --i) {
    const auto length = static_cast<uint32_t>(rng.below(4));
    histogram.positive_spans.push_back({static_cast<int32_t>(rng.below(9)) - 4, length});
    for (uint32_t n = 0; n < length; ++n) histogram.positive_counts.push_back(random_value(rng));
  }
  if (custom) {
    histogram.custom_bounds = {0.1, 1, 10};
  } else if (rng.below(2) == 0) {
    histogram.negative_spans = {{-2, 1}};
    histogram.negative_counts = {3};
  }
  return histogram;
}

}  // namespace

LogBatch OwnedBatch::view() const {
  LogBatch batch;
  batch.tenant = tenant;
  batch.accepted_at_ms = accepted_at_ms;
  for (const Series& one : series) {
    batch.samples.insert(batch.samples.end(), one.samples.begin(), one.samples.end());
    batch.histograms.insert(batch.histograms.end(), one.histograms.begin(), one.histograms.end());
    batch.exemplars.insert(batch.exemplars.end(), one.exemplars.begin(), one.exemplars.end());
    batch.series.push_back({.id = one.id,
                            .labels = one.labels,
                            .is_new = one.is_new,
                            .samples_end = static_cast<uint32_t>(batch.samples.size()),
                            .histograms_end = static_cast<uint32_t>(batch.histograms.size()),
                            .exemplars_end = static_cast<uint32_t>(batch.exemplars.size())});
  }
  batch.metadata = metadata;
  return batch;
}

bool same_content(const OwnedBatch& a, const OwnedBatch& b) {
  return a.tenant == b.tenant && a.accepted_at_ms == b.accepted_at_ms && a.metadata == b.metadata &&
         std::equal(a.series.begin(), a.series.end(), b.series.begin(), b.series.end(),
                    same_series);
}

struct BatchSource::State {
  SeededRng rng;
  uint64_t next_id = 1;
  int64_t now_ms = 1'700'000'000'000;
  std::vector<OwnedBatch::Series> known[kTenants];

  OwnedBatch::Series& pick_series(std::vector<OwnedBatch::Series>& table, bool& is_new) {
    is_new = table.empty() || rng.below(4) == 0;
    if (!is_new) return table[rng.below(table.size())];
    const uint64_t id = next_id;
    next_id += 1 + (rng.below(5) == 0 ? rng.below(100'000) : 0);
    table.push_back({.id = id,
                     .labels = model::Labels::of({{"__name__", fmt::format("metric_{}", id % 7)},
                                                  {"id", fmt::format("{}", id)}})
                                   .bytes(),
                     .is_new = false,
                     .samples = {},
                     .histograms = {},
                     .exemplars = {}});
    return table.back();
  }

  void fill(OwnedBatch::Series& one) {
    const uint64_t count = rng.below(8) == 0 ? rng.below(5) : 1;
    int64_t time_ms = rng.below(10) == 0 ? static_cast<int64_t>(rng.next()) : now_ms;
    for (uint64_t i = 0; i < count; ++i) {
      one.samples.push_back({time_ms, random_value(rng)});
      time_ms = static_cast<int64_t>(static_cast<uint64_t>(time_ms) +
                                     (rng.below(4) == 0 ? rng.below(20'000) : 15'000));
    }
    if (rng.below(8) == 0) one.histograms.push_back({now_ms, random_histogram(rng)});
    if (rng.below(8) == 0) {
      one.exemplars.push_back({.labels = model::Labels::of({{"trace_id", "abc"}}),
                               .value = random_value(rng),
                               .timestamp_ms = rng.below(2) == 0 ? 0 : now_ms});
    }
  }
};

BatchSource::BatchSource(uint64_t seed) : state_(new State{.rng = SeededRng(seed), .known = {}}) {}
BatchSource::~BatchSource() = default;

OwnedBatch BatchSource::next() {
  State& state = *state_;
  SeededRng& rng = state.rng;
  const uint64_t tenant = rng.below(kTenants);
  OwnedBatch batch;
  batch.tenant = tenant == 0 ? "default" : "other-tenant";
  batch.accepted_at_ms = state.now_ms += static_cast<int64_t>(rng.below(20'000));
  for (uint64_t count = rng.below(12); count > 0; --count) {
    bool is_new = false;
    OwnedBatch::Series one = state.pick_series(state.known[tenant], is_new);
    one.is_new = is_new;
    state.fill(one);
    batch.series.push_back(std::move(one));
  }
  if (rng.below(6) == 0 || batch.series.empty()) {
    batch.metadata.push_back({.metric = "metric_1",
                              .type = static_cast<model::MetricType>(rng.below(8)),
                              .unit = "seconds",
                              .help = "Näh.\n"});
  }
  return batch;
}

core::Result<std::vector<std::pair<LogPosition, OwnedBatch>>> replay_all(Log& log,
                                                                         LogPosition from) {
  std::vector<std::pair<LogPosition, OwnedBatch>> all;
  std::map<uint64_t, std::string> labels;
  const auto collect = [&](LogPosition position, const LogBatch& batch) -> core::Result<void> {
    OwnedBatch owned;
    owned.tenant = batch.tenant;
    owned.accepted_at_ms = batch.accepted_at_ms;
    owned.metadata = batch.metadata;
    LogSeries before;
    for (const LogSeries& one : batch.series) {
      if (!one.labels.empty()) labels[one.id] = one.labels;
      OwnedBatch::Series series;
      series.id = one.id;
      series.labels = labels[one.id];
      series.is_new = one.is_new;
      series.samples.assign(batch.samples.begin() + before.samples_end,
                            batch.samples.begin() + one.samples_end);
      series.histograms.assign(batch.histograms.begin() + before.histograms_end,
                               batch.histograms.begin() + one.histograms_end);
      series.exemplars.assign(batch.exemplars.begin() + before.exemplars_end,
                              batch.exemplars.begin() + one.exemplars_end);
      owned.series.push_back(std::move(series));
      before = one;
    }
    all.emplace_back(position, std::move(owned));
    return {};
  };
  TRY(log.replay(from, collect));
  return all;
}

namespace {

void check_same(const std::vector<std::pair<LogPosition, OwnedBatch>>& replayed,
                const std::vector<OwnedBatch>& appended, LogPosition first = 0) {
  REQUIRE(replayed.size() + first == appended.size());
  for (size_t i = 0; i < replayed.size(); ++i) {
    CAPTURE(i);
    CHECK(replayed[i].first == first + i);
    CHECK(same_content(replayed[i].second, appended[first + i]));
  }
}

std::vector<OwnedBatch> append_batches(Log& log, BatchSource& source, size_t count) {
  std::vector<OwnedBatch> appended;
  for (size_t i = 0; i < count; ++i) {
    appended.push_back(source.next());
    const auto position = log.append(appended.back().view());
    REQUIRE(position);
    REQUIRE(log.wait_durable(*position));
  }
  return appended;
}

void an_empty_log_replays_nothing(const OpenLog& open) {
  const std::unique_ptr<Log> log = open();
  CHECK(log->low() == 0);
  CHECK(log->high() == 0);
  CHECK(replay_all(*log)->empty());
  CHECK(log->truncate_before(0));
}

void batches_come_back_as_they_were(const OpenLog& open) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    BatchSource source(seed);
    std::unique_ptr<Log> log = open();
    const LogPosition first = log->high();
    const std::vector<OwnedBatch> appended = append_batches(*log, source, 30);
    CHECK(log->high() == first + appended.size());
    const auto replayed = replay_all(*log, first);
    REQUIRE(replayed);
    REQUIRE(replayed->size() == appended.size());
    for (size_t i = 0; i < appended.size(); ++i) {
      CAPTURE(i);
      CHECK((*replayed)[i].first == first + i);
      CHECK(same_content((*replayed)[i].second, appended[i]));
    }
  }
}

void a_batch_is_seen_by_the_next_open(const OpenLog& open) {
  BatchSource source(1);
  std::vector<OwnedBatch> appended;
  for (int life = 0; life < 5; ++life) {
    CAPTURE(life);
    std::unique_ptr<Log> log = open();
    CHECK(log->high() == appended.size());
    check_same(*replay_all(*log), appended);
    for (OwnedBatch& batch : append_batches(*log, source, 7)) appended.push_back(std::move(batch));
  }
  const std::unique_ptr<Log> log = open();
  check_same(*replay_all(*log), appended);
}

void replay_begins_where_it_is_asked_to(const OpenLog& open) {
  BatchSource source(2);
  const std::unique_ptr<Log> log = open();
  const std::vector<OwnedBatch> appended = append_batches(*log, source, 20);
  for (LogPosition from = 0; from <= 21; ++from) {
    CAPTURE(from);
    const auto replayed = replay_all(*log, from);
    REQUIRE(replayed);
    CHECK(replayed->size() == (from > 20 ? 0 : 20 - from));
    if (!replayed->empty()) {
      CHECK(replayed->front().first == from);
      CHECK(replayed->back().second.accepted_at_ms == appended.back().accepted_at_ms);
    }
  }
}

void a_visitors_error_ends_the_replay(const OpenLog& open) {
  BatchSource source(3);
  const std::unique_ptr<Log> log = open();
  append_batches(*log, source, 5);
  int visits = 0;
  const auto result = log->replay(0, [&](LogPosition, const LogBatch&) -> core::Result<void> {
    if (++visits == 3) return core::fail(core::ErrorCode::Cancelled, "enough");
    return {};
  });
  REQUIRE(!result);
  CHECK(result.error().code == core::ErrorCode::Cancelled);
  CHECK(visits == 3);
}

void truncation_keeps_everything_from_its_position_on(const OpenLog& open) {
  BatchSource source(4);
  std::vector<OwnedBatch> appended;
  for (int life = 0; life < 6; ++life) {
    std::unique_ptr<Log> log = open();
    for (OwnedBatch& batch : append_batches(*log, source, 20)) appended.push_back(std::move(batch));
    const LogPosition position = log->high() - 13;
    REQUIRE(log->truncate_before(position));
    CHECK(log->low() <= position);
    CHECK(log->high() == appended.size());
  }
  const std::unique_ptr<Log> log = open();
  CHECK(log->low() > 0);
  const auto replayed = replay_all(*log, log->low());
  REQUIRE(replayed);
  REQUIRE(replayed->size() == log->high() - log->low());
  CHECK(replayed->front().first == log->low());
  CHECK(replayed->back().second.accepted_at_ms == appended.back().accepted_at_ms);
}

void many_threads_append_and_wait(const OpenLog& open) {
  constexpr int kThreads = 4;
  constexpr int kBatches = 50;
  const std::unique_ptr<Log> log = open();
  std::vector<std::vector<LogPosition>> positions(kThreads);
  std::vector<int> failures(kThreads);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kBatches; ++i) {
          OwnedBatch batch;
          batch.tenant = fmt::format("thread-{}", t);
          batch.accepted_at_ms = i;
          batch.metadata.push_back({.metric = "m", .type = {}, .unit = {}, .help = {}});
          const auto position = log->append(batch.view());
          if (!position || !log->wait_durable(*position)) {
            ++failures[t];
          } else {
            positions[t].push_back(*position);
          }
        }
      });
    }
  }
  const auto replayed = replay_all(*log);
  REQUIRE(replayed);
  CHECK(replayed->size() == kThreads * kBatches);
  for (size_t t = 0; t < kThreads; ++t) {
    CAPTURE(t);
    CHECK(failures[t] == 0);
    REQUIRE(positions[t].size() == kBatches);
    for (size_t i = 0; i < kBatches; ++i) {
      const auto& [position, batch] = (*replayed)[positions[t][i]];
      CHECK(position == positions[t][i]);
      CHECK(batch.tenant == fmt::format("thread-{}", t));
      CHECK(batch.accepted_at_ms == static_cast<int64_t>(i));
    }
  }
}

}  // namespace

void run_log_suite(const std::function<OpenLog()>& make) {
  SUBCASE("an empty log replays nothing") {
    an_empty_log_replays_nothing(make());
  }
  SUBCASE("batches come back as they were, bit for bit") {
    batches_come_back_as_they_were(make());
  }
  SUBCASE("a batch is seen by the next open") {
    a_batch_is_seen_by_the_next_open(make());
  }
  SUBCASE("replay begins where it is asked to") {
    replay_begins_where_it_is_asked_to(make());
  }
  SUBCASE("a visitor's error ends the replay") {
    a_visitors_error_ends_the_replay(make());
  }
  SUBCASE("truncation keeps everything from its position on") {
    truncation_keeps_everything_from_its_position_on(make());
  }
  SUBCASE("many threads append and wait") {
    many_threads_append_and_wait(make());
  }
}

}  // namespace storage::testing
