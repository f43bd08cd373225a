// Native histograms: exponential buckets (schemas -4..8) and custom buckets (schema
// -53), as in prometheus/model/histogram. Counts are kept as float64 also for integer
// histograms; integer counts below 2^53 are exact.

#pragma once

#include <cstdint>
#include <vector>

namespace model {

inline constexpr int32_t kCustomBucketsSchema = -53;

// `length` buckets that start `offset` buckets after the end of the span before; the
// first span's offset is its absolute index.
struct BucketSpan {
  int32_t offset = 0;
  uint32_t length = 0;

  bool operator==(const BucketSpan&) const = default;
};

enum class CounterResetHint : uint8_t { Unknown, Reset, NotReset, Gauge };

struct Histogram {
  int32_t schema = 0;
  CounterResetHint reset_hint = CounterResetHint::Unknown;
  bool integer_counts = false;  // how the sender encoded them
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;  // the stale NaN marks a stale histogram
  std::vector<BucketSpan> positive_spans;
  std::vector<BucketSpan> negative_spans;
  std::vector<double> positive_counts;  // absolute, one per bucket of the spans
  std::vector<double> negative_counts;
  std::vector<double> custom_bounds;  // upper bounds, only with kCustomBucketsSchema

  bool operator==(const Histogram&) const = default;
};

}  // namespace model
