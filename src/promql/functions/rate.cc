#include "promql/functions/rate.h"

#include "encoding/kernels.h"
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
// it covers the window, as long as no value is looked at. Preconditions: two samples at least.
WindowIndex::Stretch stretch_of(int64_t start_ms, int64_t end_ms, int64_t first_ms, int64_t last_ms,
                                size_t count) {
  WindowIndex::Stretch out;
  out.to_start_s = static_cast<double>(first_ms - start_ms) / 1000;
  out.to_end_s = static_cast<double>(end_ms - last_ms) / 1000;
  out.sampled_s = static_cast<double>(last_ms - first_ms) / 1000;
  const double average = out.sampled_s / static_cast<double>(count - 1);
  const double threshold = average * 1.1;
  if (out.to_start_s >= threshold) out.to_start_s = average / 2;
  if (out.to_end_s >= threshold) out.to_end_s = average / 2;
  out.factor = (out.sampled_s + out.to_start_s + out.to_end_s) / out.sampled_s;
  return out;
}

// The same for a counter that rose: it is not taken to have been below zero.
double counter_factor(const WindowIndex::Stretch& stretch, double first, double increase,
                      double range_s) {
  const double to_zero = stretch.sampled_s * (first / increase);
  if (!(to_zero < stretch.to_start_s)) return stretch.factor;
  return (stretch.sampled_s + to_zero + stretch.to_end_s) / stretch.sampled_s / range_s;
}

// Most series have no reset at all; then a window needs its two ends only.
std::vector<size_t> falls_of(const RangeSeries& series) {
  std::vector<size_t> falls;
  if (series.never_falls) return falls;
  for (size_t i = 1; i < series.values.size(); ++i) {
    if (series.values[i] < series.values[i - 1]) falls.push_back(i);
  }
  return falls;
}

// The same for a series without resets and with two samples in every window.
void extrapolate_rising(std::span<const double> values, const WindowIndex::Stretches& stretches,
                        double unit_s, bool counter, Column& out) {
  const size_t count = out.size();
  const bool may_reach =
      encoding::kernels().window_increases(values.data(),
                                           {.count = count,
                                            .first = stretches.first.data(),
                                            .last = stretches.last.data(),
                                            .factor = stretches.factor.data(),
                                            .sampled_s = stretches.sampled_s.data(),
                                            .to_start_s = stretches.to_start_s.data()},
                                           out.values.data());
  std::fill(out.cells.begin(), out.cells.end(), Cell::Float);
  if (!counter || !may_reach) return;
  for (size_t i = 0; i < count; ++i) {
    const double first = values[stretches.first[i]];
    const double increase = values[stretches.last[i]] - first;
    const WindowIndex::Stretch stretch = stretches.at(i);
    if (encoding::may_reach_zero(first, increase, stretch.sampled_s, stretch.to_start_s)) {
      out.values[i] = increase * counter_factor(stretch, first, increase, unit_s);
    }
  }
}

void extrapolate_floats(const RangeCall& call, const RangeSeries& series, Column& out,
                        RateKind kind) {
  const std::span<const double> values = series.values;
  const Steps& steps = call.context.steps;
  WindowIndex& index = *call.index;
  WindowIndex::Stretches& stretches = index.stretches();
  const double unit_s = kind.per_second ? static_cast<double>(call.range_ms) / 1000 : 1;
  if (index.update(call, series.timestamps)) {
    stretches.resize(steps.count);
    stretches.complete = true;
    for (size_t i = 0; i < steps.count; ++i) {
      const WindowIndex::Ends ends = index.ends()[i];
      if (ends.end - ends.begin < 2) {
        stretches.complete = false;
        continue;
      }
      const int64_t right = call.shift.of(steps.at(i));
      WindowIndex::Stretch stretch =
          stretch_of(right - call.range_ms, right, series.timestamps[ends.begin],
                     series.timestamps[ends.end - 1], ends.end - ends.begin);
      stretch.factor /= unit_s;
      stretches.set(i, ends, stretch);
    }
  }
  if (stretches.complete && (series.never_falls || !kind.counter)) {
    return extrapolate_rising(values, stretches, unit_s, kind.counter, out);
  }
  std::vector<size_t> falls;
  if (kind.counter) falls = falls_of(series);
  size_t fall = 0;
  for (size_t i = 0; i < steps.count; ++i) {
    const auto [begin, end] = index.ends()[i];
    if (end - begin < 2) continue;
    const double first = values[begin];
    double increase = values[end - 1] - first;
    while (fall < falls.size() && falls[fall] <= begin) ++fall;
    for (size_t at = fall; at < falls.size() && falls[at] < end; ++at) {
      increase += values[falls[at] - 1];
    }
    const WindowIndex::Stretch stretch = stretches.at(i);
    double factor = stretch.factor;
    if (kind.counter &&
        encoding::may_reach_zero(first, increase, stretch.sampled_s, stretch.to_start_s)) {
      factor = counter_factor(stretch, first, increase, unit_s);
    }
    out.set(i, increase * factor);
  }
}

void extrapolated(const RangeCall& call, const RangeSeries& series, Column& out, RateKind kind) {
  if (series.histograms.empty()) return extrapolate_floats(call, series, out, kind);
  const double unit_s = kind.per_second ? static_cast<double>(call.range_ms) / 1000 : 1;
  const std::vector<size_t> falls = kind.counter ? falls_of(series) : std::vector<size_t>();
  size_t fall = 0;
  each_window(call, series, out, [&](const Window& window, Column& column) {
    if (window.mixed()) {
      warn(call, annotation::mixed_floats_histograms(metric_of(series)));
      return;
    }
    if (window.values.size() > 1) {
      const auto begin = static_cast<size_t>(window.values.data() - series.values.data());
      while (fall < falls.size() && falls[fall] <= begin) ++fall;
      const double first = window.values.front();
      double increase = window.values.back() - first;
      for (size_t i = fall; i < falls.size() && falls[i] < begin + window.values.size(); ++i) {
        increase += series.values[falls[i] - 1];
      }
      WindowIndex::Stretch stretch =
          stretch_of(window.start_ms, window.end_ms, window.times.front(), window.times.back(),
                     window.times.size());
      stretch.factor /= unit_s;
      const double factor = kind.counter && increase > 0 && first >= 0
                                ? counter_factor(stretch, first, increase, unit_s)
                                : stretch.factor;
      column.set(window.step, increase * factor);
    } else if (window.histograms.size() > 1) {
      auto result = histogram_increase(call, series, window.histograms, kind.counter);
      if (!result) return;
      // The zero point is sought for floats only.
      const double factor =
          stretch_of(window.start_ms, window.end_ms, window.histogram_times.front(),
                     window.histogram_times.back(), window.histogram_times.size())
              .factor /
          unit_s;
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
