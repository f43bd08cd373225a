#include "encoding/record_blocks.h"

#include "core/bytes.h"
#include "core/varint.h"

#include <bit>
#include <cstdint>

namespace encoding {
namespace {

constexpr uint8_t kRaw = 0;
constexpr uint8_t kIntegral = 1;
constexpr double kIntegralMax = 9007199254740992.0;  // 2^53: above it integers have gaps

constexpr uint8_t kHintMask = 3;
constexpr uint8_t kIntegerCounts = 4;
constexpr auto kMetricTypeMax = static_cast<uint8_t>(model::MetricType::StateSet);

// Timestamps wrap around: any pair of them has a distance that leads back.
int64_t distance(int64_t from, int64_t to) {
  return static_cast<int64_t>(static_cast<uint64_t>(to) - static_cast<uint64_t>(from));
}
int64_t advance(int64_t from, int64_t by) {
  return static_cast<int64_t>(static_cast<uint64_t>(from) + static_cast<uint64_t>(by));
}

bool take_byte(std::string_view& bytes, uint8_t& value) {
  if (bytes.empty()) return false;
  value = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  return true;
}

bool take_time(std::string_view& bytes, int64_t& time_ms, int64_t base_ms) {
  uint64_t delta = 0;
  if (!core::take_varint(bytes, delta)) return false;
  time_ms = advance(base_ms, core::unzigzag(delta));
  return true;
}

// A count of things that take at least `size_min` bytes each.
bool take_count(std::string_view& bytes, uint64_t& count, uint64_t size_min) {
  return core::take_varint(bytes, count) && count <= bytes.size() / size_min;
}

void append_spans(std::string& out, const std::vector<model::BucketSpan>& spans) {
  core::append_varint(out, spans.size());
  for (const model::BucketSpan& span : spans) {
    core::append_varint(out, core::zigzag(span.offset));
    core::append_varint(out, span.length);
  }
}

bool take_spans(std::string_view& bytes, std::vector<model::BucketSpan>& spans) {
  uint64_t count = 0;
  if (!take_count(bytes, count, 2)) return false;
  spans.resize(count);
  for (model::BucketSpan& span : spans) {
    uint64_t offset = 0;
    uint64_t length = 0;
    if (!core::take_varint(bytes, offset) || !core::take_varint(bytes, length)) return false;
    const int64_t signed_offset = core::unzigzag(offset);
    if (signed_offset < INT32_MIN || signed_offset > INT32_MAX || length > UINT32_MAX) return false;
    span.offset = static_cast<int32_t>(signed_offset);
    span.length = static_cast<uint32_t>(length);
  }
  return true;
}

void append_numbers(std::string& out, const std::vector<double>& numbers) {
  core::append_varint(out, numbers.size());
  for (const double number : numbers) append_number(out, number);
}

bool take_numbers(std::string_view& bytes, std::vector<double>& numbers) {
  uint64_t count = 0;
  if (!take_count(bytes, count, 2)) return false;
  numbers.resize(count);
  for (double& number : numbers) {
    if (!take_number(bytes, number)) return false;
  }
  return true;
}

}  // namespace

void append_number(std::string& out, double value) {
  if (value > -kIntegralMax && value < kIntegralMax) {
    const auto integer = static_cast<int64_t>(value);
    if (model::same_bits(static_cast<double>(integer), value)) {
      out.push_back(static_cast<char>(kIntegral));
      core::append_varint(out, core::zigzag(integer));
      return;
    }
  }
  out.push_back(static_cast<char>(kRaw));
  core::append_le(out, value);
}

bool take_number(std::string_view& bytes, double& value) {
  uint8_t kind = 0;
  if (!take_byte(bytes, kind)) return false;
  if (kind == kIntegral) {
    uint64_t encoded = 0;
    if (!core::take_varint(bytes, encoded)) return false;
    value = static_cast<double>(core::unzigzag(encoded));
    return true;
  }
  if (kind != kRaw || bytes.size() < sizeof(value)) return false;
  // Through an integer: a load of a signalling NaN as double may quieten it on x87.
  value = std::bit_cast<double>(core::load_le<uint64_t>(bytes));
  bytes.remove_prefix(sizeof(value));
  return true;
}

void append_histogram_sample(std::string& out, const model::HistogramSample& sample,
                             int64_t base_ms) {
  const model::Histogram& histogram = sample.histogram;
  core::append_varint(out, core::zigzag(distance(base_ms, sample.timestamp_ms)));
  core::append_varint(out, core::zigzag(histogram.schema));
  out.push_back(static_cast<char>(static_cast<uint8_t>(histogram.reset_hint) |
                                  (histogram.integer_counts ? kIntegerCounts : 0)));
  append_number(out, histogram.zero_threshold);
  append_number(out, histogram.zero_count);
  append_number(out, histogram.count);
  append_number(out, histogram.sum);
  append_spans(out, histogram.positive_spans);
  append_spans(out, histogram.negative_spans);
  append_numbers(out, histogram.positive_counts);
  append_numbers(out, histogram.negative_counts);
  append_numbers(out, histogram.custom_bounds);
}

bool take_histogram_sample(std::string_view& bytes, model::HistogramSample& sample,
                           int64_t base_ms) {
  model::Histogram& histogram = sample.histogram;
  uint64_t schema = 0;
  uint8_t flags = 0;
  if (!take_time(bytes, sample.timestamp_ms, base_ms)) return false;
  if (!core::take_varint(bytes, schema) || !take_byte(bytes, flags)) return false;
  const int64_t signed_schema = core::unzigzag(schema);
  if (signed_schema < INT32_MIN || signed_schema > INT32_MAX) return false;
  if ((flags & ~(kHintMask | kIntegerCounts)) != 0) return false;
  histogram.schema = static_cast<int32_t>(signed_schema);
  histogram.reset_hint = static_cast<model::CounterResetHint>(flags & kHintMask);
  histogram.integer_counts = (flags & kIntegerCounts) != 0;
  return take_number(bytes, histogram.zero_threshold) && take_number(bytes, histogram.zero_count) &&
         take_number(bytes, histogram.count) && take_number(bytes, histogram.sum) &&
         take_spans(bytes, histogram.positive_spans) &&
         take_spans(bytes, histogram.negative_spans) &&
         take_numbers(bytes, histogram.positive_counts) &&
         take_numbers(bytes, histogram.negative_counts) &&
         take_numbers(bytes, histogram.custom_bounds);
}

// A timestamp of 0 means that none was given, and has to come back as 0: it is written
// like any other, as its distance.
void append_exemplar(std::string& out, const model::Exemplar& exemplar, int64_t base_ms) {
  core::append_varint(out, core::zigzag(distance(base_ms, exemplar.timestamp_ms)));
  append_number(out, exemplar.value);
  core::append_string(out, exemplar.labels.bytes());
}

bool take_exemplar(std::string_view& bytes, model::Exemplar& exemplar, int64_t base_ms) {
  std::string_view labels;
  if (!take_time(bytes, exemplar.timestamp_ms, base_ms)) return false;
  if (!take_number(bytes, exemplar.value) || !core::take_string(bytes, labels)) return false;
  exemplar.labels = model::Labels::from_canonical(labels);
  return true;
}

void append_metadata(std::string& out, const model::Metadata& metadata) {
  core::append_string(out, metadata.metric);
  out.push_back(static_cast<char>(metadata.type));
  core::append_string(out, metadata.unit);
  core::append_string(out, metadata.help);
}

bool take_metadata(std::string_view& bytes, model::Metadata& metadata) {
  std::string_view metric;
  std::string_view unit;
  std::string_view help;
  uint8_t type = 0;
  if (!core::take_string(bytes, metric) || !take_byte(bytes, type) || type > kMetricTypeMax ||
      !core::take_string(bytes, unit) || !core::take_string(bytes, help)) {
    return false;
  }
  metadata = {.metric = std::string(metric),
              .type = static_cast<model::MetricType>(type),
              .unit = std::string(unit),
              .help = std::string(help)};
  return true;
}

}  // namespace encoding
