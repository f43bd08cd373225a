#include "ingest/request_decoder.h"

#include "core/metrics.h"
#include "core/utf8.h"
#include "ingest/histogram_decoder.h"
#include "ingest/refusals.h"

#include <fmt/core.h>

namespace ingest {

using core::ErrorCode;
using core::Result;
using storage::RefusalReason;

namespace {

constexpr uint32_t kSampleStart = wire_tag(3, WireType::Varint);

void count_reduced() {
  static core::Counter& reduced =
      core::counter("petrel_ingest_reduced_histograms_total",
                    "Native histograms whose resolution was lowered to the limit of buckets.");
  reduced.add();
}

}  // namespace

bool RequestDecoder::any_sample(std::string_view bytes, int64_t& start_ms) {
  double value = 0;
  uint64_t timestamp = 0;
  WireReader in(bytes);
  while (!in.at_end()) {
    uint32_t tag = 0;
    if (!in.tag(tag)) return fail(in, "field tag of a Sample");
    if (tag == kSampleValue) {
      if (!in.float64(value)) return fail(in, "value of a Sample");
    } else if (tag == kSampleTimestamp) {
      if (!in.varint(timestamp)) return fail(in, "timestamp of a Sample");
    } else if (tag == kSampleStart) {
      uint64_t start = 0;
      if (!in.varint(start)) return fail(in, "start timestamp of a Sample");
      start_ms = static_cast<int64_t>(start);
    } else if (!in.skip(tag)) {
      return fail(in, "unknown field of a Sample");
    }
  }
  if (!count()) return false;
  batch_.add_sample(static_cast<int64_t>(timestamp), value);
  return true;
}

bool RequestDecoder::histogram(std::string_view bytes, int64_t& start_ms) {
  if (!count()) return false;
  DecodedHistogram decoded;
  if (WireFault fault; !decode_histogram(bytes, decoded, fault)) {
    return fail(fault.position, fault.what);
  }
  if (decoded.start_ms != 0) start_ms = decoded.start_ms;
  std::string wrong = contradiction(decoded.histogram);
  RefusalReason reason = RefusalReason::InvalidSample;
  const size_t buckets =
      decoded.histogram.positive_counts.size() + decoded.histogram.negative_counts.size();
  if (wrong.empty() && buckets > limits_.histogram_buckets_max) {
    if (reduce_buckets(decoded.histogram, limits_.histogram_buckets_max)) {
      count_reduced();
    } else {
      wrong = fmt::format(
          "{} buckets, the limit is {} ({}), and its resolution cannot be lowered to it", buckets,
          limits_.histogram_buckets_max, limit_key(&Limits::histogram_buckets_max));
      reason = RefusalReason::LimitExceeded;
    }
  }
  if (!wrong.empty()) {
    bad_histograms_.emplace_back(reason,
                                 fmt::format("histogram @{}: {}", decoded.timestamp_ms, wrong));
    return true;
  }
  batch_.add_histogram(decoded.timestamp_ms, std::move(decoded.histogram));
  return true;
}

void RequestDecoder::refuse_bad_histograms(std::string_view label_bytes) {
  for (const auto& [reason, text] : bad_histograms_) {
    refused_.refuse(
        reason, 1,
        fmt::format("{}: {}", model::LabelsView(label_bytes).metric_name().substr(0, 100), text));
  }
  bad_histograms_.clear();
}

bool RequestDecoder::add_exemplar(model::Exemplar exemplar,
                                  std::vector<std::pair<std::string, std::string>> labels,
                                  size_t labels_size) {
  if (!count()) return false;
  if (labels_size > kExemplarLabelsSizeMax) return true;
  for (const auto& [name, value] : labels) {
    if (name.empty() || !core::is_utf8(name) || !core::is_utf8(value)) return true;
  }
  exemplar.labels = model::Labels::of(std::move(labels));
  batch_.add_exemplar(std::move(exemplar));
  return true;
}

bool RequestDecoder::add_metadata(model::Metadata metadata) {
  if (!count()) return false;
  if (metadata.metric.empty() || metadata.metric.size() > limits_.metric_name_size_max ||
      !core::is_utf8(metadata.metric) || !core::is_utf8(metadata.help) ||
      !core::is_utf8(metadata.unit)) {
    return true;
  }
  batch_.metadata.push_back(std::move(metadata));
  return true;
}

bool RequestDecoder::too_many() {
  error_ = core::fail(ErrorCode::TooLarge, "more than {} samples in one request ({})",
                      limits_.samples_max, limit_key(&Limits::samples_max));
  return false;
}

tl::unexpected<core::Error> RequestDecoder::malformed(const char* position,
                                                      std::string_view what) const {
  return core::fail(ErrorCode::InvalidArgument, "malformed {} at byte {} of {}", what,
                    position - message_.data(), message_.size());
}

Result<void> decode_whole(storage::WriteBatch& batch, storage::AppendSummary& refused,
                          const std::function<Result<void>(storage::AppendSummary&)>& decode) {
  const size_t series_size = batch.series.size();
  const size_t samples_size = batch.samples.size();
  const size_t histograms_size = batch.histograms.size();
  const size_t exemplars_size = batch.exemplars.size();
  const size_t metadata_size = batch.metadata.size();
  storage::AppendSummary found;
  Result<void> result = decode(found);
  if (!result) {
    batch.series.resize(series_size);
    batch.samples.resize(samples_size);
    batch.histograms.resize(histograms_size);
    batch.exemplars.resize(exemplars_size);
    batch.metadata.resize(metadata_size);
    return result;
  }
  merge_refusals(found, refused);
  return result;
}

}  // namespace ingest
