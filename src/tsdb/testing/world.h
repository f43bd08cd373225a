// An engine on a simulated disk, for tests that open it again and again.

#pragma once

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"
#include "tsdb/testing/memory_log.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <map>
#include <memory>

namespace tsdb::testing {

using model::Labels;
using model::Matcher;
using model::MatchType;
using model::TimeRange;
using storage::RefusalReason;
using storage::WriteBatch;

inline constexpr int64_t kHour = 3'600'000;
inline constexpr int64_t kMinute = 60'000;
inline constexpr int64_t kStart =
    1'700'000'000'000 / (2 * kHour) * (2 * kHour);  // of a block range
inline constexpr TimeRange kAllTime{-(int64_t{1} << 60), int64_t{1} << 60};

enum class LogKind { Embedded, SelfContained };

// An engine on a simulated disk, opened again and again.
class World {
 public:
  explicit World(LogKind kind, uint64_t seed = 1)
      : kind_(kind), rng_(seed), files_({.seed = seed}) {
    options_.data_dir = "data";
    clock_.jump_to_ms(kStart);
  }

  Engine& engine() {
    if (engine_ == nullptr) open();
    return *engine_;
  }
  // For tests of what exactly one record of the log costs. Before the first open().
  void without_runs() { log_run_ms_max_ = 0; }
  void open() {
    engine_.reset();
    if (kind_ == LogKind::Embedded) {
      log_.reset();
      auto log = EmbeddedLog::open(
          {.dir = "data/wal", .segment_bytes = 64 << 10U, .run_ms_max = log_run_ms_max_}, files_,
          clock_, rng_);
      REQUIRE_MESSAGE(log.has_value(), log.error().message);
      log_ = std::move(*log);
    } else if (log_ == nullptr) {
      log_ = std::make_unique<testing::MemoryLog>();
    }
    auto engine = Engine::open(options_, {files_, clock_, rng_, *log_, &limits_});
    REQUIRE_MESSAGE(engine.has_value(), engine.error().message);
    engine_ = std::move(*engine);
  }
  void crash() {
    engine_.reset();
    log_.reset();
    files_.crash();
  }

  storage::AppendSummary append(const WriteBatch& batch) {
    auto summary = engine().append(batch);
    REQUIRE_MESSAGE(summary.has_value(), summary.error().message);
    return *summary;
  }
  storage::AppendSummary append(const std::string& series, int64_t time, double value) {
    WriteBatch batch;
    batch.add(labels(series), time, value);
    return append(batch);
  }
  // "m{a=1,b=2}" without quotes.
  static Labels labels(const std::string& text) {
    std::vector<std::pair<std::string, std::string>> pairs;
    const size_t brace = std::min(text.find('{'), text.size());
    pairs.emplace_back("__name__", text.substr(0, brace));
    std::string rest = brace == text.size() ? "" : text.substr(brace + 1, text.size() - brace - 2);
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(','), rest.size());
      const size_t equals = rest.find('=');
      pairs.emplace_back(rest.substr(0, equals), rest.substr(equals + 1, end - equals - 1));
      rest = rest.substr(std::min(end + 1, rest.size()));
    }
    return Labels::of(std::move(pairs));
  }

  using Samples = std::vector<std::pair<int64_t, double>>;
  // Everything that matches, by series; checks what a SeriesSet promises.
  std::map<std::string, Samples> read(model::Matchers matchers = {}, TimeRange range = kAllTime,
                                      std::vector<std::string>* warnings = nullptr) {
    storage::SelectRequest request;
    request.matchers = std::move(matchers);
    request.range = range;
    request.sorted = true;
    auto set = engine().select(request);
    REQUIRE(set.has_value());
    std::map<std::string, Samples> result;
    storage::SeriesBatch batch;
    Labels before;
    while (true) {
      auto more = (*set)->next(batch);
      REQUIRE(more.has_value());
      if (!*more) break;
      REQUIRE(batch.sample_ends.size() == batch.size());
      REQUIRE(batch.histogram_ends.size() == batch.size());
      for (size_t i = 0; i < batch.size(); ++i) {
        if (!before.empty()) CHECK(before < batch.labels[i]);
        before = batch.labels[i];
        Samples& samples = result[batch.labels[i].to_string()];
        for (size_t j = 0; j < batch.timestamps_of(i).size(); ++j) {
          const int64_t time = batch.timestamps_of(i)[j];
          CHECK(range.contains(time));
          if (!samples.empty()) CHECK(samples.back().first < time);
          samples.emplace_back(time, batch.values_of(i)[j]);
        }
      }
    }
    if (warnings != nullptr) *warnings = (*set)->warnings();
    return result;
  }
  MaintainReport maintain() {
    auto report = engine().maintain();
    REQUIRE_MESSAGE(report.has_value(), report.error().message);
    return *report;
  }

  LogKind kind_;
  core::SeededRng rng_;
  core::testing::FakeClock clock_;
  core::testing::SimFileSystem files_;
  EngineOptions options_;
  tenant::LimitsTable limits_;
  int64_t log_run_ms_max_ = EmbeddedLogOptions{}.run_ms_max;
  std::unique_ptr<storage::Log> log_;
  std::unique_ptr<Engine> engine_;
};

// A series per name, a sample per minute, each its own record of the log.
inline void fill(World& world, int minutes, const std::vector<std::string>& names) {
  const int64_t begin = world.clock_.now_ms();
  for (int i = 0; i < minutes; ++i) {
    for (const std::string& name : names) world.append(name, begin + i * kMinute, i);
    world.clock_.advance_ms(kMinute);
  }
}

}  // namespace tsdb::testing

// Runs the rest of a test case on either log; declares `kind`.
#define FOR_BOTH_LOGS               \
  LogKind kind = LogKind::Embedded; \
  SUBCASE("embedded log") {         \
    kind = LogKind::Embedded;       \
  }                                 \
  SUBCASE("self-contained log") {   \
    kind = LogKind::SelfContained;  \
  }
