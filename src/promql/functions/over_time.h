// The *_over_time family and what fits lines through windows.

#pragma once

#include "promql/functions/table.h"

namespace promql {

void sum_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void avg_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void min_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void max_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void count_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void present_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void last_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void first_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void stddev_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void stdvar_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void mad_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void quantile_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void ts_of_min_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void ts_of_max_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void ts_of_last_over_time(const RangeCall& call, const RangeSeries& series, Column& out);
void ts_of_first_over_time(const RangeCall& call, const RangeSeries& series, Column& out);

void deriv(const RangeCall& call, const RangeSeries& series, Column& out);
void predict_linear(const RangeCall& call, const RangeSeries& series, Column& out);
void double_exponential_smoothing(const RangeCall& call, const RangeSeries& series, Column& out);

}  // namespace promql
