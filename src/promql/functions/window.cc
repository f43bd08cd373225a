#include "promql/functions/window.h"

#include <algorithm>
#include <cstring>

namespace promql {

void WindowIndex::Stretches::resize(size_t count) {
  first.resize(count);
  last.resize(count);
  sampled_s.resize(count);
  to_start_s.resize(count);
  to_end_s.resize(count);
  factor.resize(count);
}

void WindowIndex::Stretches::set(size_t i, Ends ends, const Stretch& stretch) {
  first[i] = ends.begin;
  last[i] = ends.end - 1;
  sampled_s[i] = stretch.sampled_s;
  to_start_s[i] = stretch.to_start_s;
  to_end_s[i] = stretch.to_end_s;
  factor[i] = stretch.factor;
}

bool WindowIndex::update(const RangeCall& call, std::span<const int64_t> times) {
  const Steps& steps = call.context.steps;
  if (ends_.size() == steps.count && times.size() == times_.size() &&
      (times.empty() || std::memcmp(times.data(), times_.data(), times.size_bytes()) == 0)) {
    return false;
  }
  times_.assign(times.begin(), times.end());
  ends_.resize(steps.count);
  const auto count = static_cast<uint32_t>(times.size());
  for (size_t i = 0; i < steps.count; ++i) {
    const int64_t right = call.shift.of(steps.at(i));
    const int64_t left = right - call.range_ms;
    // Targets are scraped at one pace: where the window was in the series before, it nearly is
    // here.
    auto [begin, end] = ends_[i];
    if (i > 0) {
      begin = std::max(begin, ends_[i - 1].begin);
      end = std::max(end, ends_[i - 1].end);
    }
    begin = std::min(begin, count);
    end = std::min(end, count);
    while (end > 0 && times[end - 1] > right) --end;
    while (end < count && times[end] <= right) ++end;
    while (begin > 0 && times[begin - 1] > left) --begin;
    while (begin < count && times[begin] <= left) ++begin;
    ends_[i] = {begin, end};
  }
  return true;
}

}  // namespace promql
