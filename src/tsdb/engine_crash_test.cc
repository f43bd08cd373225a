// The engine on a disk that loses power, fills up and fails.
//
// Each seed lives several lives: appends, repeats, late samples, clock jumps, flushes,
// a fault, a crash. After every one: acknowledged <= readable <= sent, by exact value.

#include "core/log.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"

#include <bit>
#include <cstdlib>
#include <doctest/doctest.h>
#include <map>
#include <optional>
#include <set>

namespace tsdb {
namespace {

using core::testing::SimFault;
using core::testing::SimFileSystem;

constexpr int64_t kMinute = 60'000;
constexpr int kLives = 5;
constexpr uint64_t kSeriesCount = 12;

struct QuietLog {
  QuietLog() { core::set_log_level(static_cast<core::LogLevel>(99)); }
  ~QuietLog() { core::set_log_level(core::LogLevel::Info); }
};

struct Breakage {
  bool ignore_sync = false;
  bool ignore_sync_dir = false;
};

struct Totals {
  uint64_t acked = 0;
  uint64_t blocks = 0;
  uint64_t refused_lives = 0;  // the engine did not open under a fault
};

class Simulation {
 public:
  Simulation(uint64_t seed, Breakage breakage)
      : rng_(seed),
        engine_rng_(seed + 1),
        files_({.seed = seed + 2,
                .ignore_sync = breakage.ignore_sync,
                .ignore_sync_dir = breakage.ignore_sync_dir}) {
    options_.data_dir = "data";
    options_.retention_ms = 0;
    log_options_.dir = "data/wal";
    log_options_.segment_bytes = 1024 << rng_.below(4);
  }

  std::optional<std::string> run() {
    for (int life = 0; life < kLives; ++life) {
      if (std::optional<std::string> broken = live()) {
        return fmt::format("life {}: {}", life, *broken);
      }
      rng_.below(3) == 0 ? files_.kill() : files_.crash();
      files_.clear_fault();
      files_.set_capacity(UINT64_MAX);
    }
    std::optional<std::string> broken = open();
    if (!broken) broken = check();
    return broken;
  }
  const Totals& totals() const { return totals_; }

 private:
  using Key = std::pair<std::string, int64_t>;  // label bytes, time

  // An answer only when it must not fail.
  std::optional<std::string> open() {
    engine_.reset();
    log_.reset();
    auto log = EmbeddedLog::open(log_options_, files_, clock_, engine_rng_);
    if (!log) return "open the log: " + log.error().message;
    log_ = std::move(*log);
    auto engine = Engine::open(options_, {files_, clock_, engine_rng_, *log_});
    if (!engine) return "open: " + engine.error().message;
    engine_ = std::move(*engine);
    if (engine_->progress().dropped_samples != 0) return "samples of unknown series";
    return std::nullopt;
  }

  std::optional<std::string> live() {
    const bool early_fault = rng_.below(4) == 0;
    if (early_fault) set_fault(10);
    if (std::optional<std::string> broken = open()) {
      if (!early_fault) return broken;
      ++totals_.refused_lives;
      engine_.reset();
      log_.reset();
      return std::nullopt;
    }
    if (!early_fault) {
      if (std::optional<std::string> broken = check()) return broken;
      set_fault(150);
    }
    const uint64_t steps = 10 + rng_.below(60);
    for (uint64_t i = 0; i < steps; ++i) {
      if (std::optional<std::string> broken = step()) return broken;
    }
    if (rng_.below(4) != 0) files_.fail_at(files_.fault_points(), SimFault::PowerLoss);
    engine_.reset();
    log_.reset();
    return std::nullopt;
  }

  void set_fault(uint64_t within) {
    const uint64_t at = files_.fault_points() + rng_.below(within);
    switch (rng_.below(5)) {
      case 0:
        files_.fail_at(at, SimFault::Io);
        break;
      case 1:
        files_.fail_at(at, SimFault::NoSpace);
        break;
      case 2:
        files_.fail_at(at, SimFault::PowerLoss);
        break;
      case 3:
        files_.set_capacity(16'384 + rng_.below(64) * 1024);
        break;
      default:
        break;
    }
  }

  std::optional<std::string> step() {
    const uint64_t kind = rng_.below(40);
    if (kind < 30) {
      append();
    } else if (kind < 36) {
      if (const auto report = engine_->maintain()) totals_.blocks += report->blocks_written;
    } else if (kind == 36) {
      return check(true);
    } else if (kind == 37) {
      const int64_t jump = (static_cast<int64_t>(rng_.below(600)) - 300) * kMinute;
      clock_.jump_to_ms(clock_.now_ms() + jump);
    } else if (kind == 38) {
      files_.set_capacity(UINT64_MAX);
    } else {  // a sample of the future, which only the log keeps
      const int64_t present = clock_.now_ms();
      clock_.jump_to_ms(present + 100'000 * kMinute);
      append();
      clock_.jump_to_ms(present);
    }
    clock_.advance_ms(static_cast<int64_t>(rng_.below(20)) * kMinute);
    return std::nullopt;
  }

  void append() {
    storage::WriteBatch batch;
    batch.tenant = rng_.below(5) == 0 ? "other" : "default";
    std::vector<std::pair<Key, double>> sent;
    const uint64_t count = 1 + rng_.below(6);
    for (uint64_t i = 0; i < count; ++i) {
      const auto labels = model::Labels::of({{"__name__", "m"},
                                             {"tenant", batch.tenant},
                                             {"s", fmt::format("{}", rng_.below(kSeriesCount))}});
      int64_t time = clock_.now_ms() - static_cast<int64_t>(rng_.below(3)) * kMinute;
      if (rng_.below(4) == 0) time -= static_cast<int64_t>(rng_.below(90)) * kMinute;
      double value = static_cast<double>(rng_.below(1000)) / 10;
      // What a sender does whose request failed: the same again.
      if (!sent_.empty() && rng_.below(5) == 0) {
        const auto& [key, values] =
            *std::next(sent_.begin(), static_cast<ptrdiff_t>(rng_.below(sent_.size())));
        if (model::LabelsView(key.first).get("tenant") == batch.tenant) {
          batch.begin_series(batch.keep(key.first));
          batch.add_sample(key.second, std::bit_cast<double>(*values.begin()));
          sent.emplace_back(key, std::bit_cast<double>(*values.begin()));
          continue;
        }
      }
      batch.begin_series(batch.keep(labels.bytes()));
      batch.add_sample(time, value);
      sent.emplace_back(Key{labels.bytes(), time}, value);
    }
    for (const auto& [key, value] : sent) sent_[key].insert(std::bit_cast<uint64_t>(value));
    const auto summary = engine_->append(batch);
    // A batch with refusals says nothing about its single samples.
    if (!summary || summary->refused_total() != 0) return;
    for (const auto& [key, value] : sent) {
      acked_[key] = std::bit_cast<uint64_t>(value);
      ++totals_.acked;
    }
  }

  std::optional<std::string> check(bool may_fail = false) {
    std::map<Key, uint64_t> readable;
    for (const char* tenant : {"default", "other"}) {
      storage::SelectRequest request;
      request.tenant = tenant;
      request.range = {-(int64_t{1} << 60), int64_t{1} << 60};
      auto set = engine_->select(request);
      if (!set) return "select: " + set.error().message;
      storage::SeriesBatch batch;
      while (*(*set)->next(batch)) {
        for (size_t i = 0; i < batch.size(); ++i) {
          if (batch.labels[i].get("tenant") != tenant) return "another tenant's series";
          for (size_t j = 0; j < batch.timestamps_of(i).size(); ++j) {
            const Key key{batch.labels[i].bytes(), batch.timestamps_of(i)[j]};
            if (!readable.emplace(key, std::bit_cast<uint64_t>(batch.values_of(i)[j])).second) {
              return fmt::format("twice: {} at {}", batch.labels[i].to_string(), key.second);
            }
          }
        }
      }
      // A disk without power cannot be read either; the reader is told.
      if (may_fail && !(*set)->warnings().empty()) return std::nullopt;
      if (!(*set)->warnings().empty()) return "warning: " + (*set)->warnings().front();
    }
    for (const auto& [key, bits] : readable) {
      const auto sent = sent_.find(key);
      if (sent == sent_.end() || !sent->second.contains(bits)) {
        return fmt::format("never sent: {} at {}", model::LabelsView(key.first).to_string(),
                           key.second);
      }
    }
    for (const auto& [key, bits] : acked_) {
      const auto found = readable.find(key);
      // Of two values for one time the first stays, also when the head had forgotten it.
      const bool is_certain = sent_.at(key).size() == 1;
      if (found == readable.end() || (found->second != bits && is_certain)) {
        return fmt::format("{}: {} at {}", found == readable.end() ? "lost" : "changed",
                           model::LabelsView(key.first).to_string(), key.second);
      }
    }
    return std::nullopt;
  }

  core::SeededRng rng_;
  core::SeededRng engine_rng_;
  core::testing::FakeClock clock_;
  SimFileSystem files_;
  EngineOptions options_;
  EmbeddedLogOptions log_options_;
  std::unique_ptr<EmbeddedLog> log_;
  std::unique_ptr<Engine> engine_;
  std::map<Key, std::set<uint64_t>> sent_;
  std::map<Key, uint64_t> acked_;
  Totals totals_;
};

}  // namespace

TEST_CASE("acknowledged samples are readable after every crash, and nothing that was not sent") {
  const QuietLog quiet;
  Totals totals;
  // More for a long run: PETREL_CRASH_SEEDS=20000.
  const char* const asked = std::getenv("PETREL_CRASH_SEEDS");
  const uint64_t seeds = asked == nullptr ? 150 : std::strtoull(asked, nullptr, 10);
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed, {});
    const std::optional<std::string> broken = simulation.run();
    if (broken) FAIL(*broken);
    totals.acked += simulation.totals().acked;
    totals.blocks += simulation.totals().blocks;
    totals.refused_lives += simulation.totals().refused_lives;
  }
  // The test is worth something only when all of it happens.
  CHECK(totals.acked > 50 * seeds);
  CHECK(totals.blocks > 2 * seeds);
  CHECK(totals.refused_lives > seeds / 20);
}

TEST_CASE("the simulation notices a disk that does not sync, and one that forgets names") {
  const QuietLog quiet;
  for (const Breakage breakage :
       {Breakage{.ignore_sync = true}, Breakage{.ignore_sync_dir = true}}) {
    int noticed = 0;
    for (uint64_t seed = 0; seed < 30; ++seed) {
      Simulation simulation(seed, breakage);
      if (simulation.run()) ++noticed;
    }
    CHECK(noticed > 0);
  }
}

}  // namespace tsdb
