// Appends, reads and flushes at the same time; worth most under ThreadSanitizer.

#include "core/log.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"

#include <atomic>
#include <doctest/doctest.h>
#include <thread>

namespace tsdb {

TEST_CASE("readers see every append that returned while others append and flush") {
  constexpr int64_t kStart = 1'700'000'000'000 / 7'200'000 * 7'200'000;
  constexpr int kWriters = 2;
  constexpr int kSeriesPerWriter = 40;
  constexpr int kRounds = 400;
  core::set_log_level(core::LogLevel::Error);
  core::testing::FakeClock clock(kStart + 1000 * 3'600'000LL);
  core::testing::SimFileSystem files;
  core::SeededRng rng(1);
  auto log = *EmbeddedLog::open({.dir = "data/log", .segment_bytes = 64 << 10U}, files, clock, rng);
  EngineOptions options;
  options.data_dir = "data";
  auto engine = *Engine::open(options, {files, clock, rng, *log});

  // A round is a minute. A writer never runs far ahead of the other, or it would make
  // the other's samples too old.
  std::atomic<int> done[kWriters] = {};
  std::atomic<int> refused = 0;    // appends that did not store everything
  std::atomic<int> wrong = 0;      // samples with another sample's value
  std::atomic<int> unordered = 0;  // times that do not rise
  std::atomic<int> missing = 0;    // reads that lack a sample of a returned append
  std::atomic<int> warned = 0;     // reads with a warning
  std::atomic<int> not_maintained = 0;
  std::atomic<bool> stop = false;
  const auto write = [&](int writer) {
    for (int round = 0; round < kRounds; ++round) {
      while (done[1 - writer] < round - 5) std::this_thread::yield();
      storage::WriteBatch batch;
      for (int i = 0; i < kSeriesPerWriter; ++i) {
        // A third of the series change their name again and again.
        const int life = i % 3 == 0 ? round / 50 : 0;
        batch.add(model::Labels::of({{"__name__", "m"},
                                     {"writer", fmt::format("{}", writer)},
                                     {"series", fmt::format("{}-{}", i, life)}}),
                  kStart + round * 60'000LL, round);
      }
      const auto summary = engine->append(batch);
      if (!summary || summary->stored != kSeriesPerWriter) ++refused;
      done[writer] = round + 1;
    }
  };
  const auto read = [&] {
    while (!stop) {
      const int writer = static_cast<int>(done[0] % kWriters);
      const int rounds = done[writer];
      storage::SelectRequest request;
      request.matchers = {model::Matcher::equal("writer", fmt::format("{}", writer))};
      request.range = {0, kStart + kRounds * 60'000LL};
      auto set = engine->select(request);
      storage::SeriesBatch batch;
      int64_t samples = 0;
      while (*(*set)->next(batch)) {
        for (size_t i = 0; i < batch.size(); ++i) {
          const auto times = batch.timestamps_of(i);
          const auto values = batch.values_of(i);
          for (size_t j = 0; j < times.size(); ++j) {
            if (times[j] != kStart + static_cast<int64_t>(values[j]) * 60'000) ++wrong;
            if (j > 0 && times[j - 1] >= times[j]) ++unordered;
          }
          samples += static_cast<int64_t>(times.size());
        }
      }
      if (samples < int64_t{rounds} * kSeriesPerWriter) ++missing;
      if (!(*set)->warnings().empty()) ++warned;
      (void)engine->stats("default");
    }
  };
  const auto maintain = [&] {
    while (!stop) {
      if (!engine->maintain()) ++not_maintained;
      std::this_thread::yield();
    }
  };
  std::thread reader(read);
  std::thread maintainer(maintain);
  std::thread first(write, 0);
  std::thread second(write, 1);
  first.join();
  second.join();
  stop = true;
  reader.join();
  maintainer.join();
  core::set_log_level(core::LogLevel::Info);
  CHECK(refused == 0);
  CHECK(wrong == 0);
  CHECK(unordered == 0);
  CHECK(missing == 0);
  CHECK(warned == 0);
  CHECK(not_maintained == 0);
  CHECK(engine->stats("default").blocks >= 2);
}

}  // namespace tsdb
