// rate, increase, delta, irate, idelta, resets, changes.

#pragma once

#include "promql/functions/table.h"

namespace promql {

void rate(const RangeCall& call, const RangeSeries& series, Column& out);
void increase(const RangeCall& call, const RangeSeries& series, Column& out);
void delta(const RangeCall& call, const RangeSeries& series, Column& out);
void irate(const RangeCall& call, const RangeSeries& series, Column& out);
void idelta(const RangeCall& call, const RangeSeries& series, Column& out);
void resets(const RangeCall& call, const RangeSeries& series, Column& out);
void changes(const RangeCall& call, const RangeSeries& series, Column& out);

}  // namespace promql
