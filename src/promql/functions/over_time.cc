#include "promql/functions/over_time.h"

#include "promql/functions/kahan.h"
#include "promql/functions/window.h"
#include "promql/histogram_math.h"
#include "promql/quantile.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace promql {

namespace {

void warn_of(const RangeCall& call, const RangeSeries& series, HistogramProblem problem) {
  warn(call, problem == HistogramProblem::MixedSchemas
                 ? annotation::mixed_exponential_custom(metric_of(series))
                 : annotation::incompatible_bounds(metric_of(series)));
}

// Sum of the window's histograms, or their mean.
void combine_histograms(const RangeCall& call, const RangeSeries& series, const Window& window,
                        bool mean, Column& column) {
  auto result = std::make_shared<model::Histogram>(*window.histograms.front());
  double count = 1;
  for (size_t i = 1; i < window.histograms.size(); ++i) {
    ++count;
    HistogramProblem problem = HistogramProblem::None;
    if (mean) {
      model::Histogram share = *window.histograms[i];
      divide(share, count);
      model::Histogram old_share = *result;
      divide(old_share, count);
      problem = subtract(share, old_share);
      if (problem == HistogramProblem::None) problem = add(*result, share);
    } else {
      problem = add(*result, *window.histograms[i]);
    }
    if (problem != HistogramProblem::None) return warn_of(call, series, problem);
  }
  compact(*result);
  column.set(window.step, HistogramPtr(std::move(result)));
}

template <typename Function>
void float_or_histograms(const RangeCall& call, const RangeSeries& series, Column& out, bool mean,
                         const Function& function) {
  each_window(call, series, out, [&](const Window& window, Column& column) {
    if (window.mixed()) {
      warn(call, annotation::mixed_floats_histograms(metric_of(series)));
    } else if (window.values.empty()) {
      combine_histograms(call, series, window, mean, column);
    } else {
      column.set(window.step, function(window.values));
    }
  });
}

double variance(std::span<const double> values) {
  double count = 0;
  KahanSum mean;
  KahanSum squares;
  for (const double value : values) {
    ++count;
    const double off = value - (mean.sum + mean.compensation);
    mean.add(off / count);
    squares.add(off * (value - (mean.sum + mean.compensation)));
  }
  return (squares.sum + squares.compensation) / count;
}

size_t lowest(std::span<const double> values) {
  size_t at = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] < values[at] || std::isnan(values[at])) at = i;
  }
  return at;
}

size_t highest(std::span<const double> values) {
  size_t at = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] > values[at] || std::isnan(values[at])) at = i;
  }
  return at;
}

// As above, but of equal values the last.
template <typename Better>
size_t last_best(std::span<const double> values, const Better& better) {
  size_t at = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (better(values[i], values[at]) || std::isnan(values[at])) at = i;
  }
  return at;
}

double seconds(int64_t time_ms) {
  return static_cast<double>(time_ms) / 1000;
}

struct Line {
  double slope;
  double intercept;
};

// Least squares; the intercept is the value at `origin_ms`.
Line fit(const Window& window, int64_t origin_ms) {
  const double first = window.values.front();
  bool constant = true;
  double n = 0;
  KahanSum x_sum;
  KahanSum y_sum;
  KahanSum xy_sum;
  KahanSum xx_sum;
  for (size_t i = 0; i < window.values.size(); ++i) {
    const double y = window.values[i];
    if (y != first && i > 0) constant = false;
    const double x = static_cast<double>(window.times[i] - origin_ms) / 1e3;
    n += 1;
    x_sum.add(x);
    y_sum.add(y);
    xy_sum.add(x * y);
    xx_sum.add(x * x);
  }
  if (constant) {
    const double nan = std::nan("");
    return std::isinf(first) ? Line{nan, nan} : Line{0, first};
  }
  const double sx = x_sum.sum + x_sum.compensation;
  const double sy = y_sum.sum + y_sum.compensation;
  const double sxy = xy_sum.sum + xy_sum.compensation;
  const double sxx = xx_sum.sum + xx_sum.compensation;
  const double slope = (sxy - sx * sy / n) / (sxx - sx * sx / n);
  return {slope, sy / n - slope * sx / n};
}

double smooth(std::span<const double> values, double smoothing, double trend_factor) {
  double before = 0;
  double smoothed = values[0];
  double trend = values[1] - values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    const double x = smoothing * values[i];
    if (i > 1) trend = trend_factor * (smoothed - before) + (1 - trend_factor) * trend;
    const double y = (1 - smoothing) * (smoothed + trend);
    before = smoothed;
    smoothed = x + y;
  }
  return smoothed;
}

// Functions that need two floats.
template <typename Function>
void with_two_floats(const RangeCall& call, const RangeSeries& series, Column& out,
                     const Function& function) {
  each_window(call, series, out, [&](const Window& window, Column& column) {
    inform_if_mixed(call, series, window);
    if (window.values.size() < 2) return;
    column.set(window.step, function(window));
  });
}

}  // namespace

void sum_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  float_or_histograms(call, series, out, false, [](std::span<const double> values) {
    KahanSum sum;
    for (const double value : values) sum.add(value);
    return sum.total();
  });
}

void avg_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  float_or_histograms(call, series, out, true, [](std::span<const double> values) {
    KahanMean mean;
    for (const double value : values) mean.add(value);
    return mean.mean();
  });
}

void min_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_float_window(call, series, out,
                    [](const Window& window) { return window.values[lowest(window.values)]; });
}

void max_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_float_window(call, series, out,
                    [](const Window& window) { return window.values[highest(window.values)]; });
}

void count_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_window(call, series, out, [](const Window& window, Column& column) {
    column.set(window.step, static_cast<double>(window.values.size() + window.histograms.size()));
  });
}

void present_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_window(call, series, out,
              [](const Window& window, Column& column) { column.set(window.step, 1); });
}

void last_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_window(call, series, out, [](const Window& window, Column& column) {
    const bool use_histogram =
        !window.histograms.empty() &&
        (window.values.empty() || window.histogram_times.back() > window.times.back());
    if (use_histogram) {
      column.set(window.step, window.histograms.back());
    } else {
      column.set(window.step, window.values.back());
    }
  });
}

void first_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_window(call, series, out, [](const Window& window, Column& column) {
    const bool use_histogram =
        !window.histograms.empty() &&
        (window.values.empty() || window.histogram_times.front() < window.times.front());
    if (use_histogram) {
      column.set(window.step, window.histograms.front());
    } else {
      column.set(window.step, window.values.front());
    }
  });
}

void stddev_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_float_window(call, series, out,
                    [](const Window& window) { return std::sqrt(variance(window.values)); });
}

void stdvar_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_float_window(call, series, out,
                    [](const Window& window) { return variance(window.values); });
}

void mad_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  std::vector<double> scratch;
  each_float_window(call, series, out, [&](const Window& window) {
    scratch.assign(window.values.begin(), window.values.end());
    const double median = quantile(0.5, scratch);
    scratch.assign(window.values.begin(), window.values.end());
    for (double& value : scratch) value = std::fabs(value - median);
    return quantile(0.5, scratch);
  });
}

void quantile_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  std::vector<double> scratch;
  each_float_window(call, series, out, [&](const Window& window) {
    scratch.assign(window.values.begin(), window.values.end());
    return quantile(call.scalars.front()[window.step], scratch);
  });
}

void ts_of_min_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_float_window(call, series, out, [](const Window& window) {
    return seconds(
        window.times[last_best(window.values, [](double a, double b) { return a <= b; })]);
  });
}

void ts_of_max_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_float_window(call, series, out, [](const Window& window) {
    return seconds(
        window.times[last_best(window.values, [](double a, double b) { return a >= b; })]);
  });
}

void ts_of_last_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_window(call, series, out, [](const Window& window, Column& column) {
    int64_t last = INT64_MIN;
    if (!window.times.empty()) last = window.times.back();
    if (!window.histogram_times.empty()) last = std::max(last, window.histogram_times.back());
    column.set(window.step, seconds(last));
  });
}

void ts_of_first_over_time(const RangeCall& call, const RangeSeries& series, Column& out) {
  each_window(call, series, out, [](const Window& window, Column& column) {
    int64_t first = INT64_MAX;
    if (!window.times.empty()) first = window.times.front();
    if (!window.histogram_times.empty()) first = std::min(first, window.histogram_times.front());
    column.set(window.step, seconds(first));
  });
}

void deriv(const RangeCall& call, const RangeSeries& series, Column& out) {
  with_two_floats(call, series, out,
                  [](const Window& window) { return fit(window, window.times.front()).slope; });
}

void predict_linear(const RangeCall& call, const RangeSeries& series, Column& out) {
  with_two_floats(call, series, out, [&](const Window& window) {
    const Line line = fit(window, call.context.steps.at(window.step));
    return line.slope * call.scalars.front()[window.step] + line.intercept;
  });
}

void double_exponential_smoothing(const RangeCall& call, const RangeSeries& series, Column& out) {
  with_two_floats(call, series, out, [&](const Window& window) {
    return smooth(window.values, call.scalars[0][window.step], call.scalars[1][window.step]);
  });
}

}  // namespace promql
