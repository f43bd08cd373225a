// What every storage::Log has to do, as one suite of doctest cases to be called from a
// log's own test. Random where values matter; the seed is printed on failure.

#pragma once

#include "storage/log.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace storage::testing {

// A batch that owns what LogBatch borrows, with the labels of every series.
struct OwnedBatch {
  struct Series {
    uint64_t id = 0;
    std::string labels;
    bool is_new = false;
    std::vector<model::Sample> samples;
    std::vector<model::HistogramSample> histograms;
    std::vector<model::Exemplar> exemplars;
  };

  std::string tenant;
  int64_t accepted_at_ms = 0;
  std::vector<Series> series;
  std::vector<model::Metadata> metadata;

  // Borrows from this.
  LogBatch view() const;
};

// The same series (by labels), values by bits, metadata. Ids may differ: a self-contained
// log has its own.
bool same_content(const OwnedBatch& a, const OwnedBatch& b);

// Batches as a head would write them: series keep their ids, are new once, and carry
// integers, fractions, NaN payloads, -0, infinities, histograms and exemplars.
class BatchSource {
 public:
  explicit BatchSource(uint64_t seed);
  ~BatchSource();
  OwnedBatch next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Collects a replay, looking up the labels of series that were introduced before.
core::Result<std::vector<std::pair<LogPosition, OwnedBatch>>> replay_all(Log& log,
                                                                         LogPosition from = 0);

// Opens the same log again and again; the one before is destroyed first.
using OpenLog = std::function<std::unique_ptr<Log>()>;

// Runs the suite; `make` gives a fresh, empty log with its own OpenLog each time.
void run_log_suite(const std::function<OpenLog()>& make);

}  // namespace storage::testing
