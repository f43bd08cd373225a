#include "tsdb/embedded_log_record.h"

#include "core/bytes.h"
#include "core/varint.h"
#include "encoding/record_blocks.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogBatch;
using storage::LogSeries;

namespace {

// Low half of a series' first byte; the high half is the value code of its sample.
constexpr uint8_t kNew = 1;       // labels follow
constexpr uint8_t kIdJump = 2;    // the id is not the one before plus one: difference follows
constexpr uint8_t kCounts = 4;    // other than a single float sample: counts follow
constexpr uint8_t kTimeJump = 8;  // the time is not the single sample's before: difference follows

// Low half of a sample's first byte in a series with counts.
constexpr uint8_t kSameStep = 0;   // as far from its predecessor as that from its own
constexpr uint8_t kOtherStep = 1;  // difference of the two steps follows

// Value codes.
constexpr uint8_t kZero = 0;
constexpr uint8_t kInteger1 = 1;  // 1..7: zigzag integer of that many bytes
constexpr uint8_t kRaw = 8;       // all eight bytes
constexpr uint8_t kMilli3 = 9;    // 9..12: thousandths, zigzag integer of 3..6 bytes
constexpr uint8_t kMilli6 = 12;
constexpr uint8_t kTop2 = 13;  // the top 2, 4 or 6 bytes; the rest are zero
constexpr uint8_t kTop4 = 14;
constexpr uint8_t kTop6 = 15;

constexpr double kIntegerLimit = 0x1p53;
constexpr double kMilliLimit = 0x1p46;  // zigzag needs 47 bits: six bytes
constexpr double kMilli = 1000;

constexpr size_t kVarintMax = 10;
constexpr size_t kValueMax = 8;

int64_t distance(int64_t from, int64_t to) {
  return static_cast<int64_t>(static_cast<uint64_t>(to) - static_cast<uint64_t>(from));
}
int64_t advance(int64_t from, int64_t by) {
  return static_cast<int64_t>(static_cast<uint64_t>(from) + static_cast<uint64_t>(by));
}

// Writes into space that was reserved for the worst case; no checks per byte.
class Writer {
 public:
  explicit Writer(char* at) : at_(at) {}
  char* at() const { return at_; }
  void byte(uint8_t value) { *at_++ = static_cast<char>(value); }
  void varint(uint64_t value) {
    while (value >= 0x80) {
      byte(static_cast<uint8_t>(value | 0x80));
      value >>= 7;
    }
    byte(static_cast<uint8_t>(value));
  }
  // The low `size` bytes of `value`. Always writes eight: there is room.
  void low_bytes(uint64_t value, size_t size) {
    std::memcpy(at_, &value, sizeof(value));
    at_ += size;
  }
  void text(std::string_view bytes) {
    varint(bytes.size());
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

 private:
  char* at_;
};

struct Coded {
  uint8_t code = kZero;
  uint8_t size = 0;
  uint64_t bytes = 0;
};

uint8_t byte_width(uint64_t value) {
  return static_cast<uint8_t>((std::bit_width(value) + 7) / 8);
}

Coded code_value(double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  if (bits == 0) return {};
  if (std::fabs(value) < kIntegerLimit) {  // false for NaN
    const auto integer = static_cast<int64_t>(value);
    if (std::bit_cast<uint64_t>(static_cast<double>(integer)) == bits) {
      const uint64_t encoded = core::zigzag(integer);
      const uint8_t size = byte_width(encoded);
      return {static_cast<uint8_t>(kInteger1 + size - 1), size, encoded};
    }
  }
  // Halves, quarters and the like end in zero bytes.
  const auto zero_bytes = static_cast<unsigned>(std::countr_zero(bits)) / 8;
  if (zero_bytes >= 6) return {kTop2, 2, bits >> 48};
  if (zero_bytes >= 4) return {kTop4, 4, bits >> 32};
  const double milli = std::nearbyint(value * kMilli);
  if (std::fabs(milli) < kMilliLimit && std::bit_cast<uint64_t>(milli / kMilli) == bits) {
    const uint64_t encoded = core::zigzag(static_cast<int64_t>(milli));
    const uint8_t size = std::max<uint8_t>(byte_width(encoded), 3);
    return {static_cast<uint8_t>(kMilli3 + size - 3), size, encoded};
  }
  if (zero_bytes >= 2) return {kTop6, 6, bits >> 16};
  return {kRaw, 8, bits};
}

size_t series_bytes_max(const LogBatch& batch) {
  size_t bytes = 0;
  for (const LogSeries& one : batch.series) {
    // First byte, id, labels, three counts, time and value of a single sample.
    bytes += 1 + kVarintMax + kVarintMax + one.labels.size() + 3 * kVarintMax;
  }
  return bytes + batch.samples.size() * (1 + kVarintMax + kValueMax) + sizeof(uint64_t);
}

// Where a series starts to write samples relative to its predecessor.
struct Previous {
  uint64_t id = 0;
  int64_t time_ms = 0;
};

void write_single_sample(Writer& out, const LogSeries& one, const model::Sample& sample,
                         uint8_t flags, Previous& previous) {
  const Coded value = code_value(sample.value);
  if (sample.timestamp_ms != previous.time_ms) flags |= kTimeJump;
  out.byte(static_cast<uint8_t>(flags | value.code << 4));
  if ((flags & kIdJump) != 0) {
    out.varint(core::zigzag(static_cast<int64_t>(one.id - previous.id - 1)));
  }
  if ((flags & kNew) != 0) out.text(one.labels);
  if ((flags & kTimeJump) != 0) {
    out.varint(core::zigzag(distance(previous.time_ms, sample.timestamp_ms)));
    previous.time_ms = sample.timestamp_ms;
  }
  out.low_bytes(value.bytes, value.size);
}

struct Counts {
  uint64_t samples = 0;
  uint64_t histograms = 0;
  uint64_t exemplars = 0;
};

void write_counted_series(Writer& out, const LogSeries& one, const model::Sample* samples,
                          const Counts& counts, uint8_t flags, const Previous& previous) {
  out.byte(flags | kCounts);
  if ((flags & kIdJump) != 0) {
    out.varint(core::zigzag(static_cast<int64_t>(one.id - previous.id - 1)));
  }
  if ((flags & kNew) != 0) out.text(one.labels);
  out.varint(counts.samples);
  out.varint(counts.histograms);
  out.varint(counts.exemplars);
  int64_t time_ms = previous.time_ms;
  int64_t step_ms = 0;
  for (uint64_t i = 0; i < counts.samples; ++i) {
    const Coded value = code_value(samples[i].value);
    const int64_t step_here_ms = distance(time_ms, samples[i].timestamp_ms);
    const bool same = step_here_ms == step_ms;
    out.byte(static_cast<uint8_t>((same ? kSameStep : kOtherStep) | value.code << 4));
    if (!same) out.varint(core::zigzag(distance(step_ms, step_here_ms)));
    out.low_bytes(value.bytes, value.size);
    time_ms = samples[i].timestamp_ms;
    step_ms = step_here_ms;
  }
}

void write_all_series(Writer& out, const LogBatch& batch, int64_t base_ms) {
  Previous previous{.id = 0, .time_ms = base_ms};
  LogSeries before;
  for (const LogSeries& one : batch.series) {
    const Counts counts{.samples = one.samples_end - before.samples_end,
                        .histograms = one.histograms_end - before.histograms_end,
                        .exemplars = one.exemplars_end - before.exemplars_end};
    uint8_t flags = one.is_new ? kNew : 0;
    if (one.id != previous.id + 1) flags |= kIdJump;
    const model::Sample* samples = batch.samples.data() + before.samples_end;
    if (counts.samples == 1 && counts.histograms == 0 && counts.exemplars == 0) {
      write_single_sample(out, one, *samples, flags, previous);
    } else {
      write_counted_series(out, one, samples, counts, flags, previous);
    }
    previous.id = one.id;
    before = one;
  }
}

// How the bytes of a value code become a value, without a branch: which code comes next
// nobody can predict.
struct ValueForm {
  uint64_t mask = 0;      // of the eight bytes that were loaded
  uint64_t raw_mask = 0;  // all ones: the bytes are the value's own top bytes
  double divisor = 1;     // of the others, which are integers
  uint8_t shift = 0;      // to where the own bytes belong
  uint8_t size = 0;
};

constexpr std::array<ValueForm, 16> make_value_forms() {
  std::array<ValueForm, 16> forms;
  const auto set = [&](uint8_t code, uint8_t size, bool is_raw, double divisor) {
    forms[code] = {.mask = size == 8 ? ~uint64_t{0} : (uint64_t{1} << (8U * size)) - 1,
                   .raw_mask = is_raw ? ~uint64_t{0} : 0,
                   .divisor = divisor,
                   .shift = static_cast<uint8_t>(is_raw ? 64 - 8 * size : 0),
                   .size = size};
  };
  set(kZero, 0, false, 1);
  for (uint8_t size = 1; size < 8; ++size) {
    set(static_cast<uint8_t>(kInteger1 + size - 1), size, false, 1);
  }
  set(kRaw, 8, true, 1);
  for (uint8_t size = 3; size <= 6; ++size) {
    set(static_cast<uint8_t>(kMilli3 + size - 3), size, false, kMilli);
  }
  set(kTop2, 2, true, 1);
  set(kTop4, 4, true, 1);
  set(kTop6, 6, true, 1);
  return forms;
}
constexpr std::array<ValueForm, 16> kValueForms = make_value_forms();

double value_of(const ValueForm& form, uint64_t loaded) {
  const uint64_t bytes = loaded & form.mask;
  const double number = static_cast<double>(core::unzigzag(bytes)) / form.divisor;
  return std::bit_cast<double>((std::bit_cast<uint64_t>(number) & ~form.raw_mask) |
                               (bytes << form.shift & form.raw_mask));
}

// Takes a payload apart. `rest` shrinks; what is asked for and missing is malformed.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}
  std::string_view& rest() { return rest_; }

  bool byte(uint8_t& value) {
    if (rest_.empty()) return false;
    value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }
  bool varint(uint64_t& value) { return core::take_varint(rest_, value); }
  bool signed_varint(int64_t& value) {
    uint64_t encoded = 0;
    if (!core::take_varint(rest_, encoded)) return false;
    value = core::unzigzag(encoded);
    return true;
  }
  bool value(uint8_t code, double& value) {
    const ValueForm& form = kValueForms[code];
    if (rest_.size() < form.size) return false;
    uint64_t bytes = 0;
    std::memcpy(&bytes, rest_.data(), form.size);
    rest_.remove_prefix(form.size);
    value = value_of(form, bytes);
    return true;
  }

 private:
  std::string_view rest_;
};

// A batch while it is read: its samples are more than it has yet.
struct Reading {
  LogBatch& batch;
  Previous previous;
  Counts totals;

  void add(model::Sample sample) {
    if (totals.samples == batch.samples.size()) batch.samples.resize(totals.samples + 1);
    batch.samples[totals.samples++] = sample;
  }
};

bool read_samples(Reader& in, uint64_t count, int64_t base_ms, Reading& reading) {
  int64_t time_ms = base_ms;
  int64_t step_ms = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint8_t head = 0;
    if (!in.byte(head)) return false;
    if ((head & 0x0f) > kOtherStep) return false;
    if ((head & 0x0f) == kOtherStep) {
      int64_t change_ms = 0;
      if (!in.signed_varint(change_ms)) return false;
      step_ms = advance(step_ms, change_ms);
    }
    time_ms = advance(time_ms, step_ms);
    model::Sample sample{.timestamp_ms = time_ms};
    if (!in.value(head >> 4, sample.value)) return false;
    reading.add(sample);
  }
  return true;
}

// Known series with a single sample, which nearly all are, as long as they come and the bytes
// cannot end within one. Gives how many.
size_t read_plain_series(Reader& in, std::span<LogSeries> series, Reading& reading) {
  constexpr size_t kBytesMax = 1 + 2 * kVarintMax + kValueMax;
  if (reading.batch.samples.size() < reading.totals.samples + series.size()) {
    reading.batch.samples.resize(reading.totals.samples + series.size());
  }
  model::Sample* const samples = reading.batch.samples.data() + reading.totals.samples;
  const auto first_end = static_cast<uint32_t>(reading.totals.samples + 1);
  const auto histograms_end = static_cast<uint32_t>(reading.totals.histograms);
  const auto exemplars_end = static_cast<uint32_t>(reading.totals.exemplars);
  Previous previous = reading.previous;
  std::string_view rest = in.rest();
  size_t i = 0;
  for (; i < series.size() && rest.size() >= kBytesMax; ++i) {
    const auto head = static_cast<uint8_t>(rest.front());
    if ((head & (kNew | kCounts)) != 0) break;
    if ((head & (kIdJump | kTimeJump)) == 0) {
      rest.remove_prefix(1);
    } else {
      Reader jumps(rest.substr(1));
      int64_t jump = 0;
      int64_t jump_ms = 0;
      if ((head & kIdJump) != 0 && !jumps.signed_varint(jump)) break;
      if ((head & kTimeJump) != 0 && !jumps.signed_varint(jump_ms)) break;
      previous.id += static_cast<uint64_t>(jump);
      previous.time_ms = advance(previous.time_ms, jump_ms);
      rest = jumps.rest();
    }
    ++previous.id;
    const ValueForm& form = kValueForms[head >> 4];
    uint64_t bytes = 0;
    std::memcpy(&bytes, rest.data(), sizeof(bytes));
    rest.remove_prefix(form.size);
    samples[i] = {.timestamp_ms = previous.time_ms, .value = value_of(form, bytes)};
    series[i] = {.id = previous.id,
                 .labels = {},
                 .is_new = false,
                 .samples_end = first_end + static_cast<uint32_t>(i),
                 .histograms_end = histograms_end,
                 .exemplars_end = exemplars_end};
  }
  in.rest() = rest;
  reading.previous = previous;
  reading.totals.samples += i;
  return i;
}

bool read_series(Reader& in, LogSeries& one, Reading& reading) {
  Previous& previous = reading.previous;
  Counts& totals = reading.totals;
  uint8_t head = 0;
  if (!in.byte(head)) return false;
  one = {};
  one.id = previous.id + 1;
  one.is_new = (head & kNew) != 0;
  if ((head & kIdJump) != 0) {
    int64_t jump = 0;
    if (!in.signed_varint(jump)) return false;
    one.id += static_cast<uint64_t>(jump);
  }
  if (one.is_new && !core::take_string(in.rest(), one.labels)) return false;
  if ((head & kCounts) == 0) {
    int64_t jump_ms = 0;
    if ((head & kTimeJump) != 0 && !in.signed_varint(jump_ms)) return false;
    previous.time_ms = advance(previous.time_ms, jump_ms);
    model::Sample sample{.timestamp_ms = previous.time_ms};
    if (!in.value(head >> 4, sample.value)) return false;
    reading.add(sample);
  } else {
    if ((head & ~(kNew | kIdJump | kCounts)) != 0) return false;
    Counts counts;
    if (!in.varint(counts.samples) || !in.varint(counts.histograms) || !in.varint(counts.exemplars))
      return false;
    const uint64_t left = in.rest().size();
    if (counts.histograms > left || counts.exemplars > left) return false;
    totals.histograms += counts.histograms;
    totals.exemplars += counts.exemplars;
    if (!read_samples(in, counts.samples, previous.time_ms, reading)) return false;
  }
  // Every histogram and exemplar takes bytes that are still to come.
  if (totals.histograms > in.rest().size() || totals.exemplars > in.rest().size()) return false;
  one.samples_end = static_cast<uint32_t>(totals.samples);
  one.histograms_end = static_cast<uint32_t>(totals.histograms);
  one.exemplars_end = static_cast<uint32_t>(totals.exemplars);
  previous.id = one.id;
  return true;
}

bool read_blocks(Reader& in, const Counts& totals, int64_t base_ms, LogBatch& batch) {
  for (uint64_t i = 0; i < totals.histograms; ++i) {
    if (!encoding::take_histogram_sample(in.rest(), batch.histograms.emplace_back(), base_ms)) {
      return false;
    }
  }
  for (uint64_t i = 0; i < totals.exemplars; ++i) {
    if (!encoding::take_exemplar(in.rest(), batch.exemplars.emplace_back(), base_ms)) return false;
  }
  uint64_t metadata_count = 0;
  if (!in.varint(metadata_count) || metadata_count > in.rest().size()) return false;
  for (uint64_t i = 0; i < metadata_count; ++i) {
    if (!encoding::take_metadata(in.rest(), batch.metadata.emplace_back())) return false;
  }
  return in.rest().empty();
}

bool read_payload(Reader& in, LogBatch& batch) {
  int64_t base_ms = 0;
  uint64_t series_count = 0;
  if (!in.signed_varint(batch.accepted_at_ms)) return false;
  if (!core::take_string(in.rest(), batch.tenant)) return false;
  if (!in.signed_varint(base_ms) || !in.varint(series_count)) return false;
  if (series_count > in.rest().size()) return false;
  batch.series.resize(series_count);
  Reading reading{.batch = batch, .previous = {.id = 0, .time_ms = base_ms}, .totals = {}};
  for (size_t i = 0; i < series_count;) {
    if (const size_t plain = read_plain_series(in, std::span(batch.series).subspan(i), reading)) {
      i += plain;
    } else if (!read_series(in, batch.series[i++], reading)) {
      return false;
    }
  }
  batch.samples.resize(reading.totals.samples);
  return read_blocks(in, reading.totals, base_ms, batch);
}

}  // namespace

void append_batch_payload(std::string& out, const LogBatch& batch) {
  const int64_t base_ms =
      batch.samples.empty() ? batch.accepted_at_ms : batch.samples.front().timestamp_ms;
  core::append_varint(out, core::zigzag(batch.accepted_at_ms));
  core::append_string(out, batch.tenant);
  core::append_varint(out, core::zigzag(base_ms));
  core::append_varint(out, batch.series.size());
  const size_t begin = out.size();
  out.resize_and_overwrite(begin + series_bytes_max(batch), [&](char* data, size_t) {
    Writer writer(data + begin);
    write_all_series(writer, batch, base_ms);
    return static_cast<size_t>(writer.at() - data);
  });
  for (const model::HistogramSample& sample : batch.histograms) {
    encoding::append_histogram_sample(out, sample, base_ms);
  }
  for (const model::Exemplar& exemplar : batch.exemplars) {
    encoding::append_exemplar(out, exemplar, base_ms);
  }
  core::append_varint(out, batch.metadata.size());
  for (const model::Metadata& metadata : batch.metadata) encoding::append_metadata(out, metadata);
}

Result<void> decode_batch_payload(std::string_view payload, LogBatch& batch) {
  // Series and samples stay to be overwritten: most batches are as large as the one before.
  batch.histograms.clear();
  batch.exemplars.clear();
  batch.metadata.clear();
  Reader in(payload);
  if (!read_payload(in, batch)) {
    return core::fail(ErrorCode::Corruption, "malformed batch at byte {} of {}",
                      payload.size() - in.rest().size(), payload.size());
  }
  return {};
}

}  // namespace tsdb
