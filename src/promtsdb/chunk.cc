#include "promtsdb/chunk.h"

#include "promtsdb/cursor.h"

#include <array>
#include <bit>
#include <cmath>

namespace promtsdb {

using core::ErrorCode;
using core::Result;
using model::BucketSpan;
using model::Histogram;
using model::HistogramSample;
using model::TimeRange;
using storage::SeriesBatch;

namespace {

// Most significant bit first. Past the end it gives zeros and is no longer ok().
class Bits {
 public:
  explicit Bits(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  uint64_t left() const { return static_cast<uint64_t>(end_ - at_) * 8 + held_; }

  uint64_t read(unsigned count) {  // 1 to 64
    if (count > held_) {
      if (count > kHeldMin) {
        const uint64_t high = read(count - 32);
        return (high << 32U) | read(32);
      }
      refill();
      if (count > held_) {
        ok_ = false;
        held_ = 0;
        at_ = end_;
        return 0;
      }
    }
    const uint64_t value = window_ >> (64 - count);
    drop(count);
    return value;
  }
  bool bit() { return read(1) != 0; }
  // How many ones come before a zero; `most` ones need no zero.
  unsigned ones(unsigned most) {
    if (held_ <= most) refill();
    const auto count = static_cast<unsigned>(std::countl_one(window_));
    const unsigned taken = count >= most ? most : count + 1;
    if (taken > held_) {
      ok_ = false;
      return 0;
    }
    drop(taken);
    return count >= most ? most : count;
  }
  // A two's complement number of `size` bits where the largest is 2^(size-1), not one less.
  int64_t read_signed(unsigned size) {
    const uint64_t value = read(size);
    if (size < 64 && value > (1ULL << (size - 1))) {
      return static_cast<int64_t>(value - (1ULL << size));
    }
    return static_cast<int64_t>(value);
  }
  double read_double() { return std::bit_cast<double>(read(64)); }
  uint64_t read_uvarint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint64_t byte = read(8);
      value |= (byte & 0x7fU) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return value;
  }

 private:
  static constexpr unsigned kHeldMin = 56;  // what a refill can promise

  void drop(unsigned count) {
    window_ = count == 64 ? 0 : window_ << count;
    held_ -= count;
  }
  void refill() {
    if (end_ - at_ >= 8) {
      uint64_t next = 0;
      std::memcpy(&next, at_, 8);
      next = __builtin_bswap64(next);
      window_ |= next >> held_;
      const unsigned bytes = (64 - held_) / 8;
      at_ += bytes;
      held_ += bytes * 8;
      // Bits of a byte that was not taken whole must not linger.
      if (held_ < 64) window_ &= ~uint64_t{0} << (64 - held_);
      return;
    }
    while (held_ <= kHeldMin && at_ != end_) {
      window_ |= static_cast<uint64_t>(static_cast<uint8_t>(*at_++)) << (kHeldMin - held_);
      held_ += 8;
    }
  }

  uint64_t window_ = 0;  // the next bits at the top
  unsigned held_ = 0;
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

// The state of one float column: each value as its difference from the one before.
struct XorColumn {
  double value = 0;
  unsigned leading = 0;
  unsigned trailing = 0;

  void next(Bits& bits) {
    if (!bits.bit()) return;
    if (bits.bit()) {
      leading = static_cast<unsigned>(bits.read(5));
      unsigned significant = static_cast<unsigned>(bits.read(6));
      if (significant == 0) significant = 64;
      trailing = leading + significant > 64 ? 0 : 64 - leading - significant;
    }
    const uint64_t delta = bits.read(64 - leading - trailing) << trailing;
    value = std::bit_cast<double>(std::bit_cast<uint64_t>(value) ^ delta);
  }
};

core::Error cut_short(size_t size) {
  return {ErrorCode::Corruption, fmt::format("chunk data of {} bytes ends early", size)};
}

Result<void> append_floats(std::string_view data, TimeRange range, SeriesBatch& batch) {
  Bits bits(data);
  const uint64_t count = bits.read(16);
  constexpr std::array<unsigned, 5> kSizes = {0, 14, 17, 20, 64};
  XorColumn column;
  int64_t time = 0;
  int64_t delta = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (i == 0) {
      time = core::unzigzag(bits.read_uvarint());
      column.value = bits.read_double();
    } else {
      if (i == 1) {
        delta = static_cast<int64_t>(bits.read_uvarint());
      } else if (const unsigned size = kSizes[bits.ones(4)]; size != 0) {
        delta = wrapping_add(delta, bits.read_signed(size));
      }
      time = wrapping_add(time, delta);
      column.next(bits);
    }
    if (!bits.ok()) return tl::unexpected(cut_short(data.size()));
    if (!range.contains(time)) continue;
    batch.timestamps_ms.push_back(time);
    batch.values.push_back(column.value);
  }
  return {};
}

// --- Histograms

constexpr std::array<unsigned, 9> kVarbitSizes = {0, 3, 6, 9, 12, 18, 25, 56, 64};

int64_t varbit_int(Bits& bits) {
  const unsigned size = kVarbitSizes[bits.ones(8)];
  return size == 0 ? 0 : bits.read_signed(size);
}

uint64_t varbit_uint(Bits& bits) {
  const unsigned size = kVarbitSizes[bits.ones(8)];
  return size == 0 ? 0 : bits.read(size);
}

double zero_threshold(Bits& bits) {
  const uint64_t code = bits.read(8);
  if (code == 0) return 0;
  if (code == 255) return bits.read_double();
  return std::ldexp(0.5, static_cast<int>(code) - 243);
}

// Gives the number of buckets. Each takes a bit at least, which bounds what damaged bytes
// can ask for.
Result<size_t> read_spans(Bits& bits, std::vector<BucketSpan>& spans) {
  const uint64_t count = varbit_uint(bits);
  uint64_t buckets = 0;
  if (count > bits.left()) return core::fail(ErrorCode::Corruption, "{} spans of buckets", count);
  for (uint64_t i = 0; i < count && bits.ok(); ++i) {
    const uint64_t length = varbit_uint(bits);
    const int64_t offset = varbit_int(bits);
    if (length > bits.left()) {
      return core::fail(ErrorCode::Corruption, "a span of {} buckets", length);
    }
    buckets += length;
    spans.push_back({static_cast<int32_t>(offset), static_cast<uint32_t>(length)});
  }
  if (buckets > bits.left()) return core::fail(ErrorCode::Corruption, "{} buckets", buckets);
  return buckets;
}

struct Layout {
  Histogram shape;  // schema, threshold, spans, bounds, hint of all but the first
  model::CounterResetHint first_hint = model::CounterResetHint::Unknown;
  size_t positive = 0;
  size_t negative = 0;
};

Result<Layout> read_layout(Bits& bits, uint8_t flags) {
  Layout layout;
  Histogram& shape = layout.shape;
  shape.zero_threshold = zero_threshold(bits);
  const int64_t schema = varbit_int(bits);
  if (!is_known_schema(schema)) {
    return core::fail(ErrorCode::Unsupported, "histogram schema {}", schema);
  }
  shape.schema = static_cast<int32_t>(schema);
  layout.positive = TRY(read_spans(bits, shape.positive_spans));
  layout.negative = TRY(read_spans(bits, shape.negative_spans));
  if (schema == model::kCustomBucketsSchema) {
    const uint64_t count = varbit_uint(bits);
    if (count > bits.left()) return core::fail(ErrorCode::Corruption, "{} bounds", count);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t code = varbit_uint(bits);
      shape.custom_bounds.push_back(code == 0 ? bits.read_double()
                                              : static_cast<double>(code - 1) / 1000);
    }
  }
  // That a chunk has no reset inside is what its counts say too; after a deletion or with
  // late samples in between the hint would say more than is known.
  const uint8_t hint = flags >> 6U;
  if (hint == 3) shape.reset_hint = model::CounterResetHint::Gauge;
  layout.first_hint = hint == 2 ? model::CounterResetHint::Reset : shape.reset_hint;
  return layout;
}

Histogram stale_histogram(double sum, bool integer_counts) {
  Histogram stale;
  stale.sum = sum;
  stale.integer_counts = integer_counts;
  return stale;
}

// A number that changes by nearly the same amount from sample to sample.
struct DeltaColumn {
  int64_t value = 0;
  int64_t delta = 0;
  void next(Bits& bits) {
    delta = wrapping_add(delta, varbit_int(bits));
    value = wrapping_add(value, delta);
  }
};

void accumulate(const std::vector<DeltaColumn>& buckets, size_t begin, size_t count,
                std::vector<double>& out) {
  out.resize(count);
  int64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    sum = wrapping_add(sum, buckets[begin + i].value);
    out[i] = static_cast<double>(sum);
  }
}

Result<void> append_histograms(std::string_view data, TimeRange range, SeriesBatch& batch) {
  Bits bits(data);
  const uint64_t count = bits.read(16);
  const auto flags = static_cast<uint8_t>(bits.read(8));
  if (count == 0) return {};
  Layout layout = TRY(read_layout(bits, flags));
  layout.shape.integer_counts = true;
  DeltaColumn time;
  DeltaColumn total;
  DeltaColumn zeros;
  XorColumn sum;
  std::vector<DeltaColumn> buckets(layout.positive + layout.negative);
  for (uint64_t i = 0; i < count; ++i) {
    if (i == 0) {
      time.value = varbit_int(bits);
      total.value = static_cast<int64_t>(varbit_uint(bits));
      zeros.value = static_cast<int64_t>(varbit_uint(bits));
      sum.value = bits.read_double();
      for (DeltaColumn& bucket : buckets) bucket.value = varbit_int(bits);
    } else {
      time.next(bits);
      total.next(bits);
      zeros.next(bits);
      sum.next(bits);
      // A stale marker has no buckets; only stale markers follow it.
      if (!model::is_stale_nan(sum.value)) {
        for (DeltaColumn& bucket : buckets) bucket.next(bits);
      }
    }
    if (!bits.ok()) return tl::unexpected(cut_short(data.size()));
    if (!range.contains(time.value)) continue;
    HistogramSample& sample = batch.histograms.emplace_back();
    sample.timestamp_ms = time.value;
    if (model::is_stale_nan(sum.value)) {
      sample.histogram = stale_histogram(sum.value, true);
      continue;
    }
    Histogram& histogram = sample.histogram;
    histogram = layout.shape;
    if (i == 0) histogram.reset_hint = layout.first_hint;
    histogram.count = static_cast<double>(static_cast<uint64_t>(total.value));
    histogram.zero_count = static_cast<double>(static_cast<uint64_t>(zeros.value));
    histogram.sum = sum.value;
    accumulate(buckets, 0, layout.positive, histogram.positive_counts);
    accumulate(buckets, layout.positive, layout.negative, histogram.negative_counts);
  }
  return {};
}

Result<void> append_float_histograms(std::string_view data, TimeRange range, SeriesBatch& batch) {
  Bits bits(data);
  const uint64_t count = bits.read(16);
  const auto flags = static_cast<uint8_t>(bits.read(8));
  if (count == 0) return {};
  const Layout layout = TRY(read_layout(bits, flags));
  DeltaColumn time;
  XorColumn total;
  XorColumn zeros;
  XorColumn sum;
  std::vector<XorColumn> buckets(layout.positive + layout.negative);
  for (uint64_t i = 0; i < count; ++i) {
    if (i == 0) {
      time.value = varbit_int(bits);
      total.value = bits.read_double();
      zeros.value = bits.read_double();
      sum.value = bits.read_double();
      for (XorColumn& bucket : buckets) bucket.value = bits.read_double();
    } else {
      time.next(bits);
      total.next(bits);
      zeros.next(bits);
      sum.next(bits);
      if (!model::is_stale_nan(sum.value)) {
        for (XorColumn& bucket : buckets) bucket.next(bits);
      }
    }
    if (!bits.ok()) return tl::unexpected(cut_short(data.size()));
    if (!range.contains(time.value)) continue;
    HistogramSample& sample = batch.histograms.emplace_back();
    sample.timestamp_ms = time.value;
    if (model::is_stale_nan(sum.value)) {
      sample.histogram = stale_histogram(sum.value, false);
      continue;
    }
    Histogram& histogram = sample.histogram;
    histogram = layout.shape;
    if (i == 0) histogram.reset_hint = layout.first_hint;
    histogram.count = total.value;
    histogram.zero_count = zeros.value;
    histogram.sum = sum.value;
    for (size_t b = 0; b < buckets.size(); ++b) {
      (b < layout.positive ? histogram.positive_counts : histogram.negative_counts)
          .push_back(buckets[b].value);
    }
  }
  return {};
}

}  // namespace

bool is_known_schema(int64_t schema) {
  return (schema >= -4 && schema <= 8) || schema == model::kCustomBucketsSchema;
}

Result<void> append_chunk(uint8_t encoding, std::string_view data, TimeRange range,
                          SeriesBatch& batch) {
  switch (encoding & ~kChunkOutOfOrder) {
    case kChunkXor:
      return append_floats(data, range, batch);
    case kChunkHistogram:
      return append_histograms(data, range, batch);
    case kChunkFloatHistogram:
      return append_float_histograms(data, range, batch);
    default:
      return core::fail(ErrorCode::Unsupported,
                        "chunk encoding {}, known are 1 (XOR), 2 (histogram) and 3 (float "
                        "histogram)",
                        encoding & ~kChunkOutOfOrder);
  }
}

}  // namespace promtsdb
