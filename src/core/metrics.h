// Petrel's own metrics and their text exposition.
//
// The registry is the one global of the program. Declare a metric as a static next
// to the code that counts:
//
//   static core::Counter& written = core::counter("petrel_log_written_bytes_total",
//                                                 "Bytes written to the log.");
//   written.add(size);

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace core {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Thread-safe, never freed.
class Counter {
 public:
  void add(double delta = 1) { value_.fetch_add(delta, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double delta) { value_.fetch_add(delta, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

// Seconds, in buckets from 100 us to 30 s.
class DurationHistogram {
 public:
  static constexpr std::array<double, 14> kBounds = {
      0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30};
  void observe(double seconds);
  uint64_t bucket(size_t index) const { return buckets_[index]; }  // not cumulative
  double sum() const { return sum_; }

 private:
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<double> sum_ = 0;
};

// The metric with this name and these labels, created on first use. The name's type
// and help must be the same at every call.
Counter& counter(std::string_view name, std::string_view help, MetricLabels labels = {});
Gauge& gauge(std::string_view name, std::string_view help, MetricLabels labels = {});
DurationHistogram& duration_histogram(std::string_view name, std::string_view help,
                                      MetricLabels labels = {});

// A gauge or counter that is read when asked for. `read` must stay callable until the
// returned handle is destroyed.
class MetricCallback {
 public:
  MetricCallback() = default;
  explicit MetricCallback(uint64_t id) : id_(id) {}
  MetricCallback(MetricCallback&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
  MetricCallback& operator=(MetricCallback&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~MetricCallback();

 private:
  uint64_t id_ = 0;
};
enum class MetricKind { Counter, Gauge };
[[nodiscard]] MetricCallback callback_metric(MetricKind kind, std::string_view name,
                                             std::string_view help, MetricLabels labels,
                                             std::function<double()> read);

// Everything, in Prometheus's text format 0.0.4, sorted by name; also process_*.
std::string expose_metrics();

}  // namespace core
