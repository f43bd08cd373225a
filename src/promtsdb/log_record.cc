#include "promtsdb/log_record.h"

#include "promtsdb/chunk.h"
#include "promtsdb/cursor.h"

namespace promtsdb {

using core::ErrorCode;
using core::Result;
using model::Histogram;

namespace {

std::string read_labels(Cursor& cursor) {
  std::string bytes;
  const uint64_t count = cursor.uvarint();
  std::string_view before;
  bool in_order = true;
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  for (uint64_t i = 0; i < count && cursor.ok(); ++i) {
    const std::string_view name = cursor.string();
    const std::string_view value = cursor.string();
    in_order = in_order && !value.empty() && (i == 0 || before < name);
    before = name;
    labels.emplace_back(name, value);
  }
  if (!cursor.ok()) return {};
  if (in_order) {
    for (const auto& [name, value] : labels) model::append_label(bytes, name, value);
    return bytes;
  }
  std::vector<std::pair<std::string, std::string>> pairs(labels.begin(), labels.end());
  return model::Labels::of(std::move(pairs)).bytes();
}

void read_series(Cursor& cursor, LogRecord& record) {
  while (cursor.ok() && !cursor.empty()) {
    LogSeries one;
    one.ref = cursor.be64();
    one.labels = read_labels(cursor);
    if (cursor.ok()) record.series.push_back(std::move(one));
  }
}

// Where references and times of a record start from: version 1 counts both from the
// first sample, version 2 references from the one before, and has a start time too.
class Positions {
 public:
  Positions(Cursor& cursor, bool is_v2) : cursor_(cursor), is_v2_(is_v2) {
    if (cursor_.empty() || is_v2) return;
    ref_ = cursor_.be64();
    time_ms_ = static_cast<int64_t>(cursor_.be64());
  }
  void next(uint64_t& ref, int64_t& time_ms) {
    if (!is_v2_) {
      ref = ref_ + static_cast<uint64_t>(cursor_.varint());
      time_ms = wrapping_add(time_ms_, cursor_.varint());
      return;
    }
    ref_ += static_cast<uint64_t>(cursor_.varint());
    const int64_t time = cursor_.varint();
    if (is_first_) {
      time_ms_ = time;
      (void)cursor_.varint();  // the start time, which Petrel does not keep
    } else {
      constexpr uint8_t kExplicit = 2;
      if (cursor_.byte() >= kExplicit) (void)cursor_.varint();
    }
    ref = ref_;
    time_ms = is_first_ ? time : wrapping_add(time_ms_, time);
    is_first_ = false;
  }

 private:
  Cursor& cursor_;
  const bool is_v2_;
  bool is_first_ = true;
  uint64_t ref_ = 0;
  int64_t time_ms_ = 0;
};

void read_samples(Cursor& cursor, bool is_v2, LogRecord& record) {
  Positions positions(cursor, is_v2);
  while (cursor.ok() && !cursor.empty()) {
    LogSample& one = record.samples.emplace_back();
    positions.next(one.ref, one.sample.timestamp_ms);
    one.sample.value = cursor.be_double();
  }
}

void read_spans(Cursor& cursor, std::vector<model::BucketSpan>& spans) {
  const uint64_t count = cursor.uvarint();
  if (count > cursor.size()) return cursor.fail();
  for (uint64_t i = 0; i < count; ++i) {
    const int64_t offset = cursor.varint();
    const uint64_t length = cursor.uvarint();
    spans.push_back({static_cast<int32_t>(offset), static_cast<uint32_t>(length)});
  }
}

void read_counts(Cursor& cursor, bool is_float, std::vector<double>& counts) {
  const uint64_t count = cursor.uvarint();
  if (count > cursor.size()) return cursor.fail();
  counts.reserve(count);
  int64_t sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (is_float) {
      counts.push_back(cursor.be_double());
    } else {
      sum = wrapping_add(sum, cursor.varint());
      counts.push_back(static_cast<double>(sum));
    }
  }
}

// False where the spans promise other buckets than there are.
bool has_its_buckets(const std::vector<model::BucketSpan>& spans,
                     const std::vector<double>& counts) {
  uint64_t length = 0;
  for (const model::BucketSpan& span : spans) length += span.length;
  return length == counts.size();
}

// Gives the schema, which the histogram has only if it is known.
int64_t read_histogram(Cursor& cursor, bool is_float, Histogram& histogram) {
  switch (cursor.byte()) {
    case 1:
      histogram.reset_hint = model::CounterResetHint::Reset;
      break;
    case 3:
      histogram.reset_hint = model::CounterResetHint::Gauge;
      break;
    default:  // 2, "no reset", is what the counts say too
      break;
  }
  histogram.integer_counts = !is_float;
  const int64_t schema = cursor.varint();
  histogram.schema = static_cast<int32_t>(schema);
  histogram.zero_threshold = cursor.be_double();
  histogram.zero_count = is_float ? cursor.be_double() : static_cast<double>(cursor.uvarint());
  histogram.count = is_float ? cursor.be_double() : static_cast<double>(cursor.uvarint());
  histogram.sum = cursor.be_double();
  read_spans(cursor, histogram.positive_spans);
  read_spans(cursor, histogram.negative_spans);
  read_counts(cursor, is_float, histogram.positive_counts);
  read_counts(cursor, is_float, histogram.negative_counts);
  if (schema == model::kCustomBucketsSchema) {
    const uint64_t count = cursor.uvarint();
    if (count > cursor.size()) {
      cursor.fail();
      return schema;
    }
    for (uint64_t i = 0; i < count; ++i) histogram.custom_bounds.push_back(cursor.be_double());
  }
  if (!has_its_buckets(histogram.positive_spans, histogram.positive_counts) ||
      !has_its_buckets(histogram.negative_spans, histogram.negative_counts)) {
    cursor.fail();
  }
  if (model::is_stale_nan(histogram.sum)) {
    Histogram stale;
    stale.sum = histogram.sum;
    stale.integer_counts = histogram.integer_counts;
    histogram = std::move(stale);
    return 0;
  }
  return schema;
}

void read_histograms(Cursor& cursor, bool is_v2, bool is_float, LogRecord& record) {
  Positions positions(cursor, is_v2);
  while (cursor.ok() && !cursor.empty()) {
    LogHistogram& one = record.histograms.emplace_back();
    positions.next(one.ref, one.sample.timestamp_ms);
    const int64_t schema = read_histogram(cursor, is_float, one.sample.histogram);
    if (is_known_schema(schema)) continue;
    record.histograms.pop_back();
    ++record.unknown_histograms;
  }
}

void read_tombstones(Cursor& cursor, LogRecord& record) {
  while (cursor.ok() && !cursor.empty()) {
    LogTombstone& one = record.tombstones.emplace_back();
    one.ref = cursor.be64();
    one.interval.min_ms = cursor.varint();
    one.interval.max_ms = cursor.varint();
  }
}

void read_exemplars(Cursor& cursor, LogRecord& record) {
  Positions positions(cursor, false);
  while (cursor.ok() && !cursor.empty()) {
    LogExemplar& one = record.exemplars.emplace_back();
    positions.next(one.ref, one.exemplar.timestamp_ms);
    one.exemplar.value = cursor.be_double();
    one.exemplar.labels = model::Labels::from_canonical(read_labels(cursor));
  }
}

void read_metadata(Cursor& cursor, LogRecord& record) {
  using model::MetricType;
  constexpr MetricType kTypes[] = {
      MetricType::Unknown,        MetricType::Counter, MetricType::Gauge, MetricType::Histogram,
      MetricType::GaugeHistogram, MetricType::Summary, MetricType::Info,  MetricType::StateSet};
  while (cursor.ok() && !cursor.empty()) {
    LogMetadata& one = record.metadata.emplace_back();
    one.ref = cursor.uvarint();
    const uint8_t type = cursor.byte();
    if (type < std::size(kTypes)) one.type = kTypes[type];
    const uint64_t fields = cursor.uvarint();
    for (uint64_t i = 0; i < fields && cursor.ok(); ++i) {
      const std::string_view name = cursor.string();
      const std::string_view value = cursor.string();
      if (name == "UNIT") one.unit = value;
      if (name == "HELP") one.help = value;
    }
  }
}

}  // namespace

void LogRecord::clear() {
  series.clear();
  samples.clear();
  histograms.clear();
  tombstones.clear();
  exemplars.clear();
  metadata.clear();
  unknown_histograms = 0;
}

Result<void> parse_log_record(std::string_view bytes, LogRecord& record) {
  record.clear();
  Cursor cursor(bytes);
  record.type = static_cast<RecordType>(cursor.byte());
  switch (record.type) {
    case RecordType::Series:
      read_series(cursor, record);
      break;
    case RecordType::Samples:
    case RecordType::SamplesV2:
      read_samples(cursor, record.type == RecordType::SamplesV2, record);
      break;
    case RecordType::Deletions:
      read_tombstones(cursor, record);
      break;
    case RecordType::Exemplars:
      read_exemplars(cursor, record);
      break;
    case RecordType::Metadata:
      read_metadata(cursor, record);
      break;
    case RecordType::Histograms:
    case RecordType::CustomHistograms:
    case RecordType::HistogramsV2:
      read_histograms(cursor, record.type == RecordType::HistogramsV2, false, record);
      break;
    case RecordType::FloatHistograms:
    case RecordType::CustomFloatHistograms:
    case RecordType::FloatHistogramsV2:
      read_histograms(cursor, record.type == RecordType::FloatHistogramsV2, true, record);
      break;
    case RecordType::MmapMarkers:  // what they mark is read from both places
    default:
      return {};
  }
  if (cursor.ok()) return {};
  const auto type = static_cast<int>(record.type);
  record.clear();
  return core::fail(ErrorCode::Corruption, "record of type {} with {} bytes is malformed", type,
                    bytes.size());
}

}  // namespace promtsdb
