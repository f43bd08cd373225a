#include "ingest/remote_write_v2.h"

#include "ingest/request_decoder.h"
#include "ingest/wire_reader.h"

#include <algorithm>
#include <cstring>
#include <fmt/core.h>

namespace ingest {

using core::ErrorCode;
using core::Result;
using storage::RefusalReason;

namespace {

// What prometheus.WriteRequest has instead.
constexpr uint32_t kVersion1Series = wire_tag(1, WireType::Bytes);
constexpr uint32_t kVersion1Metadata = wire_tag(3, WireType::Bytes);
constexpr uint32_t kRequestSymbol = wire_tag(4, WireType::Bytes);
constexpr uint32_t kRequestSeries = wire_tag(5, WireType::Bytes);

constexpr uint32_t kSeriesLabels = wire_tag(1, WireType::Bytes);
constexpr uint32_t kSeriesLabel = wire_tag(1, WireType::Varint);
constexpr uint32_t kSeriesSample = wire_tag(2, WireType::Bytes);
constexpr uint32_t kSeriesHistogram = wire_tag(3, WireType::Bytes);
constexpr uint32_t kSeriesExemplar = wire_tag(4, WireType::Bytes);
constexpr uint32_t kSeriesMetadata = wire_tag(5, WireType::Bytes);
constexpr uint32_t kSeriesCreated = wire_tag(6, WireType::Varint);

constexpr uint32_t kExemplarLabels = wire_tag(1, WireType::Bytes);
constexpr uint32_t kExemplarLabel = wire_tag(1, WireType::Varint);
constexpr uint32_t kExemplarValue = wire_tag(2, WireType::Fixed64);
constexpr uint32_t kExemplarTimestamp = wire_tag(3, WireType::Varint);

constexpr uint32_t kMetadataType = wire_tag(1, WireType::Varint);
constexpr uint32_t kMetadataHelp = wire_tag(3, WireType::Varint);
constexpr uint32_t kMetadataUnit = wire_tag(4, WireType::Varint);

// Label and its name and value in 1.0's TimeSeries (model/labels.h).
constexpr char kLabelTag = 0x0a;
constexpr char kNameTag = 0x0a;
constexpr char kValueTag = 0x12;

// Short symbols are copied by a move of this fixed size, which costs a tenth of a call.
constexpr size_t kMoveSize = 32;

// A string of the request with its length in front, as it stands in the message and as
// it has to stand in a label.
struct Symbol {
  const char* begin = nullptr;
  uint32_t size = 0;       // with the length
  uint32_t text_size = 0;  // without

  std::string_view text() const { return {begin + (size - text_size), text_size}; }
};

struct SeriesMetadata {
  uint32_t type = 0;
  uint32_t help = 0;  // a reference; 0: none
  uint32_t unit = 0;

  bool operator==(const SeriesMetadata&) const = default;
};

size_t varint_size(size_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// The metric that metadata of a series is about: a histogram's is not named foo_bucket.
std::string_view family_of(std::string_view name, model::MetricType type) {
  using model::MetricType;
  const bool has_buckets = type == MetricType::Histogram || type == MetricType::GaugeHistogram;
  if (!has_buckets && type != MetricType::Summary) return name;
  for (const std::string_view suffix : {"_bucket", "_count", "_sum"}) {
    if (suffix == "_bucket" && !has_buckets) continue;
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return name.substr(0, name.size() - suffix.size());
    }
  }
  return name;
}

class Decoder : RequestDecoder {
 public:
  Decoder(std::string_view message, StartTimes start_times, const Limits& limits,
          storage::WriteBatch& batch, storage::AppendSummary& refused)
      : RequestDecoder(message, limits, batch, refused),
        start_times_(start_times),
        refs_max_(2 * (limits.labels_max + 1)) {}

  Result<void> request() {
    TRY(read_symbols());
    WireReader in(message_);
    while (!in.at_end()) {
      uint32_t tag = 0;
      std::string_view content;
      if (!in.tag(tag)) return malformed(in, "field tag of the Request");
      if (tag != kRequestSeries) {
        in.skip(tag);  // read before
        continue;
      }
      if (!in.bytes(content)) return malformed(in, "length of a TimeSeries");
      if (!series(content)) return std::move(error_);
    }
    return {};
  }

 private:
  // First of all: protobuf allows symbols behind the series that refer to them.
  Result<void> read_symbols() {
    WireReader in(message_);
    bool known = message_.empty();
    bool version1 = false;
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return malformed(in, "field tag of the Request");
      if (tag == kRequestSymbol) {
        const char* const begin = in.position();
        std::string_view text;
        if (!in.bytes(text)) return malformed(in, "length of a symbol");
        if (symbols_.size() >= limits_.symbols_max) {
          return core::fail(ErrorCode::TooLarge, "more than {} symbols in one request",
                            limits_.symbols_max);
        }
        symbols_.push_back({begin, static_cast<uint32_t>(in.position() - begin),
                            static_cast<uint32_t>(text.size())});
        known = true;
        continue;
      }
      known |= tag == kRequestSeries;
      version1 |= tag == kVersion1Series || tag == kVersion1Metadata;
      if (!in.skip(tag)) return malformed(in, "field of the Request");
    }
    if (known) return {};
    if (version1) {
      return core::fail(ErrorCode::InvalidArgument,
                        "this is a remote write 1.0 message (prometheus.WriteRequest); its "
                        "Content-Type is application/x-protobuf");
    }
    return core::fail(ErrorCode::InvalidArgument,
                      "no field of an io.prometheus.write.v2.Request in {} bytes", message_.size());
  }

  bool series(std::string_view bytes) {
    const size_t first = batch_.series.size();
    begin_series();
    refs_.clear();
    ref_count_ = 0;
    created_ms_ = 0;
    bool has_metadata = false;
    SeriesMetadata metadata;
    WireReader in(bytes);
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of a TimeSeries");
      std::string_view content;
      uint64_t number = 0;
      switch (tag) {
        case kSeriesLabels:
          if (!in.bytes(content)) return fail(in, "length of the labels_refs of a TimeSeries");
          if (!references(content, refs_, ref_count_)) return false;
          break;
        case kSeriesLabel:
          if (!in.varint(number)) return fail(in, "labels_refs of a TimeSeries");
          add_reference(number, refs_, ref_count_);
          break;
        case kSeriesSample:
          if (!in.bytes(content)) return fail(in, "length of a Sample");
          if (!timed([&](int64_t& start_ms) { return sample(content, start_ms); })) return false;
          break;
        case kSeriesHistogram:
          if (!in.bytes(content)) return fail(in, "length of a Histogram");
          if (!timed([&](int64_t& start_ms) { return histogram(content, start_ms); })) return false;
          break;
        case kSeriesExemplar:
          if (!in.bytes(content)) return fail(in, "length of an Exemplar");
          if (!exemplar(content)) return false;
          break;
        case kSeriesMetadata:
          if (!in.bytes(content)) return fail(in, "length of a Metadata");
          if (!read_metadata(content, metadata)) return false;
          has_metadata = true;
          break;
        case kSeriesCreated:
          if (!in.varint(number)) return fail(in, "created_timestamp of a TimeSeries");
          created_ms_ = static_cast<int64_t>(number);
          break;
        default:
          if (!in.skip(tag)) return fail(in, "unknown field of a TimeSeries");
      }
    }
    return finish_series(first, has_metadata ? &metadata : nullptr);
  }

  // Reads a sample or histogram. One that began to count at another time than those
  // before it starts a series of its own in the batch, with the same labels.
  template <typename Read>
  bool timed(Read read) {
    if (start_times_ == StartTimes::Ignored) {
      int64_t ignored = 0;
      return read(ignored);
    }
    storage::BatchSeries before = batch_.series.back();
    int64_t start_ms = 0;
    if (!read(start_ms)) return false;
    storage::BatchSeries& after = batch_.series.back();
    const bool is_first = before.samples_begin == before.samples_end &&
                          before.histograms_begin == before.histograms_end;
    if (is_first) {
      after.created_ms = start_ms;
    } else if (start_ms != before.created_ms) {
      storage::BatchSeries next = after;
      next.samples_begin = before.samples_end;
      next.histograms_begin = before.histograms_end;
      next.exemplars_begin = before.exemplars_end;
      next.created_ms = start_ms;
      after = before;
      batch_.series.push_back(next);
    }
    return true;
  }

  // Numbers beyond any symbol are kept as such; more than a series may have are counted.
  void add_reference(uint64_t number, std::vector<uint32_t>& refs, size_t& count) const {
    ++count;
    if (refs.size() >= refs_max_) return;
    refs.push_back(static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX)));
  }

  bool references(std::string_view packed, std::vector<uint32_t>& refs, size_t& count) {
    for (WireReader in(packed); !in.at_end();) {
      uint64_t number = 0;
      if (!in.varint(number)) return fail(in, "reference to a symbol");
      add_reference(number, refs, count);
    }
    return true;
  }

  // Why no label set can be made of the references; empty when one can. `size` becomes
  // that of its bytes.
  std::pair<RefusalReason, std::string> defect(size_t& size) const {
    if (ref_count_ % 2 != 0) {
      return {RefusalReason::InvalidLabels,
              fmt::format("{} label references, expected pairs of name and value", ref_count_)};
    }
    if (ref_count_ / 2 > limits_.labels_max) {
      return {RefusalReason::LimitExceeded,
              fmt::format("{} labels, the limit is {} ({})", ref_count_ / 2, limits_.labels_max,
                          limit_key(&Limits::labels_max))};
    }
    size = 0;
    for (size_t i = 0; i < refs_.size(); i += 2) {
      const uint32_t largest = std::max(refs_[i], refs_[i + 1]);
      if (largest >= symbols_.size()) {
        return {RefusalReason::InvalidLabels,
                fmt::format("a label refers to symbol {}, the request has {}", largest,
                            symbols_.size())};
      }
      const Symbol& name = symbols_[refs_[i]];
      const Symbol& value = symbols_[refs_[i + 1]];
      if (name.text_size > limits_.label_name_size_max) {
        return {RefusalReason::LimitExceeded,
                fmt::format("label name of {} bytes, the limit is {} ({})", name.text_size,
                            limits_.label_name_size_max, limit_key(&Limits::label_name_size_max))};
      }
      if (value.text_size > limits_.metric_name_size_max ||
          value.text_size > limits_.label_value_size_max) {
        if (std::string text = too_long(name, value); !text.empty()) {
          return {RefusalReason::LimitExceeded, std::move(text)};
        }
      }
      const size_t inner = 2 + name.size + value.size;
      size += 1 + varint_size(inner) + inner;
    }
    return {};
  }

  std::string too_long(const Symbol& name, const Symbol& value) const {
    if (name.text() == model::kMetricName) {
      if (value.text_size <= limits_.metric_name_size_max) return "";
      return fmt::format("metric name of {} bytes, the limit is {} ({})", value.text_size,
                         limits_.metric_name_size_max, limit_key(&Limits::metric_name_size_max));
    }
    if (value.text_size <= limits_.label_value_size_max) return "";
    return fmt::format("value of label {} has {} bytes, the limit is {} ({})", name.text(),
                       value.text_size, limits_.label_value_size_max,
                       limit_key(&Limits::label_value_size_max));
  }

  char* put(char* to, const Symbol& symbol) const {
    const size_t readable = static_cast<size_t>(message_.data() + message_.size() - symbol.begin);
    if (symbol.size <= kMoveSize && readable >= kMoveSize) {
      std::memcpy(to, symbol.begin, kMoveSize);
    } else {
      std::memcpy(to, symbol.begin, symbol.size);
    }
    return to + symbol.size;
  }

  // The references as label bytes, in memory of the batch.
  std::string_view label_bytes(size_t size) {
    char* const begin = batch_.allocate(size + kMoveSize);
    char* to = begin;
    for (size_t i = 0; i < refs_.size(); i += 2) {
      const Symbol& name = symbols_[refs_[i]];
      const Symbol& value = symbols_[refs_[i + 1]];
      *to++ = kLabelTag;
      size_t inner = 2 + name.size + value.size;
      for (; inner >= 0x80; inner >>= 7) *to++ = static_cast<char>(inner | 0x80);
      *to++ = static_cast<char>(inner);
      *to++ = kNameTag;
      to = put(to, name);
      *to++ = kValueTag;
      to = put(to, value);
    }
    return {begin, size};
  }

  bool finish_series(size_t first, const SeriesMetadata* metadata) {
    size_t size = 0;
    auto [reason, why] = defect(size);
    const storage::BatchSeries& last = batch_.series.back();
    const storage::BatchSeries begin = batch_.series[first];
    const uint64_t count =
        (last.samples_end - begin.samples_begin) + (last.histograms_end - begin.histograms_begin);
    const bool is_empty = count == 0 && last.exemplars_end == begin.exemplars_begin;
    if (why.empty() && is_empty && !has_bad_histograms()) {
      reason = RefusalReason::InvalidSample;
      why = "neither samples nor histograms nor exemplars";
    }
    if (!why.empty()) {
      refused_.refuse(reason, std::max<uint64_t>(count, 1),
                      fmt::format("{}: {}", metric_name().substr(0, 100), why));
    }
    std::string_view labels;
    if (why.empty()) {
      if (!within_memory(size)) return false;
      labels = label_bytes(size);
    }
    refuse_bad_histograms(labels);
    if (!why.empty() || is_empty) {
      batch_.samples.resize(begin.samples_begin);
      batch_.histograms.resize(begin.histograms_begin);
      batch_.exemplars.resize(begin.exemplars_begin);
      batch_.series.resize(first);
      return true;
    }
    for (size_t i = first; i < batch_.series.size(); ++i) {
      batch_.series[i].labels = labels;
      if (start_times_ == StartTimes::Kept && batch_.series[i].created_ms == 0) {
        batch_.series[i].created_ms = created_ms_;
      }
    }
    return metadata == nullptr || add_series_metadata(*metadata);
  }

  // A few symbols can stand for a great many bytes of labels.
  bool within_memory(size_t size) {
    expanded_size_ += size;
    if (expanded_size_ <= limits_.decoded_size_max) return true;
    error_ = core::fail(ErrorCode::TooLarge,
                        "the labels of the series take more than {} bytes in one request ({})",
                        limits_.decoded_size_max, limit_key(&Limits::decoded_size_max));
    return false;
  }

  // The reference that is the metric's name; of a series that has none, that of "".
  uint32_t metric_name_ref() const {
    for (size_t i = 0; i + 1 < refs_.size(); i += 2) {
      if (std::max(refs_[i], refs_[i + 1]) < symbols_.size() &&
          symbols_[refs_[i]].text() == model::kMetricName) {
        return refs_[i + 1];
      }
    }
    return 0;
  }

  std::string_view text_of(uint32_t ref) const {
    return ref != 0 && ref < symbols_.size() ? symbols_[ref].text() : std::string_view();
  }
  std::string_view metric_name() const { return text_of(metric_name_ref()); }

  bool exemplar(std::string_view bytes) {
    model::Exemplar exemplar;
    exemplar_refs_.clear();
    size_t ref_count = 0;
    WireReader in(bytes);
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of an Exemplar");
      uint64_t number = 0;
      std::string_view content;
      if (tag == kExemplarLabels) {
        if (!in.bytes(content)) return fail(in, "length of the labels_refs of an Exemplar");
        if (!references(content, exemplar_refs_, ref_count)) return false;
      } else if (tag == kExemplarLabel) {
        if (!in.varint(number)) return fail(in, "labels_refs of an Exemplar");
        add_reference(number, exemplar_refs_, ref_count);
      } else if (tag == kExemplarValue) {
        if (!in.float64(exemplar.value)) return fail(in, "value of an Exemplar");
      } else if (tag == kExemplarTimestamp) {
        if (!in.varint(number)) return fail(in, "timestamp of an Exemplar");
        exemplar.timestamp_ms = static_cast<int64_t>(number);
      } else if (!in.skip(tag)) {
        return fail(in, "unknown field of an Exemplar");
      }
    }
    if (ref_count % 2 != 0 || ref_count != exemplar_refs_.size()) return true;
    size_t size = 0;
    for (const uint32_t ref : exemplar_refs_) {
      if (ref >= symbols_.size()) return true;
      size += symbols_[ref].text_size;
    }
    std::vector<std::pair<std::string, std::string>> labels;
    for (size_t i = 0; size <= kExemplarLabelsSizeMax && i < exemplar_refs_.size(); i += 2) {
      labels.emplace_back(symbols_[exemplar_refs_[i]].text(),
                          symbols_[exemplar_refs_[i + 1]].text());
    }
    return add_exemplar(std::move(exemplar), std::move(labels), size);
  }

  bool read_metadata(std::string_view bytes, SeriesMetadata& metadata) {
    WireReader in(bytes);
    while (!in.at_end()) {
      uint32_t tag = 0;
      if (!in.tag(tag)) return fail(in, "field tag of a Metadata");
      uint64_t number = 0;
      uint32_t* const field = tag == kMetadataType   ? &metadata.type
                              : tag == kMetadataHelp ? &metadata.help
                              : tag == kMetadataUnit ? &metadata.unit
                                                     : nullptr;
      if (field == nullptr) {
        if (!in.skip(tag)) return fail(in, "unknown field of a Metadata");
      } else {
        if (!in.varint(number)) return fail(in, "field of a Metadata");
        *field = static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX));
      }
    }
    return true;
  }

  // Every series carries its metric's metadata; once per metric and request is enough.
  bool add_series_metadata(const SeriesMetadata& one) {
    const uint32_t name = metric_name_ref();
    if (name == 0 || one == SeriesMetadata{}) return true;
    metadata_seen_.resize(symbols_.size());
    if (metadata_seen_[name] == one) return true;
    metadata_seen_[name] = one;
    model::Metadata metadata;
    if (one.type <= static_cast<uint32_t>(model::MetricType::StateSet)) {
      metadata.type = static_cast<model::MetricType>(one.type);
    }
    const std::string_view help = text_of(one.help);
    const std::string_view unit = text_of(one.unit);
    if (!within_memory(help.size() + unit.size())) return false;
    metadata.metric = family_of(text_of(name), metadata.type);
    metadata.help = help;
    metadata.unit = unit;
    return add_metadata(std::move(metadata));
  }

  const StartTimes start_times_;
  const size_t refs_max_;
  std::vector<Symbol> symbols_;
  std::vector<SeriesMetadata> metadata_seen_;  // by the reference of the metric's name
  size_t expanded_size_ = 0;
  // Of the series or exemplar in hand.
  std::vector<uint32_t> refs_;
  size_t ref_count_ = 0;
  std::vector<uint32_t> exemplar_refs_;
  int64_t created_ms_ = 0;
};

}  // namespace

Result<void> decode_remote_write_v2(std::string_view message, StartTimes start_times,
                                    const Limits& limits, storage::WriteBatch& batch,
                                    storage::AppendSummary& refused) {
  return decode_whole(batch, refused, [&](storage::AppendSummary& found) {
    return Decoder(message, start_times, limits, batch, found).request();
  });
}

}  // namespace ingest
