// Kahan's summation with Neumaier's improvement, as Prometheus does it.

#pragma once

#include <cmath>

namespace promql {

struct KahanSum {
  double sum = 0;
  double compensation = 0;

  void add(double value) {
    const double total = sum + value;
    if (std::isinf(total)) {
      compensation = 0;
    } else if (std::fabs(sum) >= std::fabs(value)) {
      compensation += (sum - total) + value;
    } else {
      compensation += (value - total) + sum;
    }
    sum = total;
  }
  double total() const { return std::isinf(sum) ? sum : sum + compensation; }
};

// The mean of a stream. Sums up as long as the sum stays finite, then goes on with an
// incremental mean.
struct KahanMean {
  KahanSum sum;
  double count = 0;
  bool incremental = false;

  void add(double value) {
    ++count;
    if (!incremental) {
      KahanSum next = sum;
      next.add(value);
      if (count == 1 || !std::isinf(next.sum)) {
        sum = next;
        return;
      }
      incremental = true;
      sum.sum /= count - 1;
      sum.compensation /= count - 1;
    }
    if (std::isinf(sum.sum)) {
      // An infinite mean stays; only the opposite infinity or NaN changes it.
      if (std::isinf(value) && (sum.sum > 0) == (value > 0)) return;
      if (!std::isinf(value) && !std::isnan(value)) return;
    }
    const double share = (count - 1) / count;
    KahanSum next{share * sum.sum, share * sum.compensation};
    next.add(value / count);
    sum = next;
  }
  double mean() const {
    return incremental ? sum.sum + sum.compensation : sum.sum / count + sum.compensation / count;
  }
};

}  // namespace promql
