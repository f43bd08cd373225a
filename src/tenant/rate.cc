#include "tenant/rate.h"

#include <algorithm>
#include <cmath>

namespace tenant {
namespace {

constexpr size_t kBurstSeconds = 10;

}  // namespace

int64_t RateBucket::take(size_t count, size_t rate, size_t burst, int64_t now_ns) {
  if (rate == 0) {
    is_filled_ = false;  // a limit that comes later begins with a full bucket
    return 0;
  }
  const auto per_second = static_cast<double>(rate);
  const double most = burst == 0 ? per_second * kBurstSeconds : static_cast<double>(burst);
  if (!is_filled_) {
    tokens_ = most;
    filled_at_ns_ = now_ns;
    is_filled_ = true;
  }
  const double seconds = static_cast<double>(std::max<int64_t>(now_ns - filled_at_ns_, 0)) / 1e9;
  tokens_ = std::min(most, tokens_ + seconds * per_second);
  filled_at_ns_ = std::max(filled_at_ns_, now_ns);
  const double wanted = static_cast<double>(count);
  const double needed = std::min(wanted, most);
  if (tokens_ >= needed) {
    tokens_ -= wanted;
    return 0;
  }
  return std::max<int64_t>(1, std::llround(std::ceil((needed - tokens_) / per_second * 1e3)));
}

}  // namespace tenant
