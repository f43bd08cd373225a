#include "promql/functions/window.h"

#include <algorithm>

namespace promql {

bool WindowIndex::update(const RangeCall& call, std::span<const int64_t> times) {
  const Steps& steps = call.context.steps;
  if (ends_.size() == steps.count && std::ranges::equal(times, times_)) return false;
  times_.assign(times.begin(), times.end());
  ends_.resize(steps.count);
  uint32_t begin = 0;
  uint32_t end = 0;
  for (size_t i = 0; i < steps.count; ++i) {
    const int64_t right = call.shift.of(steps.at(i));
    const int64_t left = right - call.range_ms;
    while (end < times.size() && times[end] <= right) ++end;
    while (begin < end && times[begin] <= left) ++begin;
    ends_[i] = {begin, end};
  }
  return true;
}

}  // namespace promql
