#include "tsdb/testing/model_targets.h"

#include <array>
#include <bit>
#include <cmath>
#include <fmt/core.h>

namespace tsdb::testing {
namespace {

using model::Histogram;
using model::Labels;

constexpr std::array<const char*, 6> kBounds = {"0.005", "0.05", "0.1", "0.5", "1", "+Inf"};

// Values that are easy to lose: the sign of zero, NaNs with a payload, the limits.
double odd_value(core::Rng& rng) {
  switch (rng.below(10)) {
    case 0:
      return -0.0;
    case 1:
      return 0.0;
    case 2:
      return std::numeric_limits<double>::infinity();
    case 3:
      return -std::numeric_limits<double>::infinity();
    case 4:
      return std::numeric_limits<double>::quiet_NaN();
    case 5:  // a NaN of one's own
      return std::bit_cast<double>(0x7ff8000000000000ULL | rng.below(uint64_t{1} << 50U));
    case 6:
      return std::numeric_limits<double>::denorm_min() * static_cast<double>(rng.below(9));
    case 7:
      return std::numeric_limits<double>::max();
    case 8:
      return std::bit_cast<double>(rng.next());
    default:
      return static_cast<double>(rng.below(uint64_t{1} << 53U)) + 0.5;
  }
}

void fill(const std::map<int32_t, double>& buckets, std::vector<model::BucketSpan>& spans,
          std::vector<double>& counts) {
  int32_t next = 0;
  for (const auto& [index, count] : buckets) {
    if (spans.empty() || index != next) {
      spans.push_back({.offset = index - next, .length = 0});
    }
    ++spans.back().length;
    counts.push_back(count);
    next = index + 1;
  }
}

double total(const std::vector<double>& counts) {
  double sum = 0;
  for (const double count : counts) sum += count;
  return sum;
}

}  // namespace

const std::vector<std::string>& model_metrics() {
  static const std::vector<std::string> kMetrics = {"requests_total",
                                                    "cpu_seconds_total",
                                                    "temperature_celsius",
                                                    "memory_bytes",
                                                    "noise",
                                                    "build_info",
                                                    "odd",
                                                    "latency_seconds_bucket",
                                                    "latency_seconds_sum",
                                                    "latency_seconds_count",
                                                    "rpc_seconds",
                                                    "queue_size",
                                                    "handler_seconds",
                                                    "switching"};
  return kMetrics;
}

const std::vector<model::Metadata>& model_metadata() {
  static const std::vector<model::Metadata> kMetadata = {
      {"requests_total", model::MetricType::Counter, "", "Requests by code."},
      {"cpu_seconds_total", model::MetricType::Counter, "seconds", "Time of the processor."},
      {"temperature_celsius", model::MetricType::Gauge, "celsius", "How warm it is."},
      {"latency_seconds", model::MetricType::Histogram, "seconds", "Says \"how long\"\n\\."},
      {"build_info", model::MetricType::Info, "", ""},
  };
  return kMetadata;
}

ModelTarget::ModelTarget(uint32_t number, std::string job, uint64_t seed)
    : number_(number), job_(std::move(job)), rng_(seed * 7919 + number) {}

Labels ModelTarget::labels(const std::string& metric, const std::string& name,
                           const std::string& value) const {
  std::vector<std::pair<std::string, std::string>> pairs = {
      {"__name__", metric},
      {"job", job_},
      {"instance", fmt::format("host-{}:9100", number_)},
      {"pod", fmt::format("{}-{}", job_, generation_)},
      {"zone", fmt::format("z{}", number_ % 3)}};
  if (!name.empty()) pairs.emplace_back(name, value);
  return Labels::of(std::move(pairs));
}

void ModelTarget::add(std::vector<ModelSample>& to, const Labels& labels, int64_t time_ms,
                      double value) const {
  to.push_back({.labels = labels,
                .time_ms = time_ms,
                .value = value,
                .histogram = std::nullopt,
                .exemplar = std::nullopt});
}

std::vector<ModelSample> ModelTarget::scrape(int64_t time_ms) {
  std::vector<ModelSample> found;
  scrape_counters(found, time_ms);
  scrape_gauges(found, time_ms);
  scrape_classic_histogram(found, time_ms);
  if (number_ % 2 == 0) scrape_native_histograms(found, time_ms);
  last_ = found;
  return found;
}

std::vector<ModelSample> ModelTarget::replace(int64_t time_ms) {
  std::vector<ModelSample> ends = std::move(last_);
  for (ModelSample& one : ends) {
    one.time_ms = time_ms;
    one.value = model::stale_nan();
    one.exemplar.reset();
    if (one.histogram) {
      one.histogram.emplace();
      one.histogram->sum = model::stale_nan();
    }
  }
  last_.clear();
  ++generation_;
  state_.clear();
  restart();
  return ends;
}

void ModelTarget::restart() {
  std::erase_if(state_,
                [](const auto& one) { return one.first.find("_total") != std::string::npos; });
  buckets_ = {};
  bound_counts_.clear();
}

void ModelTarget::scrape_counters(std::vector<ModelSample>& to, int64_t time_ms) {
  for (const char* code : {"200", "404", "500"}) {
    double& value = state_[std::string("requests_total") + code];
    value += static_cast<double>(rng_.below(code[0] == '2' ? 400 : 3));
    add(to, labels("requests_total", "code", code), time_ms, value);
    if (code[0] != '2' || rng_.below(50) != 0) continue;
    to.back().exemplar = model::Exemplar{
        Labels::of({{"trace_id", fmt::format("{:016x}", rng_.next())}}), rng_.unit(), time_ms};
  }
  for (const char* mode : {"user", "idle"}) {
    double& value = state_[std::string("cpu_seconds_total") + mode];
    value += static_cast<double>(rng_.below(6000)) / 100;
    add(to, labels("cpu_seconds_total", "mode", mode), time_ms, value);
  }
}

void ModelTarget::scrape_gauges(std::vector<ModelSample>& to, int64_t time_ms) {
  for (const char* sensor : {"in", "out"}) {
    double& value = state_[sensor];
    value += static_cast<double>(rng_.below(7)) - 3;
    add(to, labels("temperature_celsius", "sensor", sensor), time_ms, 20 + value / 10);
  }
  double& pages = state_["pages"];
  pages += static_cast<double>(rng_.below(2000)) - 990;
  add(to, labels("memory_bytes", "kind", "used"), time_ms, std::abs(pages) * 4096);
  add(to, labels("noise"), time_ms, rng_.unit() * 1000 - 500);
  // Not every scrape has it.
  if (rng_.below(10) != 0) add(to, labels("build_info", "version", "1.2.3"), time_ms, 1);
  if (rng_.below(4) != 0) add(to, labels("odd"), time_ms, odd_value(rng_));
}

void ModelTarget::scrape_classic_histogram(std::vector<ModelSample>& to, int64_t time_ms) {
  const std::string metric = "latency_seconds";
  double before = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    double& count = state_[fmt::format("bucket_total{}", i)];
    count += static_cast<double>(rng_.below(20));
    before += count;
    add(to, labels(metric + "_bucket", "le", kBounds[i]), time_ms, before);
  }
  double& sum = state_["sum_total"];
  sum += rng_.unit() * 30;
  add(to, labels(metric + "_sum"), time_ms, sum);
  add(to, labels(metric + "_count"), time_ms, before);
}

void ModelTarget::scrape_native_histograms(std::vector<ModelSample>& to, int64_t time_ms) {
  const auto add_histogram = [&](const char* metric, Histogram histogram) {
    add(to, labels(metric), time_ms, 0);
    to.back().histogram = std::move(histogram);
  };
  add_histogram("rpc_seconds", exponential());
  add_histogram("queue_size", gauge_histogram());
  add_histogram("handler_seconds", custom());
  // A series that is floats for a while and histograms for another.
  if (time_ms / 3'000'000 % 2 == 0) {
    add(to, labels("switching"), time_ms, static_cast<double>(rng_.below(100)));
  } else {
    add_histogram("switching", exponential());
  }
}

Histogram ModelTarget::exponential() {
  Histogram one;
  if (rng_.below(200) == 0) buckets_ = {};  // a reset
  if (rng_.below(200) == 0) {               // another layout
    buckets_ = {};
    buckets_.schema = static_cast<int32_t>(rng_.below(13)) - 4;
    one.reset_hint = model::CounterResetHint::Reset;
  }
  for (uint64_t count = 1 + rng_.below(5); count > 0; --count) {
    const auto index = static_cast<int32_t>(rng_.below(8) + rng_.below(8) * rng_.below(4)) - 9;
    const auto grown = static_cast<double>(rng_.below(9));
    (rng_.below(5) == 0 ? buckets_.negative : buckets_.positive)[index] += grown;
  }
  buckets_.zero_count += static_cast<double>(rng_.below(2));
  buckets_.sum += rng_.unit() * 10;
  one.schema = buckets_.schema;
  one.integer_counts = true;
  one.zero_threshold = 0x1p-128;
  one.zero_count = buckets_.zero_count;
  one.sum = buckets_.sum;
  fill(buckets_.positive, one.positive_spans, one.positive_counts);
  fill(buckets_.negative, one.negative_spans, one.negative_counts);
  one.count = one.zero_count + total(one.positive_counts) + total(one.negative_counts);
  return one;
}

Histogram ModelTarget::gauge_histogram() {
  Histogram one;
  one.reset_hint = model::CounterResetHint::Gauge;
  one.schema = 1;
  one.zero_threshold = 0.001;
  one.zero_count = rng_.unit();
  std::map<int32_t, double> buckets;
  for (uint64_t count = rng_.below(6); count > 0; --count) {
    buckets[static_cast<int32_t>(rng_.below(12)) - 6] = rng_.unit() * 5;
  }
  fill(buckets, one.positive_spans, one.positive_counts);
  one.count = one.zero_count + total(one.positive_counts);
  one.sum = rng_.unit() * 100 - 50;
  return one;
}

Histogram ModelTarget::custom() {
  if (bounds_.empty() || rng_.below(300) == 0) {
    bounds_.clear();
    bound_counts_.clear();
    for (uint64_t count = 2 + rng_.below(6); count > 0; --count) {
      bounds_.push_back((bounds_.empty() ? 0 : bounds_.back()) +
                        static_cast<double>(1 + rng_.below(40)) / 20);
    }
  }
  bound_counts_.resize(bounds_.size() + 1);
  for (double& count : bound_counts_) count += static_cast<double>(rng_.below(4));
  double& sum = state_["handler_total"];
  sum += rng_.unit();
  Histogram one;
  one.schema = model::kCustomBucketsSchema;
  one.integer_counts = true;
  one.custom_bounds = bounds_;
  one.positive_spans = {{.offset = 0, .length = static_cast<uint32_t>(bound_counts_.size())}};
  one.positive_counts = bound_counts_;
  one.count = total(bound_counts_);
  one.sum = sum;
  return one;
}

}  // namespace tsdb::testing
