// A token bucket: so many per second in the long run, and a burst at once.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tenant {

// Guarded by its owner. Rate and burst come with each call, because a reload changes them.
class RateBucket {
 public:
  // Takes `count` and gives 0, or takes nothing and gives the milliseconds until it may be
  // tried again. More than a burst holds goes through when the bucket is full, and is owed
  // for: it would never fit otherwise. A rate of 0 is no limit.
  int64_t take(size_t count, size_t rate, size_t burst, int64_t now_ns);

 private:
  double tokens_ = 0;
  int64_t filled_at_ns_ = 0;
  bool is_filled_ = false;
};

}  // namespace tenant
