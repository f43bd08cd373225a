#include "promql/quantile.h"

#include "promql/functions/kahan.h"
#include "promql/histogram_math.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace promql {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
// Differences of neighbouring buckets below this are float noise, not counts.
constexpr double kSmallDelta = 1e-12;

bool nearly_equal(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  constexpr double kSmallestNormal = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || sum < kSmallestNormal) return difference < kSmallDelta * kSmallestNormal;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kSmallDelta;
}

void sort_and_join(std::vector<ClassicBucket>& buckets) {
  std::stable_sort(buckets.begin(), buckets.end(),
                   [](const auto& a, const auto& b) { return a.upper_bound < b.upper_bound; });
}

// Buckets with the same bound count together.
void coalesce(std::vector<ClassicBucket>& buckets) {
  size_t last = 0;
  for (size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper_bound == buckets[last].upper_bound) {
      buckets[last].count += buckets[i].count;
    } else {
      buckets[++last] = buckets[i];
    }
  }
  buckets.resize(last + 1);
}

bool make_monotonic(std::vector<ClassicBucket>& buckets) {
  bool forced = false;
  double before = buckets.front().count;
  for (size_t i = 1; i < buckets.size(); ++i) {
    double& count = buckets[i].count;
    if (count == before) continue;
    if (nearly_equal(before, count)) {
      count = before;
    } else if (count < before) {
      count = before;
      forced = true;
    } else {
      before = count;
    }
  }
  return forced;
}

// A zero bucket with observations on one side only does not reach to the other.
void trim_zero_bucket(const model::Histogram& histogram, HistogramBucket& bucket) {
  const bool positive = !histogram.positive_counts.empty();
  const bool negative = !histogram.negative_counts.empty();
  if (positive && !negative) bucket.lower = 0;
  if (negative && !positive) bucket.upper = 0;
}

double log2_abs(double value) {
  return std::log2(std::fabs(value));
}

}  // namespace

double quantile(double q, std::vector<double>& values) {
  if (values.empty() || std::isnan(q)) return kNan;
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  std::sort(values.begin(), values.end(), [](double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && !std::isnan(b);
    return a < b;
  });
  const auto n = static_cast<double>(values.size());
  const double rank = q * (n - 1);
  const double lower = std::max(0.0, std::floor(rank));
  const double upper = std::min(n - 1, lower + 1);
  const double weight = rank - std::floor(rank);
  return values[static_cast<size_t>(lower)] * (1 - weight) +
         values[static_cast<size_t>(upper)] * weight;
}

ClassicQuantile classic_quantile(double q, std::vector<ClassicBucket>& buckets) {
  if (std::isnan(q)) return {kNan, false};
  if (q < 0) return {-kInf, false};
  if (q > 1) return {kInf, false};
  sort_and_join(buckets);
  if (buckets.back().upper_bound != kInf) return {kNan, false};
  coalesce(buckets);
  const bool forced = make_monotonic(buckets);
  const size_t size = buckets.size();
  if (size < 2) return {kNan, forced};
  const double observations = buckets.back().count;
  if (observations == 0) return {kNan, forced};
  double rank = q * observations;
  size_t b = 0;
  while (b < size - 1 && !(buckets[b].count >= rank)) ++b;
  if (b == size - 1) return {buckets[size - 2].upper_bound, forced};
  if (b == 0 && buckets[0].upper_bound <= 0) return {buckets[0].upper_bound, forced};
  double start = 0;
  const double end = buckets[b].upper_bound;
  double count = buckets[b].count;
  if (b > 0) {
    start = buckets[b - 1].upper_bound;
    count -= buckets[b - 1].count;
    rank -= buckets[b - 1].count;
  }
  return {start + (end - start) * (rank / count), forced};
}

double classic_fraction(double lower, double upper, std::vector<ClassicBucket>& buckets) {
  sort_and_join(buckets);
  if (buckets.back().upper_bound != kInf) return kNan;
  coalesce(buckets);
  const double count = buckets.back().count;
  if (count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  double rank = 0;
  double lower_rank = count;
  double upper_rank = count;
  bool lower_set = false;
  bool upper_set = false;
  for (size_t i = 0; i < buckets.size() && !(lower_set && upper_set); ++i) {
    const double begin = i == 0 ? -kInf : buckets[i - 1].upper_bound;
    const double end = buckets[i].upper_bound;
    const auto place = [&](double value, double& at, bool& is_set) {
      if (is_set) return;
      if (begin >= value) {
        at = rank;
        is_set = true;
      } else if (end > value) {
        const double from = i == 0 && end > 0 ? 0 : begin;
        at = rank + (buckets[i].count - rank) * (value - from) / (end - from);
        is_set = true;
      }
    };
    place(lower, lower_rank, lower_set);
    place(upper, upper_rank, upper_set);
    rank = buckets[i].count;
  }
  if (!lower_set || lower_rank > count) lower_rank = count;
  if (!upper_set || upper_rank > count) upper_rank = count;
  return (upper_rank - lower_rank) / count;
}

double native_quantile(double q, const model::Histogram& histogram) {
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (histogram.count == 0 || std::isnan(q)) return kNan;
  std::vector<HistogramBucket> buckets = buckets_of(histogram);
  // From the nearer end. NaN observations are in no bucket but count, which only the
  // way from the low end takes into account.
  const bool forward = std::isnan(histogram.sum) || q < 0.5;
  double rank = forward ? q * histogram.count : (1 - q) * histogram.count;
  if (!forward) std::reverse(buckets.begin(), buckets.end());
  HistogramBucket bucket;
  double count = 0;
  for (const HistogramBucket& one : buckets) {
    bucket = one;
    if (one.count == 0) continue;
    count += one.count;
    if (count >= rank) break;
  }
  const bool custom = has_custom_buckets(histogram);
  if (!custom && bucket.lower < 0 && bucket.upper > 0) {
    trim_zero_bucket(histogram, bucket);
  } else if (custom) {
    if (bucket.lower == -kInf) {
      if (bucket.upper <= 0) return bucket.upper;
      bucket.lower = 0;
    } else if (bucket.upper == kInf) {
      return bucket.lower;
    }
  }
  count = std::min(count, histogram.count);
  if (count < rank) return bucket.upper;
  rank = forward ? rank - (count - bucket.count) : count - rank;
  const double fraction = rank / bucket.count;
  if (custom || (bucket.lower <= 0 && bucket.upper >= 0)) {
    return bucket.lower + (bucket.upper - bucket.lower) * fraction;
  }
  const double log_lower = log2_abs(bucket.lower);
  const double log_upper = log2_abs(bucket.upper);
  if (bucket.lower > 0) return std::exp2(log_lower + (log_upper - log_lower) * fraction);
  return -std::exp2(log_upper + (log_lower - log_upper) * (1 - fraction));
}

double native_fraction(double lower, double upper, const model::Histogram& histogram) {
  if (histogram.count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  double rank = 0;
  double lower_rank = histogram.count;
  double upper_rank = histogram.count;
  bool lower_set = false;
  bool upper_set = false;
  for (HistogramBucket bucket : buckets_of(histogram)) {
    if (lower_set && upper_set) break;
    bool linear = has_custom_buckets(histogram);
    if (bucket.lower <= 0 && bucket.upper >= 0) {
      linear = true;
      trim_zero_bucket(histogram, bucket);
    }
    const auto inside = [&](double value) {
      if (linear) {
        return rank + bucket.count * (value - bucket.lower) / (bucket.upper - bucket.lower);
      }
      const double low = log2_abs(bucket.lower);
      const double high = log2_abs(bucket.upper);
      const double at = log2_abs(value);
      if (value > 0) return rank + bucket.count * (at - low) / (high - low);
      return rank + bucket.count * (1 - (at - high) / (low - high));
    };
    const auto place = [&](double value, double& at, bool& is_set) {
      if (is_set) return;
      if (bucket.lower >= value) {
        at = rank;
        is_set = true;
      } else if (bucket.upper > value) {
        at = inside(value);
        is_set = true;
      }
    };
    place(lower, lower_rank, lower_set);
    place(upper, upper_rank, upper_set);
    rank += bucket.count;
  }
  if (!lower_set || lower_rank > histogram.count) lower_rank = histogram.count;
  if (!upper_set || upper_rank > histogram.count) upper_rank = histogram.count;
  return (upper_rank - lower_rank) / histogram.count;
}

double native_variance(const model::Histogram& histogram) {
  const double mean = histogram.sum / histogram.count;
  KahanSum squares;
  for (const HistogramBucket& bucket : buckets_of(histogram)) {
    if (bucket.count == 0) continue;
    double middle = 0;
    if (has_custom_buckets(histogram)) {
      middle = (bucket.upper + bucket.lower) / 2;
    } else if (!(bucket.lower <= 0 && bucket.upper >= 0)) {
      middle = std::sqrt(bucket.upper * bucket.lower);
      if (bucket.upper < 0) middle = -middle;
    }
    const double off = middle - mean;
    squares.add(bucket.count * off * off);
  }
  return (squares.sum + squares.compensation) / histogram.count;
}

}  // namespace promql
