// io.prometheus.client.MetricFamily
// (https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto),
// read straight off the wire. Structs are reused from one metric to the next, so that a
// scrape of known shape allocates nothing.

#pragma once

#include "ingest/histogram_decoder.h"
#include "model/sample.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace ingest {

enum class FamilyType : uint8_t {
  Counter,
  Gauge,
  Summary,
  Untyped,
  Histogram,
  GaugeHistogram,
};
inline constexpr uint64_t kFamilyTypes = 6;

struct FamilyHeader {
  std::string_view name;
  std::string_view help;
  std::string_view unit;
  uint64_t type = 0;                      // of FamilyType, when it is below kFamilyTypes
  std::vector<std::string_view> metrics;  // messages Metric
};

struct FamilyQuantile {
  double quantile = 0;
  double value = 0;
};

struct FamilyBucket {
  double upper_bound = 0;
  double count = 0;           // cumulative
  std::string_view exemplar;  // message; null data: none
};

// Summary and Histogram, both their classic and their native side.
struct FamilyDistribution {
  uint64_t count = 0;
  double count_float = 0;  // overrides count when it is not 0
  double sum = 0;
  std::vector<FamilyQuantile> quantiles;
  std::vector<FamilyBucket> buckets;

  int32_t schema = 0;
  double zero_threshold = 0;
  uint64_t zero_count = 0;
  double zero_count_float = 0;
  std::vector<model::BucketSpan> positive_spans;
  std::vector<model::BucketSpan> negative_spans;
  std::vector<int64_t> positive_deltas;
  std::vector<int64_t> negative_deltas;
  std::vector<double> positive_counts;
  std::vector<double> negative_counts;
  std::vector<std::string_view> exemplars;  // messages
};

struct FamilyMetric {
  std::string_view label_bytes;      // the first to the last label field
  std::vector<model::Label> labels;  // as sent
  double value = 0;                  // counter, gauge, untyped
  std::string_view exemplar;         // of a counter; null data: none
  FamilyDistribution distribution;
  int64_t timestamp_ms = 0;  // 0: none
  int64_t created_ms = 0;    // 0: none
};

// False with the place in `fault` when the bytes are malformed.
bool read_family(std::string_view bytes, FamilyHeader& family, WireFault& fault);
bool read_metric(std::string_view bytes, FamilyMetric& metric, WireFault& fault);
struct FamilyExemplar {
  model::Exemplar exemplar;
  bool has_timestamp = false;
  bool is_valid = true;  // its labels have names and are UTF-8
};
bool read_exemplar(std::string_view bytes, FamilyExemplar& exemplar, WireFault& fault);

}  // namespace ingest
