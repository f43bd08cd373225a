#include "promql/functions/rate.h"

#include "promql/functions/window.h"
#include "promql/histogram_math.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace promql {

namespace {

struct RateKind {
  bool counter;  // resets count, and a counter never was below zero
  bool per_second;
};

void warn_of(const RangeCall& call, const RangeSeries& series, HistogramProblem problem) {
  if (problem == HistogramProblem::MixedSchemas) {
    warn(call, annotation::mixed_exponential_custom(metric_of(series)));
  } else if (problem == HistogramProblem::IncompatibleBounds) {
    warn(call, annotation::incompatible_bounds(metric_of(series)));
  }
}

bool is_gauge(const model::Histogram& histogram) {
  return histogram.reset_hint == model::CounterResetHint::Gauge;
}

// Last minus first, with what was lost by resets; null when they do not go together.
std::shared_ptr<model::Histogram> histogram_increase(const RangeCall& call,
                                                     const RangeSeries& series,
                                                     std::span<const HistogramPtr> points,
                                                     bool counter) {
  const model::Histogram& first = *points.front();
  const model::Histogram& last = *points.back();
  if (counter && (is_gauge(first) || is_gauge(last))) {
    warn(call, annotation::not_a_counter(metric_of(series)));
  }
  // After a reset between the first two the layout of the first does not matter.
  model::Histogram previous = first;
  if (counter && is_reset(*points[1], first)) {
    previous = model::Histogram{};
    previous.schema = points[1]->schema;
    previous.custom_bounds = points[1]->custom_bounds;
  }
  const bool custom = has_custom_buckets(previous);
  int32_t schema = std::min(previous.schema, last.schema);
  for (size_t i = 1; i < points.size(); ++i) {
    if (has_custom_buckets(*points[i]) != custom) {
      warn_of(call, series, HistogramProblem::MixedSchemas);
      return nullptr;
    }
    schema = std::min(schema, points[i]->schema);
    if (counter && i + 1 < points.size() && is_gauge(*points[i])) {
      warn(call, annotation::not_a_counter(metric_of(series)));
    }
  }
  auto result = std::make_shared<model::Histogram>(last);
  reduce_schema(*result, schema);
  HistogramProblem problem = subtract(*result, previous);
  if (counter) {
    const model::Histogram* before = &previous;
    for (size_t i = 1; i < points.size() && problem == HistogramProblem::None; ++i) {
      if (is_reset(*points[i], *before)) problem = add(*result, *before);
      before = points[i].get();
    }
  } else if (!is_gauge(first) || !is_gauge(last)) {
    warn(call, annotation::not_a_gauge(metric_of(series)));
  }
  if (problem != HistogramProblem::None) {
    warn_of(call, series, problem);
    return nullptr;
  }
  result->reset_hint = model::CounterResetHint::Gauge;
  return result;
}

// By how much to stretch what was seen between the first and the last sample, so that
// it covers the window.
double extrapolation(const Window& window, std::span<const int64_t> times, double first,
                     double increase, bool counter) {
  const int64_t first_ms = times.front();
  const int64_t last_ms = times.back();
  double to_start = static_cast<double>(first_ms - window.start_ms) / 1000;
  double to_end = static_cast<double>(window.end_ms - last_ms) / 1000;
  const double sampled = static_cast<double>(last_ms - first_ms) / 1000;
  const double average = sampled / static_cast<double>(times.size() - 1);
  const double threshold = average * 1.1;
  if (to_start >= threshold) to_start = average / 2;
  if (counter && increase > 0 && first >= 0) {
    const double to_zero = sampled * (first / increase);
    if (to_zero < to_start) to_start = to_zero;
  }
  if (to_end >= threshold) to_end = average / 2;
  return (sampled + to_start + to_end) / sampled;
}

void extrapolated(const RangeCall& call, const RangeSeries& series, Column& out, RateKind kind) {
  const double range_s = static_cast<double>(call.range_ms) / 1000;
  // Most series have no reset at all; then a window needs its two ends only.
  std::vector<size_t> falls;
  if (kind.counter) {
    for (size_t i = 1; i < series.values.size(); ++i) {
      if (series.values[i] < series.values[i - 1]) falls.push_back(i);
    }
  }
  size_t fall = 0;
  each_window(call, series, out, [&](const Window& window, Column& column) {
    if (window.mixed()) {
      warn(call, annotation::mixed_floats_histograms(metric_of(series)));
      return;
    }
    if (window.values.size() > 1) {
      const auto begin = static_cast<size_t>(window.values.data() - series.values.data());
      while (fall < falls.size() && falls[fall] <= begin) ++fall;
      double increase = window.values.back() - window.values.front();
      for (size_t i = fall; i < falls.size() && falls[i] < begin + window.values.size(); ++i) {
        increase += series.values[falls[i] - 1];
      }
      double factor =
          extrapolation(window, window.times, window.values.front(), increase, kind.counter);
      if (kind.per_second) factor /= range_s;
      column.set(window.step, increase * factor);
    } else if (window.histograms.size() > 1) {
      auto result = histogram_increase(call, series, window.histograms, kind.counter);
      if (!result) return;
      // The zero point is sought for floats only.
      double factor = extrapolation(window, window.histogram_times, 0, 0, false);
      if (kind.per_second) factor /= range_s;
      multiply(*result, factor);
      column.set(window.step, HistogramPtr(std::move(result)));
    }
  });
}

struct LastTwo {
  int64_t times[2];
  double values[2];
  HistogramPtr histograms[2];
};

// The newest two samples of a window, older first. Precondition: there are two.
LastTwo last_two(const Window& window) {
  LastTwo two{};
  size_t floats = window.values.size();
  size_t histograms = window.histograms.size();
  for (int i = 1; i >= 0; --i) {
    const bool use_float =
        floats > 0 &&
        (histograms == 0 || window.times[floats - 1] > window.histogram_times[histograms - 1]);
    if (use_float) {
      --floats;
      two.times[i] = window.times[floats];
      two.values[i] = window.values[floats];
    } else {
      --histograms;
      two.times[i] = window.histogram_times[histograms];
      two.histograms[i] = window.histograms[histograms];
    }
  }
  return two;
}

void instant_histograms(const RangeCall& call, const RangeSeries& series, const LastTwo& two,
                        bool per_second, double interval_s, Column& column, size_t step) {
  const model::Histogram& before = *two.histograms[0];
  const model::Histogram& last = *two.histograms[1];
  if (per_second && (is_gauge(before) || is_gauge(last))) {
    warn(call, annotation::not_a_counter(metric_of(series)));
  }
  if (!per_second && (!is_gauge(before) || !is_gauge(last))) {
    warn(call, annotation::not_a_gauge(metric_of(series)));
  }
  auto result = std::make_shared<model::Histogram>(last);
  if (!per_second || !is_reset(last, before)) {
    const HistogramProblem problem = subtract(*result, before);
    if (problem != HistogramProblem::None) return warn_of(call, series, problem);
  }
  result->reset_hint = model::CounterResetHint::Gauge;
  if (per_second) divide(*result, interval_s);
  compact(*result);
  column.set(step, HistogramPtr(std::move(result)));
}

void instant(const RangeCall& call, const RangeSeries& series, Column& out, bool per_second) {
  each_window(call, series, out, [&](const Window& window, Column& column) {
    if (window.values.size() + window.histograms.size() < 2) return;
    const LastTwo two = last_two(window);
    const int64_t interval_ms = two.times[1] - two.times[0];
    if (interval_ms == 0) return;
    const double interval_s = static_cast<double>(interval_ms) / 1000;
    const bool first_is_histogram = two.histograms[0] != nullptr;
    const bool last_is_histogram = two.histograms[1] != nullptr;
    if (first_is_histogram != last_is_histogram) {
      warn(call, annotation::mixed_floats_histograms(metric_of(series)));
    } else if (last_is_histogram) {
      instant_histograms(call, series, two, per_second, interval_s, column, window.step);
    } else {
      const bool reset = per_second && two.values[1] < two.values[0];
      double value = reset ? two.values[1] : two.values[1] - two.values[0];
      if (per_second) value /= interval_s;
      column.set(window.step, value);
    }
  });
}

// Counts the pairs of neighbours for which float_changes or histogram_changes holds;
// a change between float and histogram always counts.
template <typename FloatChanges, typename HistogramChanges>
void count_changes(const RangeCall& call, const RangeSeries& series, Column& out,
                   const FloatChanges& float_changes, const HistogramChanges& histogram_changes) {
  each_window(call, series, out, [&](const Window& window, Column& column) {
    size_t f = 0;
    size_t h = 0;
    double count = 0;
    bool seen = false;
    bool was_histogram = false;
    while (f < window.values.size() || h < window.histograms.size()) {
      const bool take_float =
          h == window.histograms.size() ||
          (f < window.values.size() && window.times[f] < window.histogram_times[h]);
      if (seen) {
        if (take_float == was_histogram) {
          ++count;
        } else if (take_float) {
          if (float_changes(window.values[f - 1], window.values[f])) ++count;
        } else if (histogram_changes(*window.histograms[h - 1], *window.histograms[h])) {
          ++count;
        }
      }
      seen = true;
      was_histogram = !take_float;
      if (take_float) {
        ++f;
      } else {
        ++h;
      }
    }
    column.set(window.step, count);
  });
}

}  // namespace

void rate(const RangeCall& call, const RangeSeries& series, Column& out) {
  extrapolated(call, series, out, {true, true});
}
void increase(const RangeCall& call, const RangeSeries& series, Column& out) {
  extrapolated(call, series, out, {true, false});
}
void delta(const RangeCall& call, const RangeSeries& series, Column& out) {
  extrapolated(call, series, out, {false, false});
}
void irate(const RangeCall& call, const RangeSeries& series, Column& out) {
  instant(call, series, out, true);
}
void idelta(const RangeCall& call, const RangeSeries& series, Column& out) {
  instant(call, series, out, false);
}

void resets(const RangeCall& call, const RangeSeries& series, Column& out) {
  count_changes(
      call, series, out, [](double before, double now) { return now < before; },
      [](const model::Histogram& before, const model::Histogram& now) {
        return is_reset(now, before);
      });
}

void changes(const RangeCall& call, const RangeSeries& series, Column& out) {
  count_changes(
      call, series, out,
      [](double before, double now) {
        return now != before && !(std::isnan(now) && std::isnan(before));
      },
      [](const model::Histogram& before, const model::Histogram& now) {
        return !equal(now, before);
      });
}

}  // namespace promql
