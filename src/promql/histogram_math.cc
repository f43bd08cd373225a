#include "promql/histogram_math.h"

#include "promql/printer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace promql {

using model::BucketSpan;
using model::Histogram;

namespace {

struct IndexedBucket {
  int32_t index;
  double count;
};
using Buckets = std::vector<IndexedBucket>;

Buckets expand(const std::vector<BucketSpan>& spans, const std::vector<double>& counts) {
  Buckets out;
  out.reserve(counts.size());
  int64_t index = 0;
  size_t at = 0;
  for (const BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && at < counts.size(); ++i) {
      out.push_back({static_cast<int32_t>(index++), counts[at++]});
    }
  }
  return out;
}

void store(const Buckets& buckets, std::vector<BucketSpan>& spans, std::vector<double>& counts) {
  spans.clear();
  counts.clear();
  int32_t next = 0;
  for (const IndexedBucket& bucket : buckets) {
    if (bucket.count == 0) continue;
    if (spans.empty() || bucket.index != next) {
      spans.push_back({bucket.index - next, 0});
    }
    ++spans.back().length;
    counts.push_back(bucket.count);
    next = bucket.index + 1;
  }
}

// Upper bound of an exponential bucket.
double upper_bound(int32_t index, int32_t schema) {
  if (schema < 0) {
    const int64_t exponent = static_cast<int64_t>(index) << -schema;
    if (exponent == 1024) return std::numeric_limits<double>::max();
    return std::ldexp(1.0, static_cast<int>(std::clamp<int64_t>(exponent, -2000, 2000)));
  }
  const int32_t per_power = int32_t{1} << schema;
  const int32_t fraction = index & (per_power - 1);
  const int32_t exponent = (index >> schema) + 1;
  const double mantissa =
      std::exp2(static_cast<double>(fraction) / static_cast<double>(per_power)) / 2;
  if (mantissa == 0.5 && exponent == 1025) return std::numeric_limits<double>::max();
  return std::ldexp(mantissa, exponent);
}

double bucket_upper(const Histogram& histogram, int32_t index) {
  if (!has_custom_buckets(histogram)) return upper_bound(index, histogram.schema);
  const auto& bounds = histogram.custom_bounds;
  if (index < 0) return -std::numeric_limits<double>::infinity();
  return static_cast<size_t>(index) < bounds.size() ? bounds[static_cast<size_t>(index)]
                                                    : std::numeric_limits<double>::infinity();
}

int32_t coarser_index(int32_t index, int32_t from, int32_t to) {
  return ((index - 1) >> (from - to)) + 1;
}

Buckets coarser(const Buckets& buckets, int32_t from, int32_t to) {
  Buckets out;
  for (const IndexedBucket& bucket : buckets) {
    const int32_t index = coarser_index(bucket.index, from, to);
    if (!out.empty() && out.back().index == index) {
      out.back().count += bucket.count;
    } else {
      out.push_back({index, bucket.count});
    }
  }
  return out;
}

struct ZeroBucket {
  double count;
  double threshold;
};

// What the zero bucket holds when it is widened. A threshold inside a populated bucket
// moves up to that bucket's end.
ZeroBucket widened(const Histogram& histogram, double threshold) {
  if (threshold == histogram.zero_threshold) return {histogram.zero_count, threshold};
  const Buckets positive = expand(histogram.positive_spans, histogram.positive_counts);
  const Buckets negative = expand(histogram.negative_spans, histogram.negative_counts);
  while (true) {
    double count = histogram.zero_count;
    bool again = false;
    for (const Buckets* side : {&positive, &negative}) {
      for (const IndexedBucket& bucket : *side) {
        const double lower = bucket_upper(histogram, bucket.index - 1);
        const double upper = bucket_upper(histogram, bucket.index);
        if (lower >= threshold) break;
        count += bucket.count;
        if (upper > threshold && bucket.count != 0) {
          threshold = upper;
          again = side == &negative;
          break;
        }
      }
      if (again) break;
    }
    if (!again) return {count, threshold};
  }
}

void widen_zero_bucket(Histogram& histogram, double threshold) {
  const ZeroBucket zero = widened(histogram, threshold);
  histogram.zero_count = zero.count;
  histogram.zero_threshold = zero.threshold;
  const auto trim = [&](std::vector<BucketSpan>& spans, std::vector<double>& counts) {
    Buckets buckets = expand(spans, counts);
    std::erase_if(buckets, [&](const IndexedBucket& bucket) {
      return std::fabs(bucket_upper(histogram, bucket.index - 1)) < zero.threshold;
    });
    store(buckets, spans, counts);
  };
  trim(histogram.positive_spans, histogram.positive_counts);
  trim(histogram.negative_spans, histogram.negative_counts);
}

Buckets sum(const Buckets& a, const Buckets& b, double sign) {
  Buckets out;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a[i].index < b[j].index)) {
      out.push_back(a[i++]);
    } else if (i == a.size() || b[j].index < a[i].index) {
      out.push_back({b[j].index, sign * b[j].count});
      ++j;
    } else {
      out.push_back({a[i].index, a[i].count + sign * b[j].count});
      ++i;
      ++j;
    }
  }
  return out;
}

HistogramProblem combine(Histogram& into, const Histogram& given, double sign) {
  if (has_custom_buckets(into) != has_custom_buckets(given)) return HistogramProblem::MixedSchemas;
  if (has_custom_buckets(into) && into.custom_bounds != given.custom_bounds) {
    return HistogramProblem::IncompatibleBounds;
  }
  Histogram other = given;
  if (into.reset_hint != model::CounterResetHint::Gauge &&
      other.reset_hint == model::CounterResetHint::Gauge) {
    into.reset_hint = model::CounterResetHint::Gauge;
  } else if (into.reset_hint != other.reset_hint &&
             into.reset_hint != model::CounterResetHint::Gauge) {
    into.reset_hint = model::CounterResetHint::Unknown;
  }
  if (!has_custom_buckets(into)) {
    while (into.zero_threshold != other.zero_threshold) {
      if (other.zero_threshold > into.zero_threshold) widen_zero_bucket(into, other.zero_threshold);
      if (other.zero_threshold < into.zero_threshold) widen_zero_bucket(other, into.zero_threshold);
    }
    const int32_t schema = std::min(into.schema, other.schema);
    reduce_schema(into, schema);
    reduce_schema(other, schema);
  }
  into.zero_count += sign * other.zero_count;
  into.count += sign * other.count;
  into.sum += sign * other.sum;
  into.integer_counts = false;
  store(sum(expand(into.positive_spans, into.positive_counts),
            expand(other.positive_spans, other.positive_counts), sign),
        into.positive_spans, into.positive_counts);
  store(sum(expand(into.negative_spans, into.negative_counts),
            expand(other.negative_spans, other.negative_counts), sign),
        into.negative_spans, into.negative_counts);
  return HistogramProblem::None;
}

template <typename Change>
void each_count(Histogram& histogram, const Change& change) {
  change(histogram.zero_count);
  change(histogram.count);
  change(histogram.sum);
  for (double& count : histogram.positive_counts) change(count);
  for (double& count : histogram.negative_counts) change(count);
}

bool same_float(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

bool same_buckets(const Buckets& a, const Buckets& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.index == y.index && same_float(x.count, y.count);
         });
}

Buckets populated(const std::vector<BucketSpan>& spans, const std::vector<double>& counts) {
  Buckets buckets = expand(spans, counts);
  std::erase_if(buckets, [](const IndexedBucket& bucket) { return bucket.count == 0; });
  return buckets;
}

// Some bucket of `before` holds more than that of `now`.
bool has_shrunk(const Buckets& now, const Buckets& before) {
  size_t i = 0;
  for (const IndexedBucket& bucket : before) {
    while (i < now.size() && now[i].index < bucket.index) ++i;
    const double count = i < now.size() && now[i].index == bucket.index ? now[i].count : 0;
    if (count < bucket.count) return true;
  }
  return false;
}

}  // namespace

HistogramProblem add(Histogram& into, const Histogram& other) {
  return combine(into, other, 1);
}

HistogramProblem subtract(Histogram& into, const Histogram& other) {
  return combine(into, other, -1);
}

void multiply(Histogram& histogram, double factor) {
  each_count(histogram, [factor](double& count) { count *= factor; });
  histogram.integer_counts = false;
  if (factor < 0) histogram.reset_hint = model::CounterResetHint::Gauge;
  compact(histogram);
}

void divide(Histogram& histogram, double divisor) {
  each_count(histogram, [divisor](double& count) { count /= divisor; });
  histogram.integer_counts = false;
  if (divisor < 0) histogram.reset_hint = model::CounterResetHint::Gauge;
  // Division by zero leaves nothing that could be placed in a bucket.
  if (divisor == 0) {
    histogram.positive_spans.clear();
    histogram.negative_spans.clear();
    histogram.positive_counts.clear();
    histogram.negative_counts.clear();
  }
  compact(histogram);
}

void reduce_schema(Histogram& histogram, int32_t schema) {
  if (has_custom_buckets(histogram) || histogram.schema <= schema) return;
  const auto reduce = [&](std::vector<BucketSpan>& spans, std::vector<double>& counts) {
    store(coarser(expand(spans, counts), histogram.schema, schema), spans, counts);
  };
  reduce(histogram.positive_spans, histogram.positive_counts);
  reduce(histogram.negative_spans, histogram.negative_counts);
  histogram.schema = schema;
}

void compact(Histogram& histogram) {
  store(expand(histogram.positive_spans, histogram.positive_counts), histogram.positive_spans,
        histogram.positive_counts);
  store(expand(histogram.negative_spans, histogram.negative_counts), histogram.negative_spans,
        histogram.negative_counts);
}

bool equal(const Histogram& a, const Histogram& b) {
  if (a.schema != b.schema || !same_float(a.count, b.count) || !same_float(a.sum, b.sum)) {
    return false;
  }
  if (has_custom_buckets(a) && a.custom_bounds != b.custom_bounds) return false;
  if (a.zero_threshold != b.zero_threshold || !same_float(a.zero_count, b.zero_count)) return false;
  return same_buckets(populated(a.positive_spans, a.positive_counts),
                      populated(b.positive_spans, b.positive_counts)) &&
         same_buckets(populated(a.negative_spans, a.negative_counts),
                      populated(b.negative_spans, b.negative_counts));
}

bool is_reset(const Histogram& now, const Histogram& before) {
  if (now.reset_hint == model::CounterResetHint::Reset) return true;
  if (now.reset_hint == model::CounterResetHint::NotReset) return false;
  if (now.count < before.count) return true;
  if (has_custom_buckets(now) != has_custom_buckets(before)) return true;
  if (has_custom_buckets(now) && now.custom_bounds != before.custom_bounds) return true;
  if (now.schema > before.schema) return true;
  if (now.zero_threshold < before.zero_threshold) return true;
  Histogram widened_before = before;
  if (!has_custom_buckets(now)) {
    const ZeroBucket zero = widened(before, now.zero_threshold);
    if (zero.threshold != now.zero_threshold) return true;
    if (now.zero_count < zero.count) return true;
    if (before.zero_threshold != now.zero_threshold) {
      widen_zero_bucket(widened_before, now.zero_threshold);
    }
    reduce_schema(widened_before, now.schema);
  }
  return has_shrunk(populated(now.positive_spans, now.positive_counts),
                    populated(widened_before.positive_spans, widened_before.positive_counts)) ||
         has_shrunk(populated(now.negative_spans, now.negative_counts),
                    populated(widened_before.negative_spans, widened_before.negative_counts));
}

std::vector<HistogramBucket> buckets_of(const Histogram& histogram) {
  std::vector<HistogramBucket> out;
  const Buckets negative = expand(histogram.negative_spans, histogram.negative_counts);
  for (auto bucket = negative.rbegin(); bucket != negative.rend(); ++bucket) {
    out.push_back({-bucket_upper(histogram, bucket->index),
                   -bucket_upper(histogram, bucket->index - 1), bucket->count, true, false, false});
  }
  if (histogram.zero_count > 0) {
    out.push_back({-histogram.zero_threshold, histogram.zero_threshold, histogram.zero_count, true,
                   true, true});
  }
  for (const IndexedBucket& bucket : expand(histogram.positive_spans, histogram.positive_counts)) {
    out.push_back({bucket_upper(histogram, bucket.index - 1), bucket_upper(histogram, bucket.index),
                   bucket.count, false, true, false});
  }
  return out;
}

std::string to_string(const Histogram& histogram) {
  std::string out =
      "{count:" + format_number(histogram.count) + ", sum:" + format_number(histogram.sum);
  // Here a zero bucket shows with any count but 0, also one that arithmetic made negative.
  Histogram shown = histogram;
  if (shown.zero_count != 0) shown.zero_count = 1;
  for (const HistogramBucket& bucket : buckets_of(shown)) {
    const double count = bucket.is_zero ? histogram.zero_count : bucket.count;
    if (count == 0) continue;
    out += ", ";
    out += bucket.lower_inclusive ? '[' : '(';
    out += format_number(bucket.lower) + ',' + format_number(bucket.upper);
    out += bucket.upper_inclusive ? ']' : ')';
    out += ':' + format_number(count);
  }
  return out + '}';
}

}  // namespace promql
