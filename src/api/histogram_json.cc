// Native histograms as the API shows them: the buckets that hold something, each with
// its bounds, from the most negative to the most positive (util/jsonutil and
// model/histogram of Prometheus).

#include "api/answer.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

namespace api {

namespace {

using model::Histogram;

// Which bounds belong to a bucket: the first element of its JSON form.
constexpr char kUpperIncluded = '0';
constexpr char kLowerIncluded = '1';
constexpr char kNeitherIncluded = '2';
constexpr char kBothIncluded = '3';

char boundary_rule(bool lower_included, bool upper_included) {
  if (lower_included) return upper_included ? kBothIncluded : kLowerIncluded;
  return upper_included ? kUpperIncluded : kNeitherIncluded;
}

// The upper bound of exponential bucket `index`: 2^(index / 2^schema).
double exponential_bound(int32_t index, int32_t schema) {
  // The bucket before the one for infinities ends at the largest finite number.
  if (schema < 0) {
    const int64_t wide = std::clamp<int64_t>(index * (int64_t{1} << -schema), -4096, 4096);
    const int exponent = static_cast<int>(wide);  // the clamp is far beyond any double
    return exponent == DBL_MAX_EXP ? DBL_MAX : std::ldexp(1, exponent);
  }
  const int32_t per_power = 1 << schema;
  const int32_t fraction = index & (per_power - 1);
  const int exponent = (index >> schema) + 1;
  if (fraction == 0 && exponent == DBL_MAX_EXP + 1) return DBL_MAX;
  return std::ldexp(0.5 * std::exp2(static_cast<double>(fraction) / per_power), exponent);
}

double custom_bound(int32_t index, const std::vector<double>& bounds) {
  if (index < 0) return -std::numeric_limits<double>::infinity();
  if (static_cast<size_t>(index) >= bounds.size()) return std::numeric_limits<double>::infinity();
  return bounds[static_cast<size_t>(index)];
}

double bound_of(const Histogram& histogram, int32_t index) {
  return histogram.schema == model::kCustomBucketsSchema
             ? custom_bound(index, histogram.custom_bounds)
             : exponential_bound(index, histogram.schema);
}

struct IndexedCount {
  int32_t index = 0;
  double count = 0;
};

std::vector<IndexedCount> expand(const std::vector<model::BucketSpan>& spans,
                                 const std::vector<double>& counts) {
  std::vector<IndexedCount> buckets;
  buckets.reserve(counts.size());
  int32_t index = 0;
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && buckets.size() < counts.size(); ++i) {
      buckets.push_back({.index = index++, .count = counts[buckets.size()]});
    }
  }
  return buckets;
}

class BucketWriter {
 public:
  explicit BucketWriter(std::string& out) : out_(out) {}

  void add(char rule, double lower, double upper, double count) {
    if (count == 0) return;
    out_ += is_first_ ? ",\"buckets\":[[" : ",[";
    is_first_ = false;
    out_ += rule;
    for (const double number : {lower, upper, count}) {
      out_ += ",\"";
      append_sample_value(out_, number);
      out_ += '"';
    }
    out_ += ']';
  }
  void finish() {
    if (!is_first_) out_ += ']';
  }

 private:
  std::string& out_;
  bool is_first_ = true;
};

}  // namespace

void append_histogram(std::string& out, const Histogram& histogram) {
  out += "{\"count\":\"";
  append_sample_value(out, histogram.count);
  out += "\",\"sum\":\"";
  append_sample_value(out, histogram.sum);
  out += '"';

  BucketWriter buckets(out);
  const bool is_custom = histogram.schema == model::kCustomBucketsSchema;
  const double zero = histogram.zero_threshold;
  const auto negative = expand(histogram.negative_spans, histogram.negative_counts);
  for (auto bucket = negative.rbegin(); bucket != negative.rend(); ++bucket) {
    const double lower = -bound_of(histogram, bucket->index);
    double upper = -bound_of(histogram, bucket->index - 1);
    if (upper < 0 && upper > -zero) upper = -zero;  // the zero bucket reaches into it
    buckets.add(boundary_rule(lower < 0, upper > 0), lower, upper, bucket->count);
  }
  // As in Prometheus, also NaN and what arithmetic made negative do not show.
  if (!is_custom && histogram.zero_count > 0) {
    buckets.add(kBothIncluded, -zero, zero, histogram.zero_count);
  }
  for (const IndexedCount& bucket : expand(histogram.positive_spans, histogram.positive_counts)) {
    double lower = bound_of(histogram, bucket.index - 1);
    const double upper = bound_of(histogram, bucket.index);
    if (!is_custom && lower > 0 && lower < zero) lower = zero;
    const char rule =
        is_custom ? boundary_rule(bucket.index == 0, true) : boundary_rule(lower < 0, upper > 0);
    buckets.add(rule, lower, upper, bucket.count);
  }
  buckets.finish();
  out += '}';
}

}  // namespace api
