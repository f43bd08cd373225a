#include "ingest/metric_family.h"

#include "core/utf8.h"
#include "ingest/wire_reader.h"

#include <algorithm>

namespace ingest {
namespace {

constexpr WireType kVarint = WireType::Varint;
constexpr WireType kBytes = WireType::Bytes;
constexpr WireType kDouble = WireType::Fixed64;

// Calls `field(in, tag)` for every field of a message. It returns false for a field it does
// not read; those above `last_field` are from a newer schema and stepped over, the others
// have a wrong wire type or are malformed.
template <typename Field>
bool read_message(std::string_view bytes, uint32_t last_field, WireFault& fault, const char* what,
                  const Field& field) {
  WireReader in(bytes);
  while (!in.at_end()) {
    const char* const start = in.position();
    uint32_t tag = 0;
    if (in.tag(tag)) {
      if (tag >> 3 > last_field ? in.skip(tag) : field(in, tag)) continue;
    }
    // What is inside has told its own place already.
    if (fault.position == nullptr) fault = {start, what};
    return false;
  }
  return true;
}

bool read_signed(WireReader& in, int64_t& number) {
  uint64_t raw = 0;
  if (!in.varint(raw)) return false;
  number = static_cast<int64_t>(raw);
  return true;
}

bool read_timestamp(WireReader& in, int64_t& time_ms, WireFault& fault) {
  std::string_view bytes;
  if (!in.bytes(bytes)) return false;
  int64_t seconds = 0;
  int64_t nanos = 0;
  const bool read = read_message(bytes, 2, fault, "Timestamp", [&](WireReader& part, uint32_t tag) {
    if (tag == wire_tag(1, kVarint)) return read_signed(part, seconds);
    if (tag == wire_tag(2, kVarint)) return read_signed(part, nanos);
    return false;
  });
  if (!read) return false;
  if (__builtin_mul_overflow(seconds, int64_t{1000}, &time_ms) ||
      __builtin_add_overflow(time_ms, nanos / 1'000'000, &time_ms)) {
    return false;
  }
  return true;
}

bool read_label(std::string_view bytes, model::Label& label, WireFault& fault) {
  return read_message(bytes, 2, fault, "LabelPair", [&](WireReader& in, uint32_t tag) {
    if (tag == wire_tag(1, kBytes)) return in.bytes(label.name);
    if (tag == wire_tag(2, kBytes)) return in.bytes(label.value);
    return false;
  });
}

bool is_valid(const model::Label& label) {
  return !label.name.empty() && core::is_utf8(label.name) && core::is_utf8(label.value);
}

bool read_value(WireReader& in, double& value, WireFault& fault, const char* what) {
  std::string_view bytes;
  if (!in.bytes(bytes)) return false;
  return read_message(bytes, 1, fault, what, [&](WireReader& part, uint32_t tag) {
    return tag == wire_tag(1, kDouble) && part.float64(value);
  });
}

bool read_counter(WireReader& in, FamilyMetric& metric, WireFault& fault) {
  std::string_view bytes;
  if (!in.bytes(bytes)) return false;
  return read_message(bytes, 3, fault, "Counter", [&](WireReader& part, uint32_t tag) {
    if (tag == wire_tag(1, kDouble)) return part.float64(metric.value);
    if (tag == wire_tag(2, kBytes)) return part.bytes(metric.exemplar);
    if (tag == wire_tag(3, kBytes)) return read_timestamp(part, metric.created_ms, fault);
    return false;
  });
}

bool read_summary(WireReader& in, FamilyMetric& metric, WireFault& fault) {
  std::string_view bytes;
  if (!in.bytes(bytes)) return false;
  FamilyDistribution& summary = metric.distribution;
  return read_message(bytes, 4, fault, "Summary", [&](WireReader& part, uint32_t tag) {
    if (tag == wire_tag(1, kVarint)) return part.varint(summary.count);
    if (tag == wire_tag(2, kDouble)) return part.float64(summary.sum);
    if (tag == wire_tag(4, kBytes)) return read_timestamp(part, metric.created_ms, fault);
    std::string_view content;
    if (tag != wire_tag(3, kBytes) || !part.bytes(content)) return false;
    FamilyQuantile& quantile = summary.quantiles.emplace_back();
    return read_message(content, 2, fault, "Quantile", [&](WireReader& inner, uint32_t field) {
      if (field == wire_tag(1, kDouble)) return inner.float64(quantile.quantile);
      return field == wire_tag(2, kDouble) && inner.float64(quantile.value);
    });
  });
}

bool read_bucket(WireReader& in, std::vector<FamilyBucket>& buckets, WireFault& fault) {
  std::string_view bytes;
  if (!in.bytes(bytes)) return false;
  FamilyBucket& bucket = buckets.emplace_back();
  uint64_t count = 0;
  double count_float = 0;
  const bool read = read_message(bytes, 4, fault, "Bucket", [&](WireReader& part, uint32_t tag) {
    if (tag == wire_tag(1, kVarint)) return part.varint(count);
    if (tag == wire_tag(2, kDouble)) return part.float64(bucket.upper_bound);
    if (tag == wire_tag(3, kBytes)) return part.bytes(bucket.exemplar);
    return tag == wire_tag(4, kDouble) && part.float64(count_float);
  });
  bucket.count = count_float != 0 ? count_float : static_cast<double>(count);
  return read;
}

bool read_span(WireReader& in, std::vector<model::BucketSpan>& spans, WireFault& fault) {
  std::string_view bytes;
  if (!in.bytes(bytes)) return false;
  model::BucketSpan& span = spans.emplace_back();
  return read_message(bytes, 2, fault, "BucketSpan", [&](WireReader& part, uint32_t tag) {
    uint64_t number = 0;
    if ((tag & 7) != static_cast<uint32_t>(kVarint) || !part.varint(number)) return false;
    if (tag >> 3 == 1) {
      span.offset = static_cast<int32_t>(core::unzigzag(number));
    } else {
      span.length = static_cast<uint32_t>(number);
    }
    return true;
  });
}

// Repeated numbers come packed, one field for all, or one field each.
template <typename Number, typename Read>
bool read_repeated(WireReader& in, uint32_t tag, WireType single, std::vector<Number>& numbers,
                   const Read& read) {
  const auto type = static_cast<WireType>(tag & 7);
  if (type == single) return read(in, numbers.emplace_back());
  std::string_view content;
  if (type != kBytes || !in.bytes(content)) return false;
  for (WireReader packed(content); !packed.at_end();) {
    if (!read(packed, numbers.emplace_back())) return false;
  }
  return true;
}

bool read_deltas(WireReader& in, uint32_t tag, std::vector<int64_t>& deltas) {
  return read_repeated(in, tag, kVarint, deltas, [](WireReader& from, int64_t& delta) {
    uint64_t number = 0;
    if (!from.varint(number)) return false;
    delta = core::unzigzag(number);
    return true;
  });
}

bool read_counts(WireReader& in, uint32_t tag, std::vector<double>& counts) {
  return read_repeated(in, tag, kDouble, counts,
                       [](WireReader& from, double& count) { return from.float64(count); });
}

bool read_histogram(WireReader& in, FamilyMetric& metric, WireFault& fault) {
  std::string_view bytes;
  if (!in.bytes(bytes)) return false;
  FamilyDistribution& histogram = metric.distribution;
  const auto field = [&](WireReader& part, uint32_t tag) {
    switch (tag) {
      case wire_tag(1, kVarint):
        return part.varint(histogram.count);
      case wire_tag(2, kDouble):
        return part.float64(histogram.sum);
      case wire_tag(3, kBytes):
        return read_bucket(part, histogram.buckets, fault);
      case wire_tag(4, kDouble):
        return part.float64(histogram.count_float);
      case wire_tag(5, kVarint): {
        uint64_t number = 0;
        if (!part.varint(number)) return false;
        histogram.schema = static_cast<int32_t>(core::unzigzag(number));
        return true;
      }
      case wire_tag(6, kDouble):
        return part.float64(histogram.zero_threshold);
      case wire_tag(7, kVarint):
        return part.varint(histogram.zero_count);
      case wire_tag(8, kDouble):
        return part.float64(histogram.zero_count_float);
      case wire_tag(9, kBytes):
        return read_span(part, histogram.negative_spans, fault);
      case wire_tag(12, kBytes):
        return read_span(part, histogram.positive_spans, fault);
      case wire_tag(15, kBytes):
        return read_timestamp(part, metric.created_ms, fault);
      case wire_tag(16, kBytes):
        return part.bytes(histogram.exemplars.emplace_back());
      default:
        break;
    }
    switch (tag >> 3) {
      case 10:
        return read_deltas(part, tag, histogram.negative_deltas);
      case 11:
        return read_counts(part, tag, histogram.negative_counts);
      case 13:
        return read_deltas(part, tag, histogram.positive_deltas);
      case 14:
        return read_counts(part, tag, histogram.positive_counts);
      default:
        return false;
    }
  };
  return read_message(bytes, 16, fault, "Histogram", field);
}

void clear(FamilyMetric& metric) {
  metric.label_bytes = {};
  metric.labels.clear();
  metric.value = 0;
  metric.exemplar = {};
  metric.timestamp_ms = 0;
  metric.created_ms = 0;
  FamilyDistribution& d = metric.distribution;
  d.count = 0;
  d.count_float = 0;
  d.sum = 0;
  d.quantiles.clear();
  d.buckets.clear();
  d.schema = 0;
  d.zero_threshold = 0;
  d.zero_count = 0;
  d.zero_count_float = 0;
  d.positive_spans.clear();
  d.negative_spans.clear();
  d.positive_deltas.clear();
  d.negative_deltas.clear();
  d.positive_counts.clear();
  d.negative_counts.clear();
  d.exemplars.clear();
}

}  // namespace

bool read_family(std::string_view bytes, FamilyHeader& family, WireFault& fault) {
  family.name = family.help = family.unit = {};
  family.type = 0;
  family.metrics.clear();
  fault = {};
  return read_message(bytes, 5, fault, "MetricFamily", [&](WireReader& in, uint32_t tag) {
    switch (tag) {
      case wire_tag(1, kBytes):
        return in.bytes(family.name);
      case wire_tag(2, kBytes):
        return in.bytes(family.help);
      case wire_tag(3, kVarint):
        return in.varint(family.type);
      case wire_tag(4, kBytes):
        return in.bytes(family.metrics.emplace_back());
      case wire_tag(5, kBytes):
        return in.bytes(family.unit);
      default:
        return false;
    }
  });
}

bool read_metric(std::string_view bytes, FamilyMetric& metric, WireFault& fault) {
  clear(metric);
  fault = {};
  const char* labels_begin = nullptr;
  return read_message(bytes, 7, fault, "Metric", [&](WireReader& in, uint32_t tag) {
    switch (tag) {
      case wire_tag(1, kBytes): {
        if (labels_begin == nullptr) labels_begin = in.position();
        std::string_view content;
        model::Label& label = metric.labels.emplace_back();
        if (!in.bytes(content) || !read_label(content, label, fault)) return false;
        if (!is_valid(label)) {
          fault = {content.data(), "LabelPair: a name that is not empty, and UTF-8"};
          return false;
        }
        metric.label_bytes = {labels_begin, static_cast<size_t>(in.position() - labels_begin)};
        return true;
      }
      case wire_tag(2, kBytes):
        return read_value(in, metric.value, fault, "Gauge");
      case wire_tag(3, kBytes):
        return read_counter(in, metric, fault);
      case wire_tag(4, kBytes):
        return read_summary(in, metric, fault);
      case wire_tag(5, kBytes):
        return read_value(in, metric.value, fault, "Untyped");
      case wire_tag(6, kVarint):
        return read_signed(in, metric.timestamp_ms);
      case wire_tag(7, kBytes):
        return read_histogram(in, metric, fault);
      default:
        return false;
    }
  });
}

bool read_exemplar(std::string_view bytes, FamilyExemplar& exemplar, WireFault& fault) {
  fault = {};
  exemplar = {};
  std::vector<std::pair<std::string, std::string>> labels;
  const bool read = read_message(bytes, 3, fault, "Exemplar", [&](WireReader& in, uint32_t tag) {
    if (tag == wire_tag(2, kDouble)) return in.float64(exemplar.exemplar.value);
    if (tag == wire_tag(3, kBytes)) {
      exemplar.has_timestamp = true;
      return read_timestamp(in, exemplar.exemplar.timestamp_ms, fault);
    }
    std::string_view content;
    model::Label label;
    if (tag != wire_tag(1, kBytes) || !in.bytes(content) || !read_label(content, label, fault)) {
      return false;
    }
    exemplar.is_valid = exemplar.is_valid && is_valid(label);
    labels.emplace_back(label.name, label.value);
    return true;
  });
  if (exemplar.is_valid) exemplar.exemplar.labels = model::Labels::of(std::move(labels));
  return read;
}

}  // namespace ingest
