// A day of monitoring on a simulated clock and disk, into the real engine and into the
// model at once.
//
// Live samples, late ones, repeats, deletions, flushes, merges, restarts and crashes, as
// the seed says. Before and after each step that moves samples the checks run.

#pragma once

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/engine.h"
#include "tsdb/testing/model_compare.h"
#include "tsdb/testing/model_store.h"
#include "tsdb/testing/model_targets.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace tsdb::testing {

struct ModelDayOptions {
  uint64_t seed = 1;
  uint32_t targets = 95;  // of about 21 series each
  int64_t hours = 28;
  int64_t window_ms = 3'600'000;  // for late samples
  int64_t block_range_max_ms = 24LL * 3'600'000;
  uint32_t questions = 20;  // per check
  // Of the simulated machine: how often things happen, one in so many maintenances.
  uint32_t delete_every = 4;
  uint32_t clean_every = 8;
  uint32_t reopen_every = 6;
  uint32_t flush_all_every = 12;
};

struct ModelDayTotals {
  uint64_t samples = 0;  // stored, floats and histograms
  uint64_t late = 0;     // of them: behind their series
  uint64_t refused = 0;  // too old, as they should be
  uint64_t repeats = 0;  // of a time that was there, with the same or another value
  uint64_t flushes = 0;  // that wrote blocks
  uint64_t merges = 0;
  uint64_t deletions = 0;
  uint64_t deleted_samples = 0;
  uint64_t cleanings = 0;
  uint64_t reopens = 0;
  uint64_t crashes = 0;
  uint64_t checks = 0;
  uint64_t questions = 0;
  std::set<std::string> missing;  // operations that the engine does not have yet

  std::string to_string() const;
};

class ModelDay {
 public:
  // Asked at each check besides the questions about stored samples; the first difference.
  using Check = std::function<std::optional<std::string>(const storage::SeriesSource& engine,
                                                         const ModelStore& model,
                                                         const ModelWords& words, core::Rng& rng)>;

  explicit ModelDay(const ModelDayOptions& options);
  ~ModelDay();

  void set_check(Check check) { check_ = std::move(check); }
  // The first difference, with the moment at which it was seen; nothing when all is equal.
  std::optional<std::string> run();
  const ModelDayTotals& totals() const { return totals_; }

 private:
  using Problem = std::optional<std::string>;
  struct Scraped {
    model::TenantId tenant;
    std::vector<ModelSample> samples;
    int64_t due_ms = 0;  // when it is sent
  };
  struct Place {  // of a target
    model::TenantId tenant;
    int64_t interval_ms = 0;
    int64_t offset_ms = 0;
    bool jitters = false;
    int64_t down_until_ms = 0;
  };

  Problem open();
  Problem tick();
  Problem scrape(size_t i);
  // `expected`: nothing when the engine may refuse them.
  Problem send(const model::TenantId& tenant, const std::vector<ModelSample>& samples);
  Problem send_late();
  Problem send_repeat();
  Problem send_too_old();
  Problem maintain();
  Problem flush();
  Problem compact();
  Problem remove();
  Problem clean();
  Problem reopen();
  Problem check(const std::string& moment);
  bool is_missing(const core::Error& error, const std::string& operation);

  const ModelDayOptions options_;
  core::SeededRng rng_;
  core::SeededRng engine_rng_;
  core::testing::FakeClock clock_;
  core::testing::SimFileSystem files_;
  EngineOptions engine_options_;
  std::unique_ptr<storage::Log> log_;
  std::unique_ptr<Engine> engine_;
  ModelStore model_;
  ModelWords words_;
  std::vector<ModelTarget> targets_;
  std::vector<Place> places_;
  std::set<std::tuple<model::TenantId, std::string, int64_t>> contested_;  // with two values
  std::vector<Scraped> withheld_;
  std::vector<std::pair<model::TenantId, ModelSample>> recent_;  // some, for repeats
  int64_t next_maintenance_ms_ = 0;
  std::string did_;  // the last step, for messages
  Check check_;
  ModelDayTotals totals_;
};

}  // namespace tsdb::testing
