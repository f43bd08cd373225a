// What a series is made of: float samples, histogram samples, exemplars; and what is
// known about a metric.

#pragma once

#include "model/histogram.h"
#include "model/labels.h"

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace model {

struct Sample {
  int64_t timestamp_ms = 0;
  double value = 0;
};

struct HistogramSample {
  int64_t timestamp_ms = 0;
  Histogram histogram;
};

// The NaN that says "this series ended here" (prometheus/model/value/value.go).
inline constexpr uint64_t kStaleNanBits = 0x7ff0000000000002ULL;
inline double stale_nan() {
  return std::bit_cast<double>(kStaleNanBits);
}
inline bool is_stale_nan(double value) {
  return std::bit_cast<uint64_t>(value) == kStaleNanBits;
}

// Equal as bits: NaN equals the same NaN, 0 differs from -0.
inline bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

struct Exemplar {
  Labels labels;
  double value = 0;
  int64_t timestamp_ms = 0;  // 0: none was given
};

enum class MetricType : uint8_t {
  Unknown,
  Counter,
  Gauge,
  Histogram,
  GaugeHistogram,
  Summary,
  Info,
  StateSet,
};
// "counter", "gauge", ...; Unknown is "unknown".
std::string_view metric_type_name(MetricType type);

struct Metadata {
  std::string metric;
  MetricType type = MetricType::Unknown;
  std::string unit;
  std::string help;

  bool operator==(const Metadata&) const = default;
};

}  // namespace model
