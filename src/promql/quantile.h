// Quantiles of values, of classic histograms' buckets and of native histograms.

#pragma once

#include "model/histogram.h"

#include <vector>

namespace promql {

// NaN of nothing, -Inf below 0, +Inf above 1. Sorts `values`, NaN first.
double quantile(double q, std::vector<double>& values);

struct ClassicBucket {
  double upper_bound;
  double count;  // cumulative
};

struct ClassicQuantile {
  double value;
  bool forced_monotonic;  // counts fell from one bucket to the next and were raised
};
// Sorts and repairs `buckets`.
ClassicQuantile classic_quantile(double q, std::vector<ClassicBucket>& buckets);
// The share of observations between two values.
double classic_fraction(double lower, double upper, std::vector<ClassicBucket>& buckets);

double native_quantile(double q, const model::Histogram& histogram);
double native_fraction(double lower, double upper, const model::Histogram& histogram);
// Of the observations, each taken to lie at its bucket's (geometric) middle.
double native_variance(const model::Histogram& histogram);

}  // namespace promql
