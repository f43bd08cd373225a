// Sliding windows over one series: both ends only move forward, so all steps of a
// series cost one pass over its samples besides what the function itself reads.

#pragma once

#include "promql/functions/table.h"
#include "promql/operator.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace promql {

struct RangeCall;

// Where the windows of all steps begin and end in a series' float samples. Series of one target
// have their samples at the same times: what was found for the one before mostly holds.
class WindowIndex {
 public:
  struct Ends {
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  // By how much the increase in a window is stretched to cover it (rate.cc).
  struct Stretch {
    double sampled_s = 0;  // from the first sample to the last
    double to_start_s = 0;
    double to_end_s = 0;
    double factor = 0;
  };
  // The same of all windows; only of those with two samples.
  struct Stretches {
    std::vector<uint32_t> first;
    std::vector<uint32_t> last;
    std::vector<double> sampled_s;
    std::vector<double> to_start_s;
    std::vector<double> to_end_s;
    std::vector<double> factor;
    bool complete = false;  // all windows have two samples

    void resize(size_t count);
    void set(size_t i, Ends ends, const Stretch& stretch);
    Stretch at(size_t i) const { return {sampled_s[i], to_start_s[i], to_end_s[i], factor[i]}; }
  };

  // Gives whether the times are others than before.
  bool update(const RangeCall& call, std::span<const int64_t> times);
  std::span<const Ends> ends() const { return ends_; }  // of every step
  Stretches& stretches() { return stretches_; }

 private:
  std::vector<int64_t> times_;
  std::vector<Ends> ends_;
  Stretches stretches_;
};

// A function call on a range vector, with its scalar parameters at every step.
struct RangeCall {
  const Call& call;
  const Context& context;
  TimeShift shift;
  int64_t range_ms;
  Position position;                         // of the range vector
  std::vector<std::vector<double>> scalars;  // in the order of the arguments
  std::shared_ptr<WindowIndex> index = std::make_shared<WindowIndex>();
};

// The samples in (start_ms, end_ms].
struct Window {
  std::span<const int64_t> times;
  std::span<const double> values;
  std::span<const int64_t> histogram_times;
  std::span<const HistogramPtr> histograms;
  int64_t start_ms;
  int64_t end_ms;
  size_t step;

  bool mixed() const { return !values.empty() && !histograms.empty(); }
};

inline std::string metric_of(const RangeSeries& series) {
  return std::string(series.labels.metric_name());
}
inline void warn(const RangeCall& call, std::string_view message) {
  call.context.query.annotations.warn(message, call.position);
}
inline void inform(const RangeCall& call, std::string_view message) {
  call.context.query.annotations.info(message, call.position);
}
inline void inform_if_mixed(const RangeCall& call, const RangeSeries& series,
                            const Window& window) {
  if (window.mixed()) {
    inform(call, annotation::histograms_ignored_in_range(metric_of(series)));
  }
}

// Calls evaluate(window, out) for every step whose window holds a sample; it sets
// out's cell `window.step` or leaves it absent.
template <typename Evaluate>
void each_window(const RangeCall& call, const RangeSeries& series, Column& out,
                 const Evaluate& evaluate) {
  const Steps& steps = call.context.steps;
  if (series.histogram_times.empty()) {
    call.index->update(call, series.timestamps);
    for (size_t i = 0; i < steps.count; ++i) {
      const auto [begin, end] = call.index->ends()[i];
      if (begin == end) continue;
      const int64_t right = call.shift.of(steps.at(i));
      evaluate(Window{series.timestamps.subspan(begin, end - begin),
                      series.values.subspan(begin, end - begin), series.histogram_times,
                      series.histograms, right - call.range_ms, right, i},
               out);
    }
    return;
  }
  size_t begin = 0;
  size_t end = 0;
  size_t histograms_begin = 0;
  size_t histograms_end = 0;
  for (size_t i = 0; i < steps.count; ++i) {
    const int64_t right = call.shift.of(steps.at(i));
    const int64_t left = right - call.range_ms;
    while (end < series.timestamps.size() && series.timestamps[end] <= right) ++end;
    while (begin < end && series.timestamps[begin] <= left) ++begin;
    while (histograms_end < series.histogram_times.size() &&
           series.histogram_times[histograms_end] <= right) {
      ++histograms_end;
    }
    while (histograms_begin < histograms_end && series.histogram_times[histograms_begin] <= left) {
      ++histograms_begin;
    }
    if (begin == end && histograms_begin == histograms_end) continue;
    const size_t histogram_count = histograms_end - histograms_begin;
    evaluate(Window{series.timestamps.subspan(begin, end - begin),
                    series.values.subspan(begin, end - begin),
                    series.histogram_times.subspan(histograms_begin, histogram_count),
                    series.histograms.subspan(histograms_begin, histogram_count), left, right, i},
             out);
  }
}

// Functions of the floats alone: f(values) where there are any.
template <typename Function>
void each_float_window(const RangeCall& call, const RangeSeries& series, Column& out,
                       const Function& function) {
  each_window(call, series, out, [&](const Window& window, Column& column) {
    if (window.values.empty()) return;
    inform_if_mixed(call, series, window);
    column.set(window.step, function(window));
  });
}

}  // namespace promql
