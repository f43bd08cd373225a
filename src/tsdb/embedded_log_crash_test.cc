// The embedded log on a disk that loses power, fills up and fails, thousands of times.
//
// Each seed lives several lives: appends, waits, truncates, meets a fault, crashes. After
// every crash the log must hold what was acknowledged, nothing that was never appended,
// and no hole: acknowledged <= replayed <= appended, as prefixes of one sequence.

#include "core/testing/fake_clock.h"
#include "core/testing/quiet_log.h"
#include "core/testing/sim_file_system.h"
#include "storage/testing/log_suite.h"
#include "tsdb/embedded_log.h"

#include <doctest/doctest.h>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tsdb {
namespace {

using core::Result;
using core::SeededRng;
using core::testing::SimFault;
using core::testing::SimFileSystem;
using storage::LogPosition;
using storage::testing::OwnedBatch;

constexpr int kLives = 4;
constexpr uint64_t kStepsMax = 24;

struct Breakage {
  bool ignore_sync = false;
  bool ignore_sync_dir = false;
  bool skip_checksums = false;
};

using core::testing::QuietLog;

class Simulation {
 public:
  Simulation(uint64_t seed, const Breakage& breakage)
      : rng_(seed),
        log_rng_(seed + 1),
        source_(seed + 2),
        files_({.seed = seed + 3,
                .ignore_sync = breakage.ignore_sync,
                .ignore_sync_dir = breakage.ignore_sync_dir}) {
    options_.dir = "log";
    options_.segment_bytes = 1024 << rng_.below(4);
    options_.pending_bytes_max = 512 << rng_.below(5);
    options_.skip_checksums_for_test = breakage.skip_checksums;
  }

  // The first promise that was broken.
  std::optional<std::string> run() {
    for (int life = 0; life < kLives; ++life) {
      if (std::optional<std::string> broken = live()) return broken;
      rng_.below(3) == 0 ? files_.kill() : files_.crash();
      files_.set_capacity(UINT64_MAX);
    }
    // The last life meets no fault: what it finds, it has to find again.
    return check(open());
  }

  uint64_t replayed_count() const { return replayed_count_; }
  uint64_t lost_count() const { return lost_count_; }

 private:
  using OpenResult = Result<std::unique_ptr<EmbeddedLog>>;

  OpenResult open() { return EmbeddedLog::open(options_, files_, clock_, log_rng_); }

  std::optional<std::string> live() {
    OpenResult log = open();
    if (std::optional<std::string> broken = check(log)) return broken;
    set_fault();
    const uint64_t steps = rng_.below(kStepsMax);
    for (uint64_t i = 0; i < steps; ++i) step(**log);
    // A process that is killed does not close its log; one that ends does.
    if (rng_.below(4) != 0) files_.fail_at(files_.fault_points(), SimFault::PowerLoss);
    return {};
  }

  void set_fault() {
    const auto kind = rng_.below(5);
    const uint64_t at = files_.fault_points() + rng_.below(60);
    if (kind == 0) files_.fail_at(at, SimFault::Io);
    if (kind == 1) files_.fail_at(at, SimFault::NoSpace);
    if (kind == 2) files_.fail_at(at, SimFault::PowerLoss);
    if (kind == 3) files_.set_capacity(rng_.below(64) * 1024);
  }

  void step(EmbeddedLog& log) {
    const uint64_t kind = rng_.below(20);
    if (kind < 12) {
      OwnedBatch batch = source_.next();
      const Result<LogPosition> position = log.append(batch.view());
      if (!position) return;
      REQUIRE(*position == history_.size());
      history_.push_back(std::move(batch));
    } else if (kind < 17 && !history_.empty()) {
      const LogPosition position = history_.size() - 1 - rng_.below(2) % history_.size();
      if (log.wait_durable(position)) acked_ = std::max(acked_, position + 1);
    } else if (kind == 17 && acked_ > 0) {
      truncated_ = std::max(truncated_, rng_.below(acked_));
      (void)log.truncate_before(truncated_).has_value();
    } else if (kind == 18) {
      clock_.advance_ms(2000);
      files_.set_capacity(UINT64_MAX);
    }
  }

  std::optional<std::string> check(const OpenResult& log) {
    if (!log) return "open: " + log.error().message;
    const LogPosition low = (*log)->low();
    if (low > truncated_) return fmt::format("begins at {}, kept from {}", low, truncated_);
    auto replayed = storage::testing::replay_all(**log, low);
    if (!replayed) return "replay: " + replayed.error().message;
    const LogPosition end = low + replayed->size();
    if (end != (*log)->high()) return fmt::format("high {} != {}", (*log)->high(), end);
    if (end < acked_) return fmt::format("{} acknowledged, {} replayed", acked_, end);
    if (end > history_.size()) return fmt::format("{} appended, {} replayed", history_.size(), end);
    for (size_t i = 0; i < replayed->size(); ++i) {
      auto& [position, batch] = (*replayed)[i];
      if (position != low + i) return fmt::format("record {} at {}", position, low + i);
      if (!same(batch, history_[position])) return fmt::format("record {} differs", position);
    }
    replayed_count_ += replayed->size();
    lost_count_ += history_.size() - end;
    history_.resize(end);
    acked_ = end;  // every open makes durable what it found
    return {};
  }

  // Labels of series that a truncated or lost record introduced are not in the log.
  static bool same(OwnedBatch& replayed, const OwnedBatch& appended) {
    if (replayed.series.size() != appended.series.size()) return false;
    for (size_t i = 0; i < replayed.series.size(); ++i) {
      OwnedBatch::Series& one = replayed.series[i];
      if (one.id != appended.series[i].id || one.is_new != appended.series[i].is_new) return false;
      if (one.labels.empty() && !one.is_new) one.labels = appended.series[i].labels;
    }
    return same_content(replayed, appended);
  }

  SeededRng rng_;
  SeededRng log_rng_;
  storage::testing::BatchSource source_;
  core::testing::FakeClock clock_;
  SimFileSystem files_;
  EmbeddedLogOptions options_;
  std::vector<OwnedBatch> history_;  // by position
  LogPosition acked_ = 0;            // records before it were acknowledged
  LogPosition truncated_ = 0;
  uint64_t replayed_count_ = 0;
  uint64_t lost_count_ = 0;
};

TEST_CASE("what was acknowledged survives 8,000 crashes, as a prefix of what was appended") {
  const QuietLog quiet;
  uint64_t replayed = 0;
  uint64_t lost = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed, {});
    const std::optional<std::string> broken = simulation.run();
    if (broken) FAIL(*broken);
    replayed += simulation.replayed_count();
    lost += simulation.lost_count();
  }
  // The crashes did hurt: unacknowledged records were lost, and others were not.
  CHECK(replayed > 10'000);
  CHECK(lost > 1'000);
}

// Threads share rounds of group commit; a fault ends all of them, and nobody waits for ever.
TEST_CASE("threads that share a sync are all told the truth when it fails") {
  const QuietLog quiet;
  constexpr size_t kThreads = 4;
  constexpr int kBatches = 30;
  int seeds_with_refusals = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    SeededRng rng(seed);
    SimFileSystem files({.seed = seed});
    core::testing::FakeClock clock;
    EmbeddedLogOptions options{.dir = "log", .segment_bytes = 2048, .pending_bytes_max = 256};
    auto log = EmbeddedLog::open(options, files, clock, rng);
    REQUIRE(log);
    const uint64_t kind = rng.below(3);
    files.fail_at(files.fault_points() + rng.below(80), kind == 0   ? SimFault::Io
                                                        : kind == 1 ? SimFault::NoSpace
                                                                    : SimFault::PowerLoss);
    std::vector<std::vector<std::pair<LogPosition, int>>> acknowledged(kThreads);
    std::vector<int> refused(kThreads);
    {
      std::vector<std::jthread> threads;
      for (size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          for (int i = 0; i < kBatches; ++i) {
            OwnedBatch batch;
            batch.tenant = std::to_string(t);
            batch.accepted_at_ms = i;
            batch.metadata.push_back({.metric = "m", .type = {}, .unit = {}, .help = {}});
            const auto position = (*log)->append(batch.view());
            if (position && (*log)->wait_durable(*position)) {
              acknowledged[t].emplace_back(*position, i);
            } else {
              ++refused[t];
            }
          }
        });
      }
    }
    files.crash();
    log->reset();
    auto reopened = EmbeddedLog::open(options, files, clock, rng);
    if (!reopened) FAIL(reopened.error().message);
    const auto replayed = storage::testing::replay_all(**reopened);
    if (!replayed) FAIL(replayed.error().message);
    bool any_refused = false;
    for (size_t t = 0; t < kThreads; ++t) {
      any_refused = any_refused || refused[t] > 0;
      for (const auto& [position, number] : acknowledged[t]) {
        REQUIRE(position < replayed->size());
        CHECK((*replayed)[position].second.tenant == std::to_string(t));
        CHECK((*replayed)[position].second.accepted_at_ms == number);
      }
    }
    if (any_refused) ++seeds_with_refusals;
  }
  CHECK(seeds_with_refusals > 30);
}

void check_that_seeds_fail_with(const Breakage& breakage) {
  const QuietLog quiet;
  int failed = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    if (Simulation(seed, breakage).run()) ++failed;
  }
  CAPTURE(failed);
  CHECK(failed > 0);
}

TEST_CASE("the crash test fails on a disk that ignores syncs of files") {
  check_that_seeds_fail_with({.ignore_sync = true});
}

TEST_CASE("the crash test fails on a disk that ignores syncs of folders") {
  check_that_seeds_fail_with({.ignore_sync_dir = true});
}

TEST_CASE("the crash test fails when checksums are not checked") {
  check_that_seeds_fail_with({.skip_checksums = true});
}

}  // namespace
}  // namespace tsdb
