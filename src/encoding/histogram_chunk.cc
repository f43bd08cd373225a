// One record per histogram: flags, schema and layout only when they differ from the
// histogram before, counts as zigzag differences to it when all are integers.
//
//   flags  1 same layout as before   2 counts are whole numbers   4 integer_counts
//          counter reset hint << 4
//   timestamp difference, [schema, zero threshold, spans, custom bounds],
//   sum, count, zero count, positive counts, negative counts

#include "core/bytes.h"
#include "core/varint.h"
#include "encoding/chunk.h"

#include <cmath>

namespace encoding {

using core::ErrorCode;
using core::Result;
using model::BucketSpan;
using model::Histogram;
using model::HistogramSample;

namespace {

constexpr uint8_t kSameLayout = 1;
constexpr uint8_t kWholeCounts = 2;
constexpr uint8_t kIntegerCounts = 4;
constexpr unsigned kHintShift = 4;

bool is_whole(double value) {
  return std::fabs(value) < 0x1p52 && std::trunc(value) == value && !std::signbit(value);
}

bool all_whole(const std::vector<double>& values) {
  for (const double value : values) {
    if (!is_whole(value)) return false;
  }
  return true;
}

bool counts_are_whole(const Histogram& one) {
  return is_whole(one.count) && is_whole(one.zero_count) && all_whole(one.positive_counts) &&
         all_whole(one.negative_counts);
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!model::same_bits(a[i], b[i])) return false;
  }
  return true;
}

bool same_layout(const Histogram& a, const Histogram& b) {
  return a.schema == b.schema && model::same_bits(a.zero_threshold, b.zero_threshold) &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans &&
         a.positive_counts.size() == b.positive_counts.size() &&
         a.negative_counts.size() == b.negative_counts.size() &&
         same_bits(a.custom_bounds, b.custom_bounds);
}

void append_spans(std::string& out, const std::vector<BucketSpan>& spans) {
  core::append_varint(out, spans.size());
  for (const BucketSpan& span : spans) {
    core::append_varint(out, core::zigzag(span.offset));
    core::append_varint(out, span.length);
  }
}

void append_layout(std::string& out, const Histogram& one) {
  core::append_varint(out, core::zigzag(one.schema));
  core::append_le(out, one.zero_threshold);
  append_spans(out, one.positive_spans);
  append_spans(out, one.negative_spans);
  core::append_varint(out, one.positive_counts.size());
  core::append_varint(out, one.negative_counts.size());
  core::append_varint(out, one.custom_bounds.size());
  for (const double bound : one.custom_bounds) core::append_le(out, bound);
}

void append_count(std::string& out, double value, double before, bool whole) {
  if (!whole) return core::append_le(out, value);
  core::append_varint(out,
                      core::zigzag(static_cast<int64_t>(value) - static_cast<int64_t>(before)));
}

void append_counts(std::string& out, const std::vector<double>& values,
                   const std::vector<double>& before, bool whole) {
  for (size_t i = 0; i < values.size(); ++i) append_count(out, values[i], before[i], whole);
}

// Takes apart what the functions above put together.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }

  bool take(uint64_t& value) { return core::take_varint(rest_, value); }
  bool take_signed(int64_t& value) {
    uint64_t zigzag = 0;
    if (!take(zigzag)) return false;
    value = core::unzigzag(zigzag);
    return true;
  }
  bool take_byte(uint8_t& value) {
    if (rest_.empty()) return false;
    value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }
  bool take_double(double& value) {
    if (rest_.size() < sizeof(double)) return false;
    value = core::load_le<double>(rest_);
    rest_.remove_prefix(sizeof(double));
    return true;
  }
  // Every element takes at least a byte, which bounds what is allocated. No other bound:
  // what was encoded must decode, whatever its size.
  bool take_count(uint64_t& count) { return take(count) && count <= rest_.size(); }

  bool take_spans(std::vector<BucketSpan>& spans) {
    uint64_t count = 0;
    if (!take_count(count)) return false;
    spans.resize(count);
    for (BucketSpan& span : spans) {
      int64_t offset = 0;
      uint64_t length = 0;
      if (!take_signed(offset) || !take(length)) return false;
      if (offset != static_cast<int32_t>(offset) || length > UINT32_MAX) return false;
      span = {static_cast<int32_t>(offset), static_cast<uint32_t>(length)};
    }
    return true;
  }

  bool take_layout(Histogram& one) {
    int64_t schema = 0;
    uint64_t positive = 0;
    uint64_t negative = 0;
    uint64_t bounds = 0;
    if (!take_signed(schema) || schema != static_cast<int32_t>(schema)) return false;
    one.schema = static_cast<int32_t>(schema);
    if (!take_double(one.zero_threshold)) return false;
    if (!take_spans(one.positive_spans) || !take_spans(one.negative_spans)) return false;
    if (!take_count(positive) || !take_count(negative) || !take_count(bounds)) return false;
    one.positive_counts.assign(positive, 0);
    one.negative_counts.assign(negative, 0);
    one.custom_bounds.assign(bounds, 0);
    for (double& bound : one.custom_bounds) {
      if (!take_double(bound)) return false;
    }
    return true;
  }

  // `value` holds the count before and is replaced.
  bool update_count(double& value, bool whole) {
    if (!whole) return take_double(value);
    int64_t difference = 0;
    if (!take_signed(difference)) return false;
    const auto before = std::fabs(value) < 0x1p62 ? static_cast<int64_t>(value) : 0;
    value = static_cast<double>(
        static_cast<int64_t>(static_cast<uint64_t>(before) + static_cast<uint64_t>(difference)));
    return true;
  }

  bool update_counts(std::vector<double>& values, bool whole) {
    for (double& value : values) {
      if (!update_count(value, whole)) return false;
    }
    return true;
  }

 private:
  std::string_view rest_;
};

// Whether each record has its time, or they stand elsewhere.
enum class Times : uint8_t { Inside, Elsewhere };

// Replaces `current`, the histogram before, by the next one.
bool take_histogram(Reader& reader, Times times, HistogramSample& current,
                    bool& counts_were_whole) {
  uint8_t flags = 0;
  if (!reader.take_byte(flags)) return false;
  if (times == Times::Inside) {
    int64_t difference = 0;
    if (!reader.take_signed(difference)) return false;
    current.timestamp_ms = static_cast<int64_t>(static_cast<uint64_t>(current.timestamp_ms) +
                                                static_cast<uint64_t>(difference));
  }
  Histogram& one = current.histogram;
  const bool whole = (flags & kWholeCounts) != 0;
  if ((flags & kSameLayout) == 0) {
    if (!reader.take_layout(one)) return false;
    one.count = 0;
    one.zero_count = 0;
  } else if (whole && !counts_were_whole) {
    return false;  // differences to counts that were no whole numbers
  }
  one.integer_counts = (flags & kIntegerCounts) != 0;
  one.reset_hint = static_cast<model::CounterResetHint>((flags >> kHintShift) & 3U);
  counts_were_whole = whole;
  return reader.take_double(one.sum) && reader.update_count(one.count, whole) &&
         reader.update_count(one.zero_count, whole) &&
         reader.update_counts(one.positive_counts, whole) &&
         reader.update_counts(one.negative_counts, whole);
}

void append_records(std::string& out, Times times, std::span<const HistogramSample> histograms) {
  ENSURE(!histograms.empty() && histograms.size() <= kChunkSamplesMax);
  core::append_varint(out, histograms.size());
  Histogram zero;
  int64_t time_before = 0;
  const Histogram* before = nullptr;
  bool before_whole = false;
  for (const HistogramSample& sample : histograms) {
    const Histogram& one = sample.histogram;
    const bool whole = counts_are_whole(one);
    const bool same = before != nullptr && same_layout(*before, one) && (!whole || before_whole);
    out.push_back(static_cast<char>(
        (same ? kSameLayout : 0) | (whole ? kWholeCounts : 0) |
        (one.integer_counts ? kIntegerCounts : 0) |
        static_cast<uint8_t>(static_cast<unsigned>(one.reset_hint) << kHintShift)));
    if (times == Times::Inside) {
      core::append_varint(
          out, core::zigzag(static_cast<int64_t>(static_cast<uint64_t>(sample.timestamp_ms) -
                                                 static_cast<uint64_t>(time_before))));
    }
    if (!same) {
      append_layout(out, one);
      zero.positive_counts.assign(one.positive_counts.size(), 0);
      zero.negative_counts.assign(one.negative_counts.size(), 0);
    }
    const Histogram& base = same ? *before : zero;
    core::append_le(out, one.sum);
    append_count(out, one.count, base.count, whole);
    append_count(out, one.zero_count, base.zero_count, whole);
    append_counts(out, one.positive_counts, base.positive_counts, whole);
    append_counts(out, one.negative_counts, base.negative_counts, whole);
    before = &one;
    before_whole = whole;
    time_before = sample.timestamp_ms;
  }
}

// Takes all records of `chunk`. False, with nothing added, when they are malformed.
bool take_records(std::string_view chunk, Times times, std::vector<HistogramSample>& histograms) {
  const size_t begin = histograms.size();
  Reader reader(chunk.substr(1));
  uint64_t count = 0;
  bool good = reader.take(count) && count > 0 && count <= kChunkSamplesMax;
  HistogramSample current;
  bool whole = false;
  for (uint64_t i = 0; good && i < count; ++i) {
    good = take_histogram(reader, times, current, whole);
    if (good) histograms.push_back(current);
  }
  if (good && reader.at_end()) return true;
  histograms.resize(begin);
  return false;
}

}  // namespace

void append_histogram_chunk(std::string& out, std::span<const HistogramSample> histograms) {
  out.push_back(static_cast<char>(Codec::Histograms));
  append_records(out, Times::Inside, histograms);
}

void append_histogram_value_chunk(std::string& out, std::span<const HistogramSample> histograms) {
  out.push_back(static_cast<char>(Codec::HistogramValues));
  append_records(out, Times::Elsewhere, histograms);
}

Result<void> decode_histogram_chunk(std::string_view chunk,
                                    std::vector<HistogramSample>& histograms) {
  const Codec codec = TRY(codec_of(chunk));
  if (codec != Codec::Histograms) {
    return core::fail(ErrorCode::Corruption, "not a chunk of histograms");
  }
  if (take_records(chunk, Times::Inside, histograms)) return {};
  return core::fail(ErrorCode::Corruption, "histogram chunk of {} bytes is malformed",
                    chunk.size());
}

Result<void> decode_histogram_value_chunk(std::string_view chunk,
                                          std::span<const int64_t> timestamps_ms,
                                          std::vector<HistogramSample>& histograms) {
  const Codec codec = TRY(codec_of(chunk));
  if (codec != Codec::HistogramValues) {
    return core::fail(ErrorCode::Corruption,
                      "chunk has codec {}, expected 4, histograms without times",
                      static_cast<unsigned>(codec));
  }
  const size_t begin = histograms.size();
  if (!take_records(chunk, Times::Elsewhere, histograms)) {
    return core::fail(ErrorCode::Corruption, "histogram chunk of {} bytes is malformed",
                      chunk.size());
  }
  const size_t count = histograms.size() - begin;
  if (count != timestamps_ms.size()) {
    histograms.resize(begin);
    return core::fail(ErrorCode::Corruption,
                      "histogram chunk of {} bytes: has {} histograms, expected {}", chunk.size(),
                      count, timestamps_ms.size());
  }
  for (size_t i = 0; i < count; ++i) histograms[begin + i].timestamp_ms = timestamps_ms[i];
  return {};
}

}  // namespace encoding
