#pragma once

#include <cstdint>

namespace model {

// Half-open: start_ms <= t < end_ms. Prometheus's inclusive ends are converted once,
// where a request is read.
struct TimeRange {
  int64_t start_ms = 0;
  int64_t end_ms = 0;

  bool contains(int64_t time_ms) const { return start_ms <= time_ms && time_ms < end_ms; }
  bool overlaps(TimeRange other) const {
    return start_ms < other.end_ms && other.start_ms < end_ms;
  }
  bool empty() const { return start_ms >= end_ms; }
  bool operator==(const TimeRange&) const = default;
};

}  // namespace model
