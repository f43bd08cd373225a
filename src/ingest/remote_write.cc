#include "ingest/remote_write.h"

#include "core/metrics.h"
#include "core/utf8.h"
#include "ingest/histogram_decoder.h"
#include "ingest/refusals.h"
#include "ingest/wire_reader.h"

#include <fmt/core.h>

namespace ingest {

using core::ErrorCode;
using core::Result;
using storage::RefusalReason;

namespace {

constexpr uint32_t kRequestSeries = wire_tag(1, WireType::Bytes);
constexpr uint32_t kRequestMetadata = wire_tag(3, WireType::Bytes);
// What io.prometheus.write.v2.Request has instead.
constexpr uint32_t kVersion2Symbols = wire_tag(4, WireType::Bytes);
constexpr uint32_t kVersion2Series = wire_tag(5, WireType::Bytes);

constexpr uint32_t kSeriesLabel = wire_tag(1, WireType::Bytes);
constexpr uint32_t kSeriesSample = wire_tag(2, WireType::Bytes);
constexpr uint32_t kSeriesExemplar = wire_tag(3, WireType::Bytes);
constexpr uint32_t kSeriesHistogram = wire_tag(4, WireType::Bytes);

constexpr uint32_t kLabelName = wire_tag(1, WireType::Bytes);
constexpr uint32_t kLabelValue = wire_tag(2, WireType::Bytes);

constexpr uint32_t kSampleValue = wire_tag(1, WireType::Fixed64);
constexpr uint32_t kSampleTimestamp = wire_tag(2, WireType::Varint);

constexpr uint32_t kExemplarLabel = wire_tag(1, WireType::Bytes);
constexpr uint32_t kExemplarValue = wire_tag(2, WireType::Fixed64);
constexpr uint32_t kExemplarTimestamp = wire_tag(3, WireType::Varint);

constexpr uint32_t kMetadataType = wire_tag(1, WireType::Varint);
constexpr uint32_t kMetadataName = wire_tag(2, WireType::Bytes);
constexpr uint32_t kMetadataHelp = wire_tag(4, WireType::Bytes);
constexpr uint32_t kMetadataUnit = wire_tag(5, WireType::Bytes);

// Sizes below this fit one length byte, which the fast path for labels demands.
constexpr size_t kShortSize = 0x80;
// OpenMetrics allows exemplars 128 characters of labels; UTF-8 has up to 4 bytes each.
constexpr size_t kExemplarLabelsSizeMax = 1024;

// The labels of one series while its fields are read.
struct LabelRun {
  const char* begin = nullptr;
  const char* end = nullptr;
  size_t count = 0;
  bool contiguous = true;
  bool foreign_fields = false;  // in a label: what the sink would not read
};

class Decoder {
 public:
  Decoder(std::string_view message, const Limits& limits, storage::WriteBatch& batch,
          storage::AppendSummary& refused)
      : message_(message), limits_(limits), batch_(batch), refused_(refused) {}

  Result<void> request() {
    WireReader in(message_);
    bool known = message_.empty();
    bool version2 = false;
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return malformed(in, "field tag of the WriteRequest");
      std::string_view content;
      if (tag == kRequestSeries) {
        if (!in.bytes(content)) return malformed(in, "length of a TimeSeries");
        if (!series(content)) return std::move(error_);
        known = true;
      } else if (tag == kRequestMetadata) {
        if (!in.bytes(content)) return malformed(in, "length of a MetricMetadata");
        if (!metadata(content)) return std::move(error_);
        known = true;
      } else {
        version2 |= tag == kVersion2Symbols || tag == kVersion2Series;
        if (!in.skip(tag)) return malformed(in, "unknown field of the WriteRequest");
      }
    }
    if (version2) {
      return core::fail(ErrorCode::InvalidArgument,
                        "this is a remote write 2.0 message (io.prometheus.write.v2.Request); "
                        "expected 1.0 (prometheus.WriteRequest)");
    }
    if (!known) {
      return core::fail(ErrorCode::InvalidArgument,
                        "no field of a prometheus.WriteRequest in {} bytes", message_.size());
    }
    return {};
  }

 private:
  bool series(std::string_view bytes) {
    batch_.begin_series({});
    LabelRun labels;
    WireReader in(bytes);
    while (!in.at_end()) {
      const char* const start = in.position();
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of a TimeSeries");
      std::string_view content;
      switch (tag) {
        case kSeriesLabel:
          if (!in.bytes(content)) return fail(in, "length of a Label");
          if (!label(content, labels)) return false;
          if (labels.count++ == 0) {
            labels.begin = start;
          } else if (labels.end != start) {
            labels.contiguous = false;
          }
          labels.end = in.position();
          break;
        case kSeriesSample:
          if (!in.bytes(content)) return fail(in, "length of a Sample");
          if (!sample(content)) return false;
          break;
        case kSeriesExemplar:
          if (!in.bytes(content)) return fail(in, "length of an Exemplar");
          if (!exemplar(content)) return false;
          break;
        case kSeriesHistogram:
          if (!in.bytes(content)) return fail(in, "length of a Histogram");
          if (!histogram(content)) return false;
          break;
        default:
          if (!in.skip(tag)) return fail(in, "unknown field of a TimeSeries");
      }
    }
    return finish_series(bytes, labels);
  }

  bool finish_series(std::string_view bytes, LabelRun& labels) {
    storage::BatchSeries& series = batch_.series.back();
    if (labels.contiguous && !labels.foreign_fields) {
      series.labels = {labels.begin, static_cast<size_t>(labels.end - labels.begin)};
    } else {
      series.labels = batch_.keep(gathered_labels(bytes));
    }
    for (auto& [reason, text] : bad_histograms_) {
      refused_histogram(series.labels, reason, text);
    }
    bad_histograms_.clear();
    const bool empty = series.samples_begin == series.samples_end &&
                       series.histograms_begin == series.histograms_end &&
                       series.exemplars_begin == series.exemplars_end;
    if (empty) batch_.series.pop_back();
    return true;
  }

  // The labels of a series whose bytes cannot be handed on as they are.
  std::string gathered_labels(std::string_view bytes) const {
    std::string out;
    WireReader in(bytes);
    uint32_t tag = 0;
    while (in.tag(tag)) {  // cannot fail before the end: the bytes were read before
      if (tag != kSeriesLabel) {
        in.skip(tag);
        continue;
      }
      std::string_view content;
      std::string_view name;
      std::string_view value;
      in.bytes(content);
      WireReader fields(content);
      while (fields.tag(tag)) {
        if (tag == kLabelName) {
          fields.bytes(name);
        } else if (tag == kLabelValue) {
          fields.bytes(value);
        } else {
          fields.skip(tag);
        }
      }
      model::append_label(out, name, value);
    }
    return out;
  }

  bool label(std::string_view bytes, LabelRun& run) {
    // Nearly every label is name, then value, both short.
    if (bytes.size() >= 4 && bytes[0] == kLabelName) {
      const auto name_size = static_cast<uint8_t>(bytes[1]);
      if (name_size < kShortSize && name_size + size_t{4} <= bytes.size()) {
        const auto value_size = static_cast<uint8_t>(bytes[name_size + size_t{3}]);
        if (bytes[name_size + size_t{2}] == kLabelValue && value_size < kShortSize &&
            name_size + value_size + size_t{4} == bytes.size()) {
          return true;
        }
      }
    }
    return any_label(bytes, run);
  }

  bool any_label(std::string_view bytes, LabelRun& run) {
    WireReader in(bytes);
    std::string_view name;
    std::string_view value;
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of a Label");
      if (tag == kLabelName) {
        if (!in.bytes(name)) return fail(in, "name of a Label");
      } else if (tag == kLabelValue) {
        if (!in.bytes(value)) return fail(in, "value of a Label");
      } else {
        run.foreign_fields = true;
        if (!in.skip(tag)) return fail(in, "unknown field of a Label");
      }
    }
    return true;
  }

  bool sample(std::string_view bytes) {
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
      } else if (!in.skip(tag)) {
        return fail(in, "unknown field of a Sample");
      }
    }
    if (!count_sample()) return false;
    batch_.add_sample(static_cast<int64_t>(timestamp), value);
    return true;
  }

  bool exemplar(std::string_view bytes) {
    model::Exemplar exemplar;
    std::vector<std::pair<std::string, std::string>> labels;
    size_t labels_size = 0;
    WireReader in(bytes);
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of an Exemplar");
      uint64_t timestamp = 0;
      std::string_view content;
      if (tag == kExemplarLabel) {
        if (!in.bytes(content)) return fail(in, "length of a Label of an Exemplar");
        LabelRun run;
        if (!any_label(content, run)) return false;
        labels_size += content.size();
        std::pair<std::string, std::string>& pair = labels.emplace_back();
        WireReader fields(content);
        while (fields.tag(tag)) {
          std::string_view text;
          if (tag == kLabelName && fields.bytes(text)) {
            pair.first = text;
          } else if (tag == kLabelValue && fields.bytes(text)) {
            pair.second = text;
          } else {
            fields.skip(tag);
          }
        }
      } else if (tag == kExemplarValue) {
        if (!in.float64(exemplar.value)) return fail(in, "value of an Exemplar");
      } else if (tag == kExemplarTimestamp) {
        if (!in.varint(timestamp)) return fail(in, "timestamp of an Exemplar");
        exemplar.timestamp_ms = static_cast<int64_t>(timestamp);
      } else if (!in.skip(tag)) {
        return fail(in, "unknown field of an Exemplar");
      }
    }
    // Losing an exemplar never costs a sample: what is not fit to keep is left out.
    bool keep = labels_size <= kExemplarLabelsSizeMax;
    for (const auto& [name, value] : labels) {
      keep = keep && !name.empty() && core::is_utf8(name) && core::is_utf8(value);
    }
    if (!keep) return true;
    exemplar.labels = model::Labels::of(std::move(labels));
    batch_.add_exemplar(std::move(exemplar));
    return true;
  }

  bool histogram(std::string_view bytes) {
    if (!count_sample()) return false;
    DecodedHistogram decoded;
    if (WireFault fault; !decode_histogram(bytes, decoded, fault)) {
      return fail(fault.position, fault.what);
    }
    std::string wrong = contradiction(decoded.histogram);
    RefusalReason reason = RefusalReason::InvalidSample;
    const size_t buckets =
        decoded.histogram.positive_counts.size() + decoded.histogram.negative_counts.size();
    if (wrong.empty() && buckets > limits_.histogram_buckets_max) {
      if (reduce_buckets(decoded.histogram, limits_.histogram_buckets_max)) {
        count_reduced();
      } else {
        wrong =
            fmt::format("{} buckets, the limit is {}, and its resolution cannot be lowered to it",
                        buckets, limits_.histogram_buckets_max);
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

  static void count_reduced() {
    static core::Counter& reduced =
        core::counter("petrel_ingest_reduced_histograms_total",
                      "Native histograms whose resolution was lowered to the limit of buckets.");
    reduced.add();
  }

  void refused_histogram(std::string_view labels, RefusalReason reason, std::string_view text) {
    refused_.refuse(
        reason, 1,
        fmt::format("{}: {}", model::LabelsView(labels).metric_name().substr(0, 100), text));
  }

  bool metadata(std::string_view bytes) {
    model::Metadata metadata;
    WireReader in(bytes);
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of a MetricMetadata");
      uint64_t type = 0;
      std::string_view text;
      if (tag == kMetadataType) {
        if (!in.varint(type)) return fail(in, "type of a MetricMetadata");
        // The numbers of MetricType in prometheus/prompb/types.proto; later ones are unknown.
        if (type <= static_cast<uint64_t>(model::MetricType::StateSet)) {
          metadata.type = static_cast<model::MetricType>(type);
        }
      } else if (tag == kMetadataName) {
        if (!in.bytes(text)) return fail(in, "name of a MetricMetadata");
        metadata.metric = text;
      } else if (tag == kMetadataHelp) {
        if (!in.bytes(text)) return fail(in, "help of a MetricMetadata");
        metadata.help = text;
      } else if (tag == kMetadataUnit) {
        if (!in.bytes(text)) return fail(in, "unit of a MetricMetadata");
        metadata.unit = text;
      } else if (!in.skip(tag)) {
        return fail(in, "unknown field of a MetricMetadata");
      }
    }
    const bool is_text = core::is_utf8(metadata.metric) && core::is_utf8(metadata.help) &&
                         core::is_utf8(metadata.unit);
    if (!metadata.metric.empty() && metadata.metric.size() <= limits_.metric_name_size_max &&
        is_text) {
      batch_.metadata.push_back(std::move(metadata));
    }
    return true;
  }

  bool count_sample() {
    if (++sample_count_ <= limits_.samples_max) return true;
    error_ =
        core::fail(ErrorCode::TooLarge, "more than {} samples in one request", limits_.samples_max);
    return false;
  }

  tl::unexpected<core::Error> malformed(const char* position, std::string_view what) const {
    return core::fail(ErrorCode::InvalidArgument, "malformed {} at byte {} of {}", what,
                      position - message_.data(), message_.size());
  }
  tl::unexpected<core::Error> malformed(const WireReader& in, std::string_view what) const {
    return malformed(in.position(), what);
  }
  bool fail(const char* position, std::string_view what) {
    error_ = malformed(position, what);
    return false;
  }
  bool fail(const WireReader& in, std::string_view what) { return fail(in.position(), what); }

  const std::string_view message_;
  const Limits& limits_;
  storage::WriteBatch& batch_;
  storage::AppendSummary& refused_;
  size_t sample_count_ = 0;
  std::vector<std::pair<RefusalReason, std::string>> bad_histograms_;  // of the series in hand
  tl::unexpected<core::Error> error_{core::Error{}};
};

}  // namespace

Result<void> decode_remote_write(std::string_view message, const Limits& limits,
                                 storage::WriteBatch& batch, storage::AppendSummary& refused) {
  const size_t series_size = batch.series.size();
  const size_t samples_size = batch.samples.size();
  const size_t histograms_size = batch.histograms.size();
  const size_t exemplars_size = batch.exemplars.size();
  const size_t metadata_size = batch.metadata.size();
  storage::AppendSummary found;
  Result<void> result = Decoder(message, limits, batch, found).request();
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
