// Targets that behave as real ones do: counters that start again, gauges of all kinds,
// classic and native histograms, series that come and go, stale markers.

#pragma once

#include "core/rng.h"
#include "model/sample.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tsdb::testing {

struct ModelSample {
  model::Labels labels;
  int64_t time_ms = 0;
  double value = 0;
  std::optional<model::Histogram> histogram;  // in place of the value
  std::optional<model::Exemplar> exemplar;
};

// Confined to one thread. What it gives depends on the seed and the calls only.
class ModelTarget {
 public:
  ModelTarget(uint32_t number, std::string job, uint64_t seed);

  // What one scrape finds.
  std::vector<ModelSample> scrape(int64_t time_ms);
  // The target is replaced by another one: stale markers of all series.
  std::vector<ModelSample> replace(int64_t time_ms);
  void restart();  // counters begin at zero again

 private:
  struct Buckets {
    int32_t schema = 3;
    std::map<int32_t, double> positive;
    std::map<int32_t, double> negative;
    double zero_count = 0;
    double sum = 0;
  };

  model::Labels labels(const std::string& metric, const std::string& name = "",
                       const std::string& value = "") const;
  void add(std::vector<ModelSample>& to, const model::Labels& labels, int64_t time_ms,
           double value) const;
  void scrape_counters(std::vector<ModelSample>& to, int64_t time_ms);
  void scrape_gauges(std::vector<ModelSample>& to, int64_t time_ms);
  void scrape_classic_histogram(std::vector<ModelSample>& to, int64_t time_ms);
  void scrape_native_histograms(std::vector<ModelSample>& to, int64_t time_ms);
  model::Histogram exponential();
  model::Histogram gauge_histogram();
  model::Histogram custom();

  const uint32_t number_;
  const std::string job_;
  core::SeededRng rng_;
  uint32_t generation_ = 0;
  std::map<std::string, double> state_;
  Buckets buckets_;
  std::vector<double> bounds_;
  std::vector<double> bound_counts_;
  std::vector<ModelSample> last_;
};

// What they are called; for queries.
const std::vector<std::string>& model_metrics();
const std::vector<model::Metadata>& model_metadata();

}  // namespace tsdb::testing
