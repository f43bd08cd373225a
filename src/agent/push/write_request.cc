#include "agent/push/write_request.h"

#include "core/bytes.h"
#include "core/varint.h"

#include <algorithm>
#include <bit>
#include <snappy.h>

namespace agent {
namespace {

// Tags of the messages: field number and wire type.
constexpr char kTimeSeries = 1 << 3 | 2;  // of WriteRequest
constexpr char kMetadata = 3 << 3 | 2;
constexpr char kSample = 2 << 3 | 2;  // of TimeSeries; its labels are the batch's bytes
constexpr char kValue = 1 << 3 | 1;   // of Sample
constexpr char kTimestamp = 2 << 3 | 0;
constexpr char kType = 1 << 3 | 0;  // of MetricMetadata
constexpr char kFamily = 2 << 3 | 2;
constexpr char kHelp = 4 << 3 | 2;
constexpr char kUnit = 5 << 3 | 2;

// MetricMetadata.MetricType
uint64_t wire_type_of(model::MetricType type) {
  switch (type) {
    case model::MetricType::Counter:
      return 1;
    case model::MetricType::Gauge:
      return 2;
    case model::MetricType::Histogram:
      return 3;
    case model::MetricType::GaugeHistogram:
      return 4;
    case model::MetricType::Summary:
      return 5;
    case model::MetricType::Info:
      return 6;
    case model::MetricType::StateSet:
      return 7;
    default:
      return 0;
  }
}

void append_bytes(std::string& out, char tag, std::string_view bytes) {
  if (bytes.empty()) return;
  out += tag;
  core::append_string(out, bytes);
}

}  // namespace

WriteRequest encode_write_request(const storage::WriteBatch& batch) {
  ENSURE(batch.histograms.empty() && batch.exemplars.empty());
  WriteRequest request;
  std::string message;
  std::string series;
  std::string sample;
  for (const storage::BatchSeries& one : batch.series) {
    series.assign(one.labels);
    for (const model::Sample& at : batch.samples_of(one)) {
      sample.assign(1, kValue);
      core::append_le(sample, std::bit_cast<uint64_t>(at.value));
      sample += kTimestamp;
      core::append_varint(sample, static_cast<uint64_t>(at.timestamp_ms));
      append_bytes(series, kSample, sample);
      request.first_ms =
          request.samples == 0 ? at.timestamp_ms : std::min(request.first_ms, at.timestamp_ms);
      request.last_ms =
          request.samples == 0 ? at.timestamp_ms : std::max(request.last_ms, at.timestamp_ms);
      ++request.samples;
    }
    append_bytes(message, kTimeSeries, series);
  }
  for (const model::Metadata& metadata : batch.metadata) {
    std::string one(1, kType);
    core::append_varint(one, wire_type_of(metadata.type));
    append_bytes(one, kFamily, metadata.metric);
    append_bytes(one, kHelp, metadata.help);
    append_bytes(one, kUnit, metadata.unit);
    append_bytes(message, kMetadata, one);
  }
  snappy::Compress(message.data(), message.size(), &request.body);
  return request;
}

}  // namespace agent
