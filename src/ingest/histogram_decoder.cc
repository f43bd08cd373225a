#include "ingest/histogram_decoder.h"

#include "core/varint.h"
#include "ingest/wire_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/core.h>
#include <numeric>

namespace ingest {

namespace {

constexpr int32_t kSchemaMin = -4;
constexpr int32_t kSchemaMax = 8;

struct SpanFields {
  static constexpr uint32_t kOffset = wire_tag(1, WireType::Varint);
  static constexpr uint32_t kLength = wire_tag(2, WireType::Varint);
};

bool read_span(std::string_view bytes, model::BucketSpan& span, WireFault& fault) {
  WireReader in(bytes);
  while (!in.at_end()) {
    uint32_t tag = 0;
    uint64_t number = 0;
    fault = {in.position(), "BucketSpan of a Histogram"};
    if (!in.tag(tag)) return false;
    if (tag == SpanFields::kOffset) {
      if (!in.varint(number)) return false;
      span.offset = static_cast<int32_t>(core::unzigzag(number));
    } else if (tag == SpanFields::kLength) {
      if (!in.varint(number)) return false;
      span.length = static_cast<uint32_t>(number);
    } else if (!in.skip(tag)) {
      return false;
    }
  }
  return true;
}

// Repeated numbers come packed (one field for all) or one field each.
bool read_deltas(WireReader& in, WireType type, std::vector<int64_t>& deltas) {
  uint64_t number = 0;
  if (type == WireType::Varint) {
    if (!in.varint(number)) return false;
    deltas.push_back(core::unzigzag(number));
    return true;
  }
  std::string_view content;
  if (!in.bytes(content)) return false;
  for (WireReader packed(content); !packed.at_end();) {
    if (!packed.varint(number)) return false;
    deltas.push_back(core::unzigzag(number));
  }
  return true;
}

bool read_doubles(WireReader& in, WireType type, std::vector<double>& numbers) {
  double number = 0;
  if (type == WireType::Fixed64) {
    if (!in.float64(number)) return false;
    numbers.push_back(number);
    return true;
  }
  std::string_view content;
  if (!in.bytes(content)) return false;
  numbers.reserve(numbers.size() + content.size() / sizeof(double));
  for (WireReader packed(content); !packed.at_end();) {
    if (!packed.float64(number)) return false;
    numbers.push_back(number);
  }
  return true;
}

// Sums differences up to absolute counts. A sum beyond 64 bits becomes NaN, which
// contradiction() refuses.
std::vector<double> absolute(const std::vector<int64_t>& deltas) {
  std::vector<double> counts;
  counts.reserve(deltas.size());
  int64_t count = 0;
  bool overflow = false;
  for (const int64_t delta : deltas) {
    overflow = overflow || __builtin_add_overflow(count, delta, &count);
    counts.push_back(overflow ? std::nan("") : static_cast<double>(count));
  }
  return counts;
}

class HistogramReader {
 public:
  HistogramReader(std::string_view bytes, DecodedHistogram& out) : in_(bytes), out_(out) {}

  bool read(WireFault& fault) {
    while (!in_.at_end()) {
      uint32_t tag = 0;
      fault = {in_.position(), "field of a Histogram"};
      if (!in_.tag(tag)) return false;
      if (!field(tag, fault)) return false;
    }
    model::Histogram& histogram = out_.histogram;
    if (histogram.integer_counts) {
      histogram.positive_counts = absolute(positive_deltas_);
      histogram.negative_counts = absolute(negative_deltas_);
    }
    return true;
  }

 private:
  // Field numbers as in message Histogram.
  bool field(uint32_t tag, WireFault& fault) {
    const auto type = static_cast<WireType>(tag & 7);
    model::Histogram& histogram = out_.histogram;
    switch (tag) {
      case wire_tag(1, WireType::Varint):
        histogram.integer_counts = true;
        return integer(histogram.count);
      case wire_tag(2, WireType::Fixed64):
        histogram.integer_counts = false;
        return in_.float64(histogram.count);
      case wire_tag(3, WireType::Fixed64):
        return in_.float64(histogram.sum);
      case wire_tag(4, WireType::Varint): {
        uint64_t number = 0;
        if (!in_.varint(number)) return false;
        histogram.schema = static_cast<int32_t>(core::unzigzag(number));
        return true;
      }
      case wire_tag(5, WireType::Fixed64):
        return in_.float64(histogram.zero_threshold);
      case wire_tag(6, WireType::Varint):
        return integer(histogram.zero_count);
      case wire_tag(7, WireType::Fixed64):
        return in_.float64(histogram.zero_count);
      case wire_tag(8, WireType::Bytes):
        return span(histogram.negative_spans, fault);
      case wire_tag(9, WireType::Varint):
      case wire_tag(9, WireType::Bytes):
        return read_deltas(in_, type, negative_deltas_);
      case wire_tag(10, WireType::Fixed64):
      case wire_tag(10, WireType::Bytes):
        return read_doubles(in_, type, histogram.negative_counts);
      case wire_tag(11, WireType::Bytes):
        return span(histogram.positive_spans, fault);
      case wire_tag(12, WireType::Varint):
      case wire_tag(12, WireType::Bytes):
        return read_deltas(in_, type, positive_deltas_);
      case wire_tag(13, WireType::Fixed64):
      case wire_tag(13, WireType::Bytes):
        return read_doubles(in_, type, histogram.positive_counts);
      case wire_tag(14, WireType::Varint): {
        uint64_t hint = 0;
        if (!in_.varint(hint)) return false;
        if (hint <= static_cast<uint64_t>(model::CounterResetHint::Gauge)) {
          histogram.reset_hint = static_cast<model::CounterResetHint>(hint);
        }
        return true;
      }
      case wire_tag(15, WireType::Varint): {
        uint64_t timestamp = 0;
        if (!in_.varint(timestamp)) return false;
        out_.timestamp_ms = static_cast<int64_t>(timestamp);
        return true;
      }
      case wire_tag(16, WireType::Fixed64):
      case wire_tag(16, WireType::Bytes):
        return read_doubles(in_, type, histogram.custom_bounds);
      case wire_tag(17, WireType::Varint): {
        uint64_t start = 0;
        if (!in_.varint(start)) return false;
        out_.start_ms = static_cast<int64_t>(start);
        return true;
      }
      default:
        return in_.skip(tag);
    }
  }

  bool integer(double& value) {
    uint64_t number = 0;
    if (!in_.varint(number)) return false;
    value = static_cast<double>(number);
    return true;
  }

  bool span(std::vector<model::BucketSpan>& spans, WireFault& fault) {
    std::string_view content;
    if (!in_.bytes(content)) return false;
    return read_span(content, spans.emplace_back(), fault);
  }

  WireReader in_;
  DecodedHistogram& out_;
  std::vector<int64_t> positive_deltas_;
  std::vector<int64_t> negative_deltas_;
};

// Bucket i of schema n lies in bucket ceil(i / 2) of schema n - 1.
void halve_side(std::vector<model::BucketSpan>& spans, std::vector<double>& counts) {
  std::vector<model::BucketSpan> new_spans;
  std::vector<double> new_counts;
  int64_t index = 0;  // of the next bucket
  int64_t last = 0;   // index of the newest new bucket
  size_t at = 0;
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length; ++i, ++index, ++at) {
      const int64_t target = (index + 1) >> 1;
      if (!new_counts.empty() && target == last) {
        new_counts.back() += counts[at];
        continue;
      }
      if (!new_spans.empty() && target == last + 1) {
        ++new_spans.back().length;
      } else {
        const int64_t gap = new_spans.empty() ? target : target - last - 1;
        new_spans.push_back({static_cast<int32_t>(gap), 1});
      }
      new_counts.push_back(counts[at]);
      last = target;
    }
  }
  spans = std::move(new_spans);
  counts = std::move(new_counts);
}

std::string bad_side(std::string_view side, const std::vector<model::BucketSpan>& spans,
                     const std::vector<double>& counts) {
  uint64_t described = 0;
  int64_t index = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    index += int64_t{spans[i].offset} + spans[i].length;
    if (std::abs(index) > INT32_MAX) {
      return fmt::format("{} span {} ends at bucket {}, beyond 32 bits", side, i, index);
    }
    if (i > 0 && spans[i].offset < 0) {
      return fmt::format("{} span {} has the negative offset {}", side, i, spans[i].offset);
    }
    described += spans[i].length;
  }
  if (described != counts.size()) {
    return fmt::format("{} spans describe {} buckets, but {} counts are given", side, described,
                       counts.size());
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    if (!(counts[i] >= 0)) return fmt::format("{} bucket {} holds {}", side, i, counts[i]);
  }
  return "";
}

std::string bad_custom_buckets(const model::Histogram& histogram) {
  if (!histogram.negative_spans.empty() || !histogram.negative_counts.empty() ||
      histogram.zero_count != 0 || histogram.zero_threshold != 0) {
    return "negative or zero buckets in a histogram with custom buckets";
  }
  const std::vector<double>& bounds = histogram.custom_bounds;
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (!std::isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1])) {
      return fmt::format("custom bound {} is {}, expected finite and rising ones", i, bounds[i]);
    }
  }
  int64_t last = -1;
  for (const model::BucketSpan& span : histogram.positive_spans) {
    last += int64_t{span.offset} + span.length;
  }
  // One bucket more than bounds: the last reaches to +Inf.
  const bool below = !histogram.positive_spans.empty() && histogram.positive_spans[0].offset < 0;
  if (below || last > static_cast<int64_t>(bounds.size())) {
    return fmt::format("spans reach bucket {}, but {} custom bounds make {}", last, bounds.size(),
                       bounds.size() + 1);
  }
  return "";
}

}  // namespace

bool decode_histogram(std::string_view bytes, DecodedHistogram& out, WireFault& fault) {
  return HistogramReader(bytes, out).read(fault);
}

bool reduce_buckets(model::Histogram& histogram, size_t buckets_max) {
  while (histogram.positive_counts.size() + histogram.negative_counts.size() > buckets_max) {
    if (histogram.schema <= kSchemaMin) return false;  // also kCustomBucketsSchema
    halve_side(histogram.positive_spans, histogram.positive_counts);
    halve_side(histogram.negative_spans, histogram.negative_counts);
    --histogram.schema;
  }
  return true;
}

std::string contradiction(const model::Histogram& histogram) {
  const bool custom = histogram.schema == model::kCustomBucketsSchema;
  if (!custom && (histogram.schema < kSchemaMin || histogram.schema > kSchemaMax)) {
    return fmt::format("schema {}, expected {} to {} or {}", histogram.schema, kSchemaMin,
                       kSchemaMax, model::kCustomBucketsSchema);
  }
  if (custom) {
    if (std::string wrong = bad_custom_buckets(histogram); !wrong.empty()) return wrong;
  } else if (!histogram.custom_bounds.empty()) {
    return fmt::format("custom bounds with schema {}", histogram.schema);
  }
  std::string wrong = bad_side("positive", histogram.positive_spans, histogram.positive_counts);
  if (wrong.empty()) {
    wrong = bad_side("negative", histogram.negative_spans, histogram.negative_counts);
  }
  if (!wrong.empty()) return wrong;
  if (!(histogram.count >= 0)) return fmt::format("a count of {}", histogram.count);
  if (!(histogram.zero_count >= 0)) return fmt::format("a zero count of {}", histogram.zero_count);

  if (!histogram.integer_counts) return "";
  const auto sum_up = [](const std::vector<double>& counts) {
    return std::accumulate(counts.begin(), counts.end(), 0.0);
  };
  const double buckets =
      sum_up(histogram.positive_counts) + sum_up(histogram.negative_counts) + histogram.zero_count;
  // Observed NaNs are counted but stand in no bucket; the sum is NaN then.
  const bool agrees =
      std::isnan(histogram.sum) ? buckets <= histogram.count : buckets == histogram.count;
  if (!agrees) {
    return fmt::format("the buckets hold {} observations, the count says {}", buckets,
                       histogram.count);
  }
  return "";
}

}  // namespace ingest
