// Selectors: from the source's batches to columns (instant) or windows (range).

#include "encoding/kernels.h"
#include "promql/operator.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace promql {

using core::Result;

namespace {

// Walks the series of a select, batch by batch, and keeps account of the samples held.
class Reader {
 public:
  Reader(const VectorSelector& selector, const Context& context, int64_t window_ms)
      : context_(context), charge_(context.query) {
    request_.tenant = context.query.query.tenant;
    request_.matchers = selector.matchers;
    const TimeShift shift = time_shift(selector.time, context);
    // Windows are open on the left: (t - window, t].
    request_.range = {shift.of(context.steps.start_ms) - window_ms + 1,
                      shift.of(context.steps.last()) + 1};
    request_.step_ms = context.steps.count > 1 ? context.steps.step_ms : 0;
    request_.grouping = context.fold;
    // In the source's own order: results are sorted once at the end, by fewer labels.
    request_.sorted = false;
  }

  // False at the end; else index() is the next series of batch().
  Result<bool> advance() {
    if (!set_) set_ = TRY(context_.query.source.select(request_));
    ++index_;
    while (index_ >= batch_.size()) {
      TRY(context_.query.check());
      const bool more = TRY(set_->next(batch_));
      if (!more) {
        for (std::string& warning : set_->warnings()) {
          context_.query.annotations.warn_plain(std::move(warning));
        }
        TRY(charge_.set(0));
        return false;
      }
      TRY(charge_.set(batch_.timestamps_ms.size() + batch_.histograms.size()));
      index_ = 0;
    }
    return true;
  }

  storage::SeriesBatch& batch() { return batch_; }
  size_t index() const { return index_; }
  // For an instant query: of each series only the newest sample is looked at.
  void take_newest_only() { request_.newest_only = true; }
  // Null when the source has given labels.
  const model::Labels* group() const {
    return batch_.groups.empty() ? nullptr : &set_->group_labels(batch_.groups[index_]);
  }

 private:
  Context context_;
  Charge charge_;
  storage::SelectRequest request_;
  std::unique_ptr<storage::SeriesSet> set_;
  storage::SeriesBatch batch_;
  size_t index_ = 0;
};

// The newest sample of the lookback window at every step. With `timestamps`, its time.
class SelectorOperator final : public VectorOperator {
 public:
  SelectorOperator(const VectorSelector& selector, const Context& context, bool timestamps)
      : context_(context),
        shift_(time_shift(selector.time, context)),
        lookback_ms_(context.query.lookback_ms),
        timestamps_(timestamps),
        reader_(selector, context, lookback_ms_) {
    if (context.steps.count == 1 || shift_.fixed) reader_.take_newest_only();
  }

  Result<bool> next(Column& column) override {
    const bool more = TRY(reader_.advance());
    if (!more) return false;
    storage::SeriesBatch& batch = reader_.batch();
    const size_t index = reader_.index();
    column.group = reader_.group();
    if (column.group == nullptr) column.labels = std::move(batch.labels[index]);
    column.reset(context_.steps.count);
    const auto histograms =
        std::span(batch.histograms)
            .subspan(batch.histogram_begin(index),
                     batch.histogram_ends[index] - batch.histogram_begin(index));
    fill(batch.timestamps_of(index), batch.values_of(index), histograms, column);
    return true;
  }

 private:
  void fill(std::span<const int64_t> times, std::span<const double> values,
            std::span<model::HistogramSample> histograms, Column& column) const {
    size_t floats_seen = 0;  // samples at or before the step
    size_t histograms_seen = 0;
    std::vector<HistogramPtr> shared(histograms.size());
    for (size_t i = 0; i < context_.steps.count; ++i) {
      const int64_t at = shift_.of(context_.steps.at(i));
      while (floats_seen < times.size() && times[floats_seen] <= at) ++floats_seen;
      while (histograms_seen < histograms.size() &&
             histograms[histograms_seen].timestamp_ms <= at) {
        ++histograms_seen;
      }
      const bool use_histogram =
          histograms_seen > 0 && (floats_seen == 0 || histograms[histograms_seen - 1].timestamp_ms >
                                                          times[floats_seen - 1]);
      if (use_histogram) {
        model::HistogramSample& sample = histograms[histograms_seen - 1];
        HistogramPtr& pointer = shared[histograms_seen - 1];
        if (sample.timestamp_ms <= at - lookback_ms_) continue;
        if (!pointer) {
          if (model::is_stale_nan(sample.histogram.sum)) continue;
          if (!timestamps_) {
            pointer = std::make_shared<const model::Histogram>(std::move(sample.histogram));
          }
        }
        if (timestamps_) {
          column.set(i, static_cast<double>(sample.timestamp_ms) / 1000);
        } else {
          column.set(i, pointer);
        }
      } else if (floats_seen > 0) {
        const int64_t time = times[floats_seen - 1];
        const double value = values[floats_seen - 1];
        if (time <= at - lookback_ms_ || model::is_stale_nan(value)) continue;
        column.set(i, timestamps_ ? static_cast<double>(time) / 1000 : value);
      }
    }
  }

  Context context_;
  TimeShift shift_;
  int64_t lookback_ms_;
  bool timestamps_;
  Reader reader_;
};

class MatrixOperator final : public RangeOperator {
 public:
  MatrixOperator(const MatrixSelector& matrix, const Context& context)
      : reader_(*matrix.selector, context, matrix.range_ms) {
    if (context.fold) name_ = metric_name(*matrix.selector);
  }

  Result<bool> next(RangeSeries& series) override {
    const bool more = TRY(reader_.advance());
    if (!more) return false;
    storage::SeriesBatch& batch = reader_.batch();
    const size_t index = reader_.index();
    series.group = reader_.group();
    if (series.group == nullptr) {
      series.labels = std::move(batch.labels[index]);
    } else if (series.labels.empty()) {
      series.labels = model::Labels::of({{std::string(model::kMetricName), name_}});
    }
    series.drop_name = false;
    series.timestamps = batch.timestamps_of(index);
    series.values = batch.values_of(index);
    // Counters mostly rise, and what rises has no stale marker but as its first value.
    series.never_falls =
        encoding::kernels().never_falls(series.values.data(), series.values.size()) &&
        (series.values.empty() || !std::isnan(series.values.front()));
    if (!series.never_falls &&
        std::any_of(series.values.begin(), series.values.end(), model::is_stale_nan)) {
      without_stale(series);
    }
    histogram_times_.clear();
    histograms_.clear();
    const uint32_t begin = batch.histogram_begin(index);
    for (uint32_t i = begin; i < batch.histogram_ends[index]; ++i) {
      model::HistogramSample& sample = batch.histograms[i];
      if (model::is_stale_nan(sample.histogram.sum)) continue;
      histogram_times_.push_back(sample.timestamp_ms);
      histograms_.push_back(std::make_shared<const model::Histogram>(std::move(sample.histogram)));
    }
    series.histogram_times = histogram_times_;
    series.histograms = histograms_;
    return true;
  }

 private:
  void without_stale(RangeSeries& series) {
    times_.clear();
    values_.clear();
    for (size_t i = 0; i < series.values.size(); ++i) {
      if (model::is_stale_nan(series.values[i])) continue;
      times_.push_back(series.timestamps[i]);
      values_.push_back(series.values[i]);
    }
    series.timestamps = times_;
    series.values = values_;
  }

  Reader reader_;
  std::string name_;  // of all series, for what is told of them
  std::vector<int64_t> times_;
  std::vector<double> values_;
  std::vector<int64_t> histogram_times_;
  std::vector<HistogramPtr> histograms_;
};

// The results of an instant expression at the subquery's own steps.
class SubqueryOperator final : public RangeOperator {
 public:
  SubqueryOperator(std::unique_ptr<VectorOperator> inner, const Context& inner_context)
      : inner_(std::move(inner)), context_(inner_context), charge_(inner_context.query) {}

  Result<bool> next(RangeSeries& series) override {
    if (!inner_) return false;
    const bool more = TRY(inner_->next(column_));
    if (!more) return false;
    TRY(context_.query.check());
    times_.clear();
    values_.clear();
    histogram_times_.clear();
    histograms_.clear();
    for (size_t i = 0; i < column_.size(); ++i) {
      if (column_.cells[i] == Cell::Float) {
        times_.push_back(context_.steps.at(i));
        values_.push_back(column_.values[i]);
      } else if (column_.cells[i] == Cell::Histogram) {
        histogram_times_.push_back(context_.steps.at(i));
        histograms_.push_back(without_reset_hint(column_.histograms[i]));
      }
    }
    TRY(charge_.set(times_.size() + histogram_times_.size()));
    series.labels = std::move(column_.labels);
    series.drop_name = column_.drop_name;
    series.never_falls = false;
    series.timestamps = times_;
    series.values = values_;
    series.histogram_times = histogram_times_;
    series.histograms = histograms_;
    return true;
  }

 private:
  // A hint speaks of the sample before, which the subquery may have skipped or repeated.
  static HistogramPtr without_reset_hint(const HistogramPtr& histogram) {
    if (histogram->reset_hint != model::CounterResetHint::Reset &&
        histogram->reset_hint != model::CounterResetHint::NotReset) {
      return histogram;
    }
    auto copy = std::make_shared<model::Histogram>(*histogram);
    copy->reset_hint = model::CounterResetHint::Unknown;
    return copy;
  }

  std::unique_ptr<VectorOperator> inner_;
  Context context_;
  Charge charge_;
  Column column_;
  std::vector<int64_t> times_;
  std::vector<double> values_;
  std::vector<int64_t> histogram_times_;
  std::vector<HistogramPtr> histograms_;
};

// A subquery with more steps than this per series would not fit anyway.
constexpr int64_t kSubqueryStepsMax = 50'000'000;

Result<Range> build_subquery(const Subquery& subquery, const Context& context) {
  Range range;
  range.shift = time_shift(subquery.time, context);
  range.range_ms = subquery.range_ms;
  const int64_t step_ms =
      subquery.step_ms != 0 ? subquery.step_ms : context.query.options.subquery_step_ms;
  // The first multiple of the step behind the open left end of the first window.
  const int64_t left = range.shift.of(context.steps.start_ms) - subquery.range_ms;
  int64_t first = left / step_ms * step_ms;
  if (first <= left) first += step_ms;
  const int64_t end = range.shift.of(context.steps.last());
  if (first > end) {
    range.source = std::make_unique<SubqueryOperator>(nullptr, context);
    return range;
  }
  const int64_t count = (end - first) / step_ms + 1;
  if (count > kSubqueryStepsMax) {
    return core::fail(
        core::ErrorCode::LimitExceeded,
        "query processing would load too many samples into memory in query execution");
  }
  Context inner{context.query, Steps{first, step_ms, static_cast<size_t>(count)}, context.start_ms,
                context.end_ms};
  auto source = TRY(build_vector(*subquery.inner, inner));
  range.source = std::make_unique<SubqueryOperator>(std::move(source), inner);
  return range;
}

}  // namespace

std::string metric_name(const VectorSelector& selector) {
  for (const model::Matcher& one : selector.matchers) {
    if (one.name() == model::kMetricName && one.type() == model::MatchType::Equal) {
      return one.value();
    }
  }
  return {};
}

Result<std::unique_ptr<VectorOperator>> build_selector(const VectorSelector& selector,
                                                       const Context& context, bool timestamps) {
  return std::make_unique<SelectorOperator>(selector, context, timestamps);
}

Result<Range> build_range(const Expr& wrapped, const Context& context) {
  const Expr& expr = unwrap(wrapped);
  if (const auto* subquery = try_as<Subquery>(expr)) return build_subquery(*subquery, context);
  const auto& matrix = as<MatrixSelector>(expr);
  Range range;
  range.shift = time_shift(matrix.selector->time, context);
  range.range_ms = matrix.range_ms;
  range.source = std::make_unique<MatrixOperator>(matrix, context);
  return range;
}

}  // namespace promql
