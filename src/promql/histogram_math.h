// Arithmetic on native histograms, as prometheus/model/histogram/float_histogram.go
// defines it. Buckets are worked on as (index, count) lists and written back without
// empty ones, which is the canonical form of every result.

#pragma once

#include "model/histogram.h"

#include <cstdint>
#include <string>
#include <vector>

namespace promql {

enum class HistogramProblem : uint8_t {
  None,
  MixedSchemas,        // exponential with custom buckets
  IncompatibleBounds,  // custom buckets with other bounds
};

inline bool has_custom_buckets(const model::Histogram& histogram) {
  return histogram.schema == model::kCustomBucketsSchema;
}

// `into` += `other`, or -= it. Resolution falls to the coarser of the two, the zero
// bucket grows to the wider. `into` is unspecified after a problem.
[[nodiscard]] HistogramProblem add(model::Histogram& into, const model::Histogram& other);
[[nodiscard]] HistogramProblem subtract(model::Histogram& into, const model::Histogram& other);
void multiply(model::Histogram& histogram, double factor);
void divide(model::Histogram& histogram, double divisor);
void reduce_schema(model::Histogram& histogram, int32_t schema);
void compact(model::Histogram& histogram);

// The same observations, whatever the layout of spans.
bool equal(const model::Histogram& a, const model::Histogram& b);
// Whether a counter was reset between the two.
bool is_reset(const model::Histogram& now, const model::Histogram& before);

struct HistogramBucket {
  double lower = 0;
  double upper = 0;
  double count = 0;
  bool lower_inclusive = false;
  bool upper_inclusive = true;
  bool is_zero = false;
};
// From the lowest to the highest, with the zero bucket when its count is above 0.
std::vector<HistogramBucket> buckets_of(const model::Histogram& histogram);

// {count:3, sum:5, (0.5,1]:1, (1,2]:2}
std::string to_string(const model::Histogram& histogram);

}  // namespace promql
