#include "ingest/remote_write.h"

#include "ingest/request_decoder.h"
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

constexpr uint32_t kExemplarLabel = wire_tag(1, WireType::Bytes);
constexpr uint32_t kExemplarValue = wire_tag(2, WireType::Fixed64);
constexpr uint32_t kExemplarTimestamp = wire_tag(3, WireType::Varint);

constexpr uint32_t kMetadataType = wire_tag(1, WireType::Varint);
constexpr uint32_t kMetadataName = wire_tag(2, WireType::Bytes);
constexpr uint32_t kMetadataHelp = wire_tag(4, WireType::Bytes);
constexpr uint32_t kMetadataUnit = wire_tag(5, WireType::Bytes);

// Sizes below this fit one length byte, which the fast path for labels demands.
constexpr size_t kShortSize = 0x80;

// The labels of one series while its fields are read.
struct LabelRun {
  const char* begin = nullptr;
  const char* end = nullptr;
  size_t count = 0;
  bool contiguous = true;
  bool foreign_fields = false;  // in a label: what the sink would not read

  void add(const char* from, const char* to) {
    if (begin == nullptr) begin = from;
    contiguous = contiguous && (end == nullptr || end == from);
    end = to;
  }
};

class Decoder : RequestDecoder {
 public:
  Decoder(std::string_view message, const Limits& limits, storage::WriteBatch& batch,
          storage::AppendSummary& refused)
      : RequestDecoder(message, limits, batch, refused) {}

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
                        "this is a remote write 2.0 message; its Content-Type is "
                        "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    }
    if (!known) {
      return core::fail(ErrorCode::InvalidArgument,
                        "no field of a prometheus.WriteRequest in {} bytes", message_.size());
    }
    return {};
  }

 private:
  bool series(std::string_view bytes) {
    begin_series();
    LabelRun labels;
    int64_t start_ms = 0;  // 1.0 has none
    WireReader in(bytes);
    while (!in.at_end()) {
      const char* const start = in.position();
      if (const size_t size = short_labels(in.rest(), labels.count); size > 0) {
        in.advance(size);
        labels.add(start, in.position());
        continue;
      }
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of a TimeSeries");
      std::string_view content;
      switch (tag) {
        case kSeriesLabel:
          if (!in.bytes(content)) return fail(in, "length of a Label");
          if (!any_label(content, labels)) return false;
          ++labels.count;
          labels.add(start, in.position());
          break;
        case kSeriesSample:
          if (!in.bytes(content)) return fail(in, "length of a Sample");
          if (!sample(content, start_ms)) return false;
          break;
        case kSeriesExemplar:
          if (!in.bytes(content)) return fail(in, "length of an Exemplar");
          if (!exemplar(content)) return false;
          break;
        case kSeriesHistogram:
          if (!in.bytes(content)) return fail(in, "length of a Histogram");
          if (!histogram(content, start_ms)) return false;
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
    refuse_bad_histograms(series.labels);
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

  // How many bytes the labels at the front take that are as nearly every label is: name,
  // then value, both short. Adds to `count`.
  size_t short_labels(std::string_view rest, size_t& count) const {
    constexpr size_t kHead = 4;  // tag and length of the label, tag and length of its name
    const char* at = rest.data();
    const char* const end = at + rest.size();
    const auto byte = [](const char* place) { return static_cast<uint8_t>(*place); };
    while (end - at > static_cast<ptrdiff_t>(kHead) && byte(at) == kSeriesLabel &&
           byte(at + 2) == kLabelName) {
      const size_t inner = byte(at + 1);
      const size_t name_size = byte(at + 3);
      // Of the label: tag and length of the name, name, tag and length of the value, value.
      if (inner >= kShortSize || inner < name_size + kHead ||
          inner + 2 > static_cast<size_t>(end - at)) {
        break;
      }
      const char* const value = at + kHead + name_size;
      if (byte(value) != kLabelValue || byte(value + 1) != inner - name_size - kHead) break;
      at += inner + 2;
      ++count;
    }
    return static_cast<size_t>(at - rest.data());
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
    return add_exemplar(std::move(exemplar), std::move(labels), labels_size);
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
    return add_metadata(std::move(metadata));
  }

};

}  // namespace

Result<void> decode_remote_write(std::string_view message, const Limits& limits,
                                 storage::WriteBatch& batch, storage::AppendSummary& refused) {
  return decode_whole(batch, refused, [&](storage::AppendSummary& found) {
    return Decoder(message, limits, batch, found).request();
  });
}

}  // namespace ingest
