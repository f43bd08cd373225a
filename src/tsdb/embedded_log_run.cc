#include "tsdb/embedded_log_run.h"

#include "core/mutation.h"
#include "core/varint.h"
#include "encoding/record_blocks.h"
#include "tsdb/embedded_log_record.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogBatch;
using storage::LogPosition;
using storage::LogSeries;

namespace {

// A head is even: half of it plain series follow, each with the id behind its predecessor's and
// one float sample at the time of the last single sample; or odd: one other series, with flags.
constexpr uint8_t kNew = 1;
constexpr uint8_t kIdJump = 2;
constexpr uint8_t kCounts = 4;
constexpr uint8_t kTimeJump = 8;
constexpr uint8_t kAllFlags = 15;

// Value codes, four bits each.
constexpr uint8_t kSame = 0;
constexpr uint8_t kInteger1 = 1;  // 1..6: difference of the integers, zigzag, of that many bytes
constexpr uint8_t kMilli1 = 7;    // 7..11: difference of the thousandths, of 1, 2, 3, 4 or 6 bytes
constexpr uint8_t kMilli6 = 11;
constexpr uint8_t kTop2 = 12;  // the top 2, 4 or 6 bytes of the value itself; the rest are zero
constexpr uint8_t kTop4 = 13;
constexpr uint8_t kTop6 = 14;
constexpr uint8_t kRaw = 15;  // all eight bytes
constexpr size_t kValueMax = 8;
constexpr size_t kVarintMax = 10;

constexpr double kNumberLimit = 0x1p53;
constexpr double kMilli = 1000;

int64_t distance(int64_t from, int64_t to) {
  return static_cast<int64_t>(static_cast<uint64_t>(to) - static_cast<uint64_t>(from));
}
int64_t advance(int64_t from, int64_t by) {
  return static_cast<int64_t>(static_cast<uint64_t>(from) + static_cast<uint64_t>(by));
}

// Writes into space that was reserved for the worst case; no checks per byte.
class PayloadWriter {
 public:
  explicit PayloadWriter(char* at) : at_(at) {}
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

uint8_t byte_width(uint64_t value) {
  return static_cast<uint8_t>((std::bit_width(value) + 7) / 8);
}

// Where a series starts to write samples relative to its predecessor.
struct PreviousSeries {
  uint64_t id = 0;
  int64_t time_ms = 0;
};

struct SeriesCounts {
  uint64_t samples = 0;
  uint64_t histograms = 0;
  uint64_t exemplars = 0;
};

// Takes a payload apart. `rest` shrinks; what is asked for and missing is malformed.
class PayloadReader {
 public:
  explicit PayloadReader(std::string_view rest) : rest_(rest) {}
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

 private:
  std::string_view rest_;
};

// How the bytes behind a value code become a value. Decoding has no branch for it: which code
// comes next nobody can predict.
struct Form {
  uint64_t mask = 0;         // of the eight bytes that were loaded
  uint64_t same_mask = 0;    // all ones: the value is the one before
  uint64_t own_mask = 0;     // all ones: the bytes are the top ones of the value itself
  uint64_t number_mask = 0;  // all ones: they are the difference of two numbers
  double scale = 1;          // of these numbers to the values
  uint8_t shift = 0;         // of own bytes
  uint8_t size = 0;
};

constexpr std::array<Form, 16> make_forms() {
  std::array<Form, 16> forms;
  const auto set = [&](uint8_t code, uint8_t size, double scale) {
    Form& form = forms[code];
    form.size = size;
    form.mask = size == 8 ? ~uint64_t{0} : (uint64_t{1} << (8U * size)) - 1;
    if (scale != 0) {
      form.number_mask = ~uint64_t{0};
      form.scale = scale;
    } else {
      form.own_mask = ~uint64_t{0};
      form.shift = static_cast<uint8_t>(64 - 8 * size);
    }
  };
  forms[kSame].same_mask = ~uint64_t{0};
  for (uint8_t size = 1; size <= 6; ++size) {
    set(static_cast<uint8_t>(kInteger1 + size - 1), size, 1);
  }
  for (uint8_t size = 1; size <= 4; ++size) {
    set(static_cast<uint8_t>(kMilli1 + size - 1), size, kMilli);
  }
  set(kMilli6, 6, kMilli);
  set(kTop2, 2, 0);
  set(kTop4, 4, 0);
  set(kTop6, 6, 0);
  set(kRaw, 8, 0);
  return forms;
}
constexpr std::array<Form, 16> kForms = make_forms();

// The number that the difference to the next one is taken from. Any would do.
int64_t number_near(double value, double scale) {
  const double number = std::nearbyint(value * scale);
  return std::fabs(number) < kNumberLimit ? static_cast<int64_t>(number) : 0;  // NaN: 0
}

struct Change {
  uint8_t code = kSame;
  uint64_t bytes = 0;
};

// As a difference of numbers, where `code1` is that of one byte. Nothing when the value is none,
// or its difference takes `size_max` bytes or more.
std::optional<Change> number_change(double previous, double value, double scale, uint8_t code1,
                                    uint8_t size_max) {
  const double near = std::nearbyint(value * scale);
  if (!(std::fabs(near) < kNumberLimit)) return {};
  const auto number = static_cast<int64_t>(near);
  const double back = static_cast<double>(number) / scale;
  if (std::bit_cast<uint64_t>(back) != std::bit_cast<uint64_t>(value)) return {};  // also -0.0
  const uint64_t change = core::zigzag(number - number_near(previous, scale));
  uint8_t size = std::max<uint8_t>(byte_width(change), 1);
  if (scale != 1 && size == 5) size = 6;  // there is no code for it
  if (size >= size_max || size > 6) return {};
  const uint8_t code = scale != 1 && size == 6 ? kMilli6 : static_cast<uint8_t>(code1 + size - 1);
  return Change{code, change};
}

Change change_of(double previous, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  if (bits == std::bit_cast<uint64_t>(previous)) return {};
  if (const auto integer = number_change(previous, value, 1, kInteger1, kValueMax)) return *integer;
  Change own{kRaw, bits};
  const auto zero_bytes = static_cast<unsigned>(std::countr_zero(bits)) / 8;
  if (zero_bytes >= 6) {
    own = {kTop2, bits >> 48};
  } else if (zero_bytes >= 4) {
    own = {kTop4, bits >> 32};
  } else if (zero_bytes >= 2) {
    own = {kTop6, bits >> 16};
  }
  return number_change(previous, value, kMilli, kMilli1, kForms[own.code].size).value_or(own);
}

double value_of(const Form& form, double previous, uint64_t loaded) {
  const uint64_t bytes = loaded & form.mask;
  const double number =
      static_cast<double>(advance(number_near(previous, form.scale), core::unzigzag(bytes))) /
      form.scale;
  return std::bit_cast<double>((std::bit_cast<uint64_t>(previous) & form.same_mask) |
                               (bytes << form.shift & form.own_mask) |
                               (std::bit_cast<uint64_t>(number) & form.number_mask));
}

size_t run_bytes_max(const LogBatch& batch) {
  size_t bytes = 0;
  for (const LogSeries& one : batch.series) {
    // Head, id, labels, time of a single sample or three counts; and the plain ones before it.
    bytes += 2 * kVarintMax + kVarintMax + one.labels.size() + 3 * kVarintMax;
  }
  // Step, code, value.
  return bytes + batch.samples.size() * (kVarintMax + 1 + kValueMax) + sizeof(uint64_t) + 1;
}

void write_other(PayloadWriter& out, const LogSeries& one, const model::Sample* samples,
                 const SeriesCounts& counts, PreviousSeries& previous) {
  const bool is_single = counts.samples == 1 && counts.histograms == 0 && counts.exemplars == 0;
  uint8_t flags = one.is_new ? kNew : 0;
  if (one.id != previous.id + 1) flags |= kIdJump;
  if (!is_single) flags |= kCounts;
  if (is_single && samples->timestamp_ms != previous.time_ms) flags |= kTimeJump;
  out.byte(static_cast<uint8_t>(flags << 1 | 1));
  if ((flags & kIdJump) != 0) {
    out.varint(core::zigzag(static_cast<int64_t>(one.id - previous.id - 1)));
  }
  if ((flags & kNew) != 0) out.text(one.labels);
  if ((flags & kTimeJump) != 0) {
    out.varint(core::zigzag(distance(previous.time_ms, samples->timestamp_ms)));
    previous.time_ms = samples->timestamp_ms;
  }
  if ((flags & kCounts) == 0) return;
  out.varint(counts.samples);
  out.varint(counts.histograms);
  out.varint(counts.exemplars);
  int64_t time_ms = previous.time_ms;
  int64_t step_ms = 0;
  for (uint64_t i = 0; i < counts.samples; ++i) {
    const int64_t step_here_ms = distance(time_ms, samples[i].timestamp_ms);
    out.varint(core::zigzag(distance(step_ms, step_here_ms)));
    time_ms = samples[i].timestamp_ms;
    step_ms = step_here_ms;
  }
}

// All but the values.
void write_series(PayloadWriter& out, const LogBatch& batch, int64_t base_ms) {
  PreviousSeries previous{.id = 0, .time_ms = base_ms};
  LogSeries before;
  uint64_t plain = 0;
  const auto write_plain = [&] {
    if (plain != 0) out.varint(plain << 1);
    plain = 0;
  };
  for (const LogSeries& one : batch.series) {
    const model::Sample* samples = batch.samples.data() + before.samples_end;
    const SeriesCounts counts{.samples = one.samples_end - before.samples_end,
                              .histograms = one.histograms_end - before.histograms_end,
                              .exemplars = one.exemplars_end - before.exemplars_end};
    if (!one.is_new && one.id == previous.id + 1 && counts.samples == 1 && counts.histograms == 0 &&
        counts.exemplars == 0 && samples->timestamp_ms == previous.time_ms) {
      ++plain;
    } else {
      write_plain();
      write_other(out, one, samples, counts, previous);
    }
    previous.id = one.id;
    before = one;
  }
  write_plain();
}

// The codes of all samples, two in a byte, the first one low; then their bytes.
void write_values(PayloadWriter& out, const LogBatch& batch, uint32_t run, uint32_t record) {
  char* code_at = out.at();
  PayloadWriter values(code_at + (batch.samples.size() + 1) / 2);
  uint8_t half = 0;
  uint32_t sample = 0;
  for (const LogSeries& one : batch.series) {
    if (sample == one.samples_end) continue;
    storage::LoggedValue& logged = *one.logged_value;
    double last = logged.run == run ? logged.value : 0;
    for (; sample < one.samples_end; ++sample) {
      const double value = batch.samples[sample].value;
      const Change change = change_of(last, value);
      values.low_bytes(change.bytes, kForms[change.code].size);
      last = value;
      if (sample % 2 == 0) {
        half = change.code;
      } else {
        *code_at++ = static_cast<char>(half | change.code << 4);
      }
    }
    logged = {.value = last, .run = run, .record = record};
  }
  if (sample % 2 != 0) *code_at = static_cast<char>(half);
  out = values;
}

bool read_other(PayloadReader& in, uint64_t flags, LogBatch& batch, PreviousSeries& previous,
                SeriesCounts& totals) {
  if (flags > kAllFlags || (flags & (kCounts | kTimeJump)) == (kCounts | kTimeJump)) return false;
  LogSeries one;
  one.id = previous.id + 1;
  one.is_new = (flags & kNew) != 0;
  int64_t jump = 0;
  if ((flags & kIdJump) != 0) {
    if (!in.signed_varint(jump)) return false;
    one.id += static_cast<uint64_t>(jump);
  }
  if (one.is_new && !core::take_string(in.rest(), one.labels)) return false;
  if ((flags & kCounts) == 0) {
    int64_t jump_ms = 0;
    if ((flags & kTimeJump) != 0 && !in.signed_varint(jump_ms)) return false;
    previous.time_ms = advance(previous.time_ms, jump_ms);
    batch.samples.push_back({.timestamp_ms = previous.time_ms});
  } else {
    SeriesCounts counts;
    if (!in.varint(counts.samples) || !in.varint(counts.histograms) || !in.varint(counts.exemplars))
      return false;
    const uint64_t left = in.rest().size();
    if (counts.samples > left || counts.histograms > left || counts.exemplars > left) return false;
    totals.histograms += counts.histograms;
    totals.exemplars += counts.exemplars;
    int64_t time_ms = previous.time_ms;
    int64_t step_ms = 0;
    for (uint64_t i = 0; i < counts.samples; ++i) {
      int64_t change_ms = 0;
      if (!in.signed_varint(change_ms)) return false;
      step_ms = advance(step_ms, change_ms);
      time_ms = advance(time_ms, step_ms);
      batch.samples.push_back({.timestamp_ms = time_ms});
    }
  }
  // Every histogram and exemplar takes bytes that are still to come.
  if (totals.histograms > in.rest().size() || totals.exemplars > in.rest().size()) return false;
  one.samples_end = static_cast<uint32_t>(batch.samples.size());
  one.histograms_end = static_cast<uint32_t>(totals.histograms);
  one.exemplars_end = static_cast<uint32_t>(totals.exemplars);
  previous.id = one.id;
  batch.series.push_back(one);
  return true;
}

bool read_series(PayloadReader& in, LogBatch& batch, int64_t base_ms, SeriesCounts& totals) {
  uint64_t series_count = 0;
  if (!in.varint(series_count)) return false;
  PreviousSeries previous{.id = 0, .time_ms = base_ms};
  while (batch.series.size() < series_count) {
    uint64_t head = 0;
    if (!in.varint(head)) return false;
    if (head % 2 != 0) {
      if (!read_other(in, head >> 1, batch, previous, totals)) return false;
      continue;
    }
    const uint64_t plain = head >> 1;
    // Every sample has half a byte that is still to come.
    if (plain == 0 || plain > series_count - batch.series.size() || plain > 2 * in.rest().size()) {
      return false;
    }
    for (uint64_t i = 0; i < plain; ++i) {
      batch.samples.push_back({.timestamp_ms = previous.time_ms});
      batch.series.push_back({.id = ++previous.id,
                              .labels = {},
                              .samples_end = static_cast<uint32_t>(batch.samples.size()),
                              .histograms_end = static_cast<uint32_t>(totals.histograms),
                              .exemplars_end = static_cast<uint32_t>(totals.exemplars)});
    }
    if (batch.samples.size() > 2 * in.rest().size()) return false;
  }
  return true;
}

bool read_values(PayloadReader& in, LogBatch& batch, RunValues& values) {
  const size_t code_bytes = (batch.samples.size() + 1) / 2;
  if (code_bytes > in.rest().size()) return false;
  const std::string_view codes = in.rest().substr(0, code_bytes);
  in.rest().remove_prefix(code_bytes);
  if (batch.samples.size() % 2 != 0 && static_cast<uint8_t>(codes.back()) > kRaw) return false;
  std::string_view rest = in.rest();
  uint32_t sample = 0;
  for (const LogSeries& one : batch.series) {
    if (sample == one.samples_end) continue;
    double& last = values.at(one.id);
    for (; sample < one.samples_end; ++sample) {
      const auto both = static_cast<uint8_t>(codes[sample / 2]);
      const Form& form = kForms[sample % 2 == 0 ? both & 15U : both >> 4U];
      uint64_t loaded = 0;
      if (rest.size() >= sizeof(loaded)) {
        std::memcpy(&loaded, rest.data(), sizeof(loaded));
      } else {
        if (rest.size() < form.size) return false;
        std::memcpy(&loaded, rest.data(), form.size);
      }
      rest.remove_prefix(form.size);
      last = value_of(form, last, loaded);
      batch.samples[sample].value = last;
    }
  }
  in.rest() = rest;
  return true;
}

void append_blocks(std::string& out, const LogBatch& batch, int64_t base_ms) {
  for (const model::HistogramSample& sample : batch.histograms) {
    encoding::append_histogram_sample(out, sample, base_ms);
  }
  for (const model::Exemplar& exemplar : batch.exemplars) {
    encoding::append_exemplar(out, exemplar, base_ms);
  }
  core::append_varint(out, batch.metadata.size());
  for (const model::Metadata& metadata : batch.metadata) encoding::append_metadata(out, metadata);
}

bool read_blocks(PayloadReader& in, const SeriesCounts& totals, int64_t base_ms, LogBatch& batch) {
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

// What a record refers to, in front of its payload: positions as distances.
struct Place {
  uint64_t distance = 0;  // from the first record of the run
  uint64_t back = 0;      // to the newest record that is referred to; 0: to none
  uint64_t span = 0;      // from there to the oldest

  bool read(PayloadReader& in) {
    return in.varint(distance) && in.varint(back) && (back == 0 || in.varint(span)) &&
           back <= distance && span <= distance - back;
  }
};

Place place_of(const LogBatch& batch, uint64_t distance, uint32_t run) {
  uint64_t newest = 0;
  uint64_t oldest = UINT64_MAX;
  for (const LogSeries& one : batch.series) {
    if (one.logged_value->run != run) continue;
    newest = std::max<uint64_t>(newest, one.logged_value->record);
    oldest = std::min<uint64_t>(oldest, one.logged_value->record);
  }
  if (oldest == UINT64_MAX) return {.distance = distance};
  return {.distance = distance, .back = distance - newest, .span = newest - oldest};
}

bool read_payload(PayloadReader& in, LogBatch& batch, RunValues& values) {
  int64_t base_ms = 0;
  SeriesCounts totals;
  return in.signed_varint(batch.accepted_at_ms) && core::take_string(in.rest(), batch.tenant) &&
         in.signed_varint(base_ms) && read_series(in, batch, base_ms, totals) &&
         read_values(in, batch, values) && read_blocks(in, totals, base_ms, batch);
}

}  // namespace

bool fits_run(const LogBatch& batch) {
  return !batch.series.empty() &&
         std::all_of(batch.series.begin(), batch.series.end(),
                     [](const LogSeries& one) { return one.logged_value != nullptr; });
}

size_t guess_run_bytes(const LogBatch& batch) {
  constexpr size_t kSampleBytes = 3;
  constexpr size_t kBlockBytes = 64;
  size_t bytes = kBlockBytes + kSampleBytes * batch.samples.size() +
                 kBlockBytes * (batch.histograms.size() + batch.exemplars.size());
  for (const LogSeries& one : batch.series) {
    if (one.is_new) bytes += one.labels.size();
  }
  return bytes;
}

void append_run_payload(std::string& out, const LogBatch& batch, uint64_t distance, uint32_t run) {
  const int64_t base_ms =
      batch.samples.empty() ? batch.accepted_at_ms : batch.samples.front().timestamp_ms;
  const Place place = place_of(batch, distance, run);
  core::append_varint(out, place.distance);
  core::append_varint(out, place.back);
  if (place.back != 0) core::append_varint(out, place.span);
  core::append_varint(out, core::zigzag(batch.accepted_at_ms));
  core::append_string(out, batch.tenant);
  core::append_varint(out, core::zigzag(base_ms));
  core::append_varint(out, batch.series.size());
  const size_t begin = out.size();
  out.resize_and_overwrite(begin + run_bytes_max(batch), [&](char* data, size_t) {
    PayloadWriter writer(data + begin);
    write_series(writer, batch, base_ms);
    write_values(writer, batch, run, static_cast<uint32_t>(distance));
    return static_cast<size_t>(writer.at() - data);
  });
  append_blocks(out, batch, base_ms);
}

// Ids follow one another in a batch, and so do their slots, in pieces: longer rows of full slots
// would meet others that have the same place, and every look-up would walk along them.
size_t RunValues::slot_of(uint64_t id, size_t mask) {
  constexpr unsigned kPieceBits = 4;
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  const uint64_t piece = (id >> kPieceBits) * kGolden >> 24U;
  return (piece << kPieceBits | (id & ((1U << kPieceBits) - 1))) & mask;
}

void RunValues::clear() {
  constexpr size_t kKeptMax = size_t{1} << 20;
  of_empty_ = 0;
  used_ = 0;
  if (slots_.size() > kKeptMax) slots_ = {};
  std::fill(slots_.begin(), slots_.end(), Slot{});
}

double& RunValues::at(uint64_t id) {
  if (id == kEmpty) return of_empty_;
  if ((used_ + 1) * 2 > slots_.size()) grow();
  const size_t mask = slots_.size() - 1;
  size_t i = slot_of(id, mask);
  while (slots_[i].id != id) {
    if (slots_[i].id == kEmpty) {
      slots_[i].id = id;
      ++used_;
      break;
    }
    i = (i + 1) & mask;
  }
  return slots_[i].value;
}

void RunValues::grow() {
  constexpr size_t kSlotsMin = 1024;
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(std::max(kSlotsMin, old.size() * 2), Slot{});
  const size_t mask = slots_.size() - 1;
  for (const Slot& one : old) {
    if (one.id == kEmpty) continue;
    size_t i = slot_of(one.id, mask);
    while (slots_[i].id != kEmpty) i = (i + 1) & mask;
    slots_[i] = one;
  }
}

void RunReader::note_lost(LogPosition first, LogPosition end) {
  if (!lost_.empty() && lost_.back().end == first) {
    lost_.back().end = end;
  } else if (first != end) {
    lost_.push_back({first, end});
  }
}

bool RunReader::can_read(const SegmentReader::Record& record) const {
  if (record.kind != RecordKind::Run || PETREL_MUTATED("log-run-ignores-gaps")) return true;
  PayloadReader in(record.payload);
  Place place;
  if (!place.read(in) || place.back == 0) return true;  // decode() tells what is malformed
  if (place.back + place.span > record.position - begin_) return false;
  const LogPosition newest = record.position - place.back;
  const LogPosition oldest = newest - place.span;
  for (size_t i = lost_.size(); i-- > 0 && lost_[i].end > oldest;) {
    if (lost_[i].first <= newest) return false;
  }
  return true;
}

Result<void> RunReader::decode(const SegmentReader::Record& record, LogBatch& batch) {
  if (record.kind != RecordKind::Run) return decode_batch_payload(record.payload, batch);
  batch.clear();
  PayloadReader in(record.payload);
  Place place;
  const bool has_place = place.read(in);
  if (const LogPosition first = record.position - place.distance; has_place && first_ != first) {
    values_.clear();
    first_ = first;
  }
  if (!has_place || !read_payload(in, batch, values_)) {
    return core::fail(ErrorCode::Corruption, "malformed batch at byte {} of {}",
                      record.payload.size() - in.rest().size(), record.payload.size());
  }
  return {};
}

}  // namespace tsdb
