#include "encoding/int_column.h"

#include "core/result.h"
#include "core/varint.h"
#include "encoding/kernels.h"
#include "encoding/packed_numbers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace encoding {
namespace {

// Plain to Delta2 are read only: they were written before there were packed numbers.
enum class Kind : uint8_t {
  Constant = 0,
  Linear = 1,
  Plain = 2,
  Delta = 3,
  Delta2 = 4,
  PackedPlain = 5,
  PackedDelta = 6,
  PackedDelta2 = 7,
  PackedTrend = 8,
  PackedXor = 9,
};
// In the byte of a packed kind.
constexpr uint8_t kUnitFollows = 0x80;
// Of the forms of a column, so many are packed to see which is smallest.
constexpr size_t kFormsTriedMax = 5;

constexpr size_t kBlock = 64;
// A value of up to 56 bits at any bit offset lies within one 8-byte load; wider ones
// are stored as whole words.
constexpr unsigned kWidthMax = 56;
constexpr unsigned kWholeWord = 64;

struct Frame {
  int64_t min = 0;
  unsigned width = 0;
};

size_t packed_size(size_t count, unsigned width) {
  return (count * width + 7) / 8;
}

// `in` has at least 8 readable bytes behind the packed ones.
void unpack(const char* in, size_t count, Frame frame, uint64_t* out) {
  const auto min = static_cast<uint64_t>(frame.min);
  if (frame.width == 0) {
    std::fill_n(out, count, min);
    return;
  }
  if (frame.width == kWholeWord) {
    std::memcpy(out, in, count * sizeof(uint64_t));
    for (size_t i = 0; i < count; ++i) out[i] += min;
    return;
  }
  const uint64_t mask = (uint64_t{1} << frame.width) - 1;
  size_t bit = 0;
  for (size_t i = 0; i < count; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, in + (bit >> 3U), sizeof(word));
    out[i] = ((word >> (bit & 7U)) & mask) + min;
    bit += frame.width;
  }
}

bool take_blocks(std::string_view& bytes, std::span<uint64_t> out) {
  for (size_t at = 0; at < out.size(); at += kBlock) {
    const size_t count = std::min(kBlock, out.size() - at);
    if (bytes.empty()) return false;
    Frame frame;
    frame.width = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (frame.width > kWidthMax && frame.width != kWholeWord) return false;
    uint64_t min = 0;
    if (!core::take_varint(bytes, min)) return false;
    frame.min = core::unzigzag(min);

    const size_t size = packed_size(count, frame.width);
    if (size > bytes.size()) return false;
    if (bytes.size() - size >= sizeof(uint64_t)) {
      unpack(bytes.data(), count, frame, out.data() + at);
    } else {  // the end of the buffer: whole-word loads need room
      std::array<char, kBlock * sizeof(uint64_t) + sizeof(uint64_t)> padded{};
      std::memcpy(padded.data(), bytes.data(), size);
      unpack(padded.data(), count, frame, out.data() + at);
    }
    bytes.remove_prefix(size);
  }
  return true;
}

// ---- writing ----

// What a column is the sum of; the order is that of the kinds from Kind::PackedPlain on.
enum class Form : uint8_t { Plain, Delta, Delta2, Trend, Xor };
constexpr size_t kFormCount = 5;

// All forms of a column but its first value, in units.
struct Forms {
  std::array<std::array<int64_t, kColumnSizeMax>, kFormCount> numbers;
  std::array<size_t, kFormCount> cost_estimates{};
  uint64_t unit = 1;
  uint64_t xor_unit = 1;
  int64_t step = 0;
};

uint64_t magnitude(uint64_t difference) {
  const auto as_signed = static_cast<int64_t>(difference);
  return as_signed < 0 ? uint64_t{0} - difference : difference;
}

// The greatest number that divides all differences to the first value.
uint64_t common_unit(std::span<const int64_t> values) {
  const auto first = static_cast<uint64_t>(values[0]);
  uint64_t any = 0;
  for (const int64_t value : values) any |= static_cast<uint64_t>(value) - first;
  if (any == 0) return 1;
  const auto zeros = static_cast<unsigned>(std::countr_zero(any));
  uint64_t odd = 0;
  uint64_t before = 0;
  for (const int64_t value : values) {
    const uint64_t now = magnitude(static_cast<uint64_t>(value) - first) >> zeros;
    if (now == before) continue;
    before = now;
    if (odd != 0 && now % odd == 0) continue;
    odd = std::gcd(odd, now);
    if (odd == 1) break;
  }
  const uint64_t unit = odd << zeros;
  return unit <= uint64_t{1} << 62U ? unit : 1;
}

int64_t divide(uint64_t difference, uint64_t unit) {
  if (std::has_single_bit(unit)) {
    return static_cast<int64_t>(difference) >> std::countr_zero(unit);
  }
  return static_cast<int64_t>(difference) / static_cast<int64_t>(unit);
}

// The step of most values: far ones (a pause between scrapes) do not count.
int64_t common_step(std::span<const int64_t> deltas) {
  const auto mean = [](std::span<const int64_t> all, int64_t low, int64_t high) {
    double sum = 0;
    double count = 0;
    for (const int64_t one : all) {
      const bool counts = one >= low && one <= high;
      sum += counts ? static_cast<double>(one) : 0;
      count += counts ? 1 : 0;
    }
    const double found = count == 0 ? 0 : sum / count;
    return std::fabs(found) < 0x1p62 ? static_cast<int64_t>(std::nearbyint(found)) : 0;
  };
  const int64_t all = mean(deltas, INT64_MIN, INT64_MAX);
  if (all == 0) return 0;
  const int64_t half = all / 2;
  return mean(deltas, std::min(half, all + half), std::max(half, all + half));
}

// Bits that the numbers take around the better of 0 and their mean.
size_t estimate(std::span<const int64_t> numbers) {
  double sum = 0;
  for (const int64_t number : numbers) sum += static_cast<double>(number);
  const double mean = sum / static_cast<double>(numbers.size());
  const auto centre =
      std::fabs(mean) < 0x1p62 ? static_cast<uint64_t>(static_cast<int64_t>(mean)) : 0;
  size_t around_zero = 0;
  size_t around_centre = 0;
  for (const int64_t number : numbers) {
    const auto value = static_cast<uint64_t>(number);
    around_zero += static_cast<size_t>(std::bit_width(magnitude(value)));
    around_centre += static_cast<size_t>(std::bit_width(magnitude(value - centre)));
  }
  return std::min(around_zero, around_centre);
}

// Bits that the numbers take in one class, as quick packing has them.
size_t quick_estimate(std::span<const int64_t> numbers) {
  int64_t low = numbers[0];
  int64_t high = numbers[0];
  for (const int64_t number : numbers) {
    low = std::min(low, number);
    high = std::max(high, number);
  }
  return numbers.size() * static_cast<size_t>(std::bit_width(static_cast<uint64_t>(high) -
                                                             static_cast<uint64_t>(low)));
}

void find_forms(std::span<const int64_t> values, Xor with_xor, Effort effort, Forms& forms) {
  const size_t count = values.size() - 1;
  const auto first = static_cast<uint64_t>(values[0]);
  forms.unit = common_unit(values);
  uint64_t before = 0;
  uint64_t delta_before = 0;
  auto& [plains, deltas, deltas2, trends, xors] = forms.numbers;
  for (size_t i = 0; i < count; ++i) {
    const int64_t plain = divide(static_cast<uint64_t>(values[i + 1]) - first, forms.unit);
    const uint64_t delta = static_cast<uint64_t>(plain) - before;
    plains[i] = plain;
    deltas[i] = static_cast<int64_t>(delta);
    deltas2[i] = static_cast<int64_t>(delta - delta_before);
    before = static_cast<uint64_t>(plain);
    delta_before = delta;
  }
  forms.step = common_step(std::span(deltas).first(count));
  for (size_t i = 0; i < count; ++i) {
    trends[i] = static_cast<int64_t>(static_cast<uint64_t>(plains[i]) -
                                     static_cast<uint64_t>(forms.step) * (i + 1));
  }
  const auto cost = effort == Effort::Quick ? quick_estimate : estimate;
  for (size_t form = 0; form < kFormCount - 1; ++form) {
    forms.cost_estimates[form] = cost(std::span(forms.numbers[form]).first(count));
  }
  if (forms.step == 0) forms.cost_estimates[static_cast<size_t>(Form::Trend)] = SIZE_MAX;
  forms.cost_estimates[static_cast<size_t>(Form::Xor)] = SIZE_MAX;
  if (with_xor == Xor::Leave) return;
  uint64_t any = 0;
  for (size_t i = 0; i < count; ++i) {
    xors[i] = values[i + 1] ^ values[i];
    any |= static_cast<uint64_t>(xors[i]);
  }
  const auto zeros = any == 0 ? 0U : static_cast<unsigned>(std::countr_zero(any));
  forms.xor_unit = uint64_t{1} << zeros;
  for (size_t i = 0; i < count; ++i) {
    xors[i] = static_cast<int64_t>(static_cast<uint64_t>(xors[i]) >> zeros);
  }
  forms.cost_estimates[static_cast<size_t>(Form::Xor)] = cost(std::span(xors).first(count));
}

void append_form(std::string& out, int64_t first, const Forms& forms, Form form, size_t count,
                 Effort effort) {
  const uint64_t unit = form == Form::Xor ? forms.xor_unit : forms.unit;
  const auto kind =
      static_cast<uint8_t>(static_cast<uint8_t>(Kind::PackedPlain) + static_cast<uint8_t>(form));
  out.push_back(static_cast<char>(kind | (unit != 1 ? kUnitFollows : 0U)));
  core::append_zigzag(out, first);
  if (unit != 1) core::append_varint(out, unit);
  if (form == Form::Trend) core::append_zigzag(out, forms.step);
  append_packed_numbers(out, std::span(forms.numbers[static_cast<size_t>(form)]).first(count),
                        effort);
}

}  // namespace

void append_int_column(std::string& out, std::span<const int64_t> values, Xor with_xor,
                       Effort effort) {
  ENSURE(!values.empty() && values.size() <= kColumnSizeMax);
  const auto first = static_cast<uint64_t>(values[0]);
  const auto put_header = [&](Kind kind) {
    out.push_back(static_cast<char>(kind));
    core::append_zigzag(out, values[0]);
  };
  const auto differs =
      std::find_if(values.begin(), values.end(), [&](int64_t value) { return value != values[0]; });
  if (differs == values.end()) return put_header(Kind::Constant);
  const uint64_t step = static_cast<uint64_t>(values[1]) - first;
  bool linear = true;
  for (size_t i = 1; i < values.size() && linear; ++i) {
    linear = static_cast<uint64_t>(values[i]) == first + step * i;
  }
  if (linear) {
    put_header(Kind::Linear);
    core::append_zigzag(out, static_cast<int64_t>(step));
    return;
  }

  const size_t count = values.size() - 1;  // the first stands in the header
  static thread_local Forms forms;         // too large for small stacks
  find_forms(values, with_xor, effort, forms);
  std::array<size_t, kFormCount> order = {0, 1, 2, 3, 4};
  std::sort(order.begin(), order.end(), [](size_t a, size_t b) {
    return forms.cost_estimates[a] != forms.cost_estimates[b]
               ? forms.cost_estimates[a] < forms.cost_estimates[b]
               : a < b;
  });
  const size_t begin = out.size();
  append_form(out, values[0], forms, static_cast<Form>(order[0]), count, effort);
  if (effort == Effort::Quick) return;
  // The estimate is rough: what comes close is tried as well.
  for (size_t i = 1; i < kFormsTriedMax; ++i) {
    const size_t estimated = forms.cost_estimates[order[i]];
    if (estimated > forms.cost_estimates[order[0]] * 2 + count) break;
    std::string other;
    append_form(other, values[0], forms, static_cast<Form>(order[i]), count, effort);
    if (other.size() < out.size() - begin) out.replace(begin, std::string::npos, other);
  }
}

namespace {

bool is_packed(uint8_t kind_byte) {
  const auto kind = static_cast<Kind>(kind_byte & ~kUnitFollows);
  return kind >= Kind::PackedPlain && kind <= Kind::PackedXor;
}

Form form_of(uint8_t kind_byte) {
  return static_cast<Form>((kind_byte & ~kUnitFollows) - static_cast<uint8_t>(Kind::PackedPlain));
}

// Behind kind and first value: the numbers of all values but the first, and what to make of them.
bool take_packed(std::string_view& bytes, uint8_t kind_byte, uint64_t first, size_t count,
                 std::array<uint64_t, kColumnSizeMax>& numbers, Restoring& how) {
  const Form form = form_of(kind_byte);
  how.first = first;
  how.sums = form == Form::Delta ? 1 : form == Form::Delta2 ? 2 : 0;
  if ((kind_byte & kUnitFollows) != 0 && !core::take_varint(bytes, how.unit)) return false;
  int64_t step = 0;
  if (form == Form::Trend && !core::take_zigzag(bytes, step)) return false;
  how.step = static_cast<uint64_t>(step);
  return take_packed_numbers(bytes, count, numbers.data());
}

bool take_packed_integers(std::string_view& bytes, uint8_t kind_byte, uint64_t first,
                          std::span<int64_t> out, size_t from) {
  std::array<uint64_t, kColumnSizeMax> numbers;
  Restoring how{.from = from == 0 ? 0 : from - 1};
  const size_t count = out.size() - 1;
  if (!take_packed(bytes, kind_byte, first, count, numbers, how)) return false;
  out[0] = static_cast<int64_t>(first);
  if (form_of(kind_byte) != Form::Xor) {
    kernels().restore(numbers.data(), count, how, out.data() + 1);
    return true;
  }
  uint64_t value = first;
  for (size_t i = 0; i < count; ++i) {
    value ^= numbers[i] * how.unit;
    out[i + 1] = static_cast<int64_t>(value);
  }
  return true;
}

double to_double(int64_t integer, const DecimalScale& scale) {
  const auto number = static_cast<double>(integer);
  return scale.multiply ? number * scale.inverse : number / scale.power;
}

}  // namespace

bool take_int_column(std::string_view& bytes, std::span<int64_t> out, size_t from) {
  ENSURE(from < std::max<size_t>(out.size(), 1));
  if (out.empty() || bytes.empty()) return false;
  const auto kind_byte = static_cast<uint8_t>(bytes.front());
  const auto kind = static_cast<Kind>(kind_byte);
  bytes.remove_prefix(1);
  uint64_t zigzag = 0;
  if (!core::take_varint(bytes, zigzag)) return false;
  const auto first = static_cast<uint64_t>(core::unzigzag(zigzag));

  if (kind == Kind::Constant) {
    std::fill(out.begin(), out.end(), static_cast<int64_t>(first));
    return true;
  }
  if (kind == Kind::Linear) {
    if (!core::take_varint(bytes, zigzag)) return false;
    const auto step = static_cast<uint64_t>(core::unzigzag(zigzag));
    kernels().linear(first, step, out.size(), out.data());
    return true;
  }
  if (is_packed(kind_byte)) return take_packed_integers(bytes, kind_byte, first, out, from);
  if (kind != Kind::Plain && kind != Kind::Delta && kind != Kind::Delta2) return false;

  if (bytes.empty()) return false;
  const auto shift = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  if (shift > 63) return false;
  // The same bytes, as the unsigned type that wraps.
  const std::span<uint64_t> rest(reinterpret_cast<uint64_t*>(out.data()) + 1, out.size() - 1);
  if (!take_blocks(bytes, rest)) return false;
  out[0] = static_cast<int64_t>(first);
  if (kind == Kind::Plain) {
    for (uint64_t& value : rest) value = first + (value << shift);
    return true;
  }
  uint64_t value = 0;
  if (kind == Kind::Delta) {
    for (uint64_t& one : rest) {
      value += one;
      one = first + (value << shift);
    }
    return true;
  }
  uint64_t difference = 0;
  for (uint64_t& one : rest) {
    difference += one;
    value += difference;
    one = first + (value << shift);
  }
  return true;
}

bool take_decimal_column(std::string_view& bytes, const DecimalScale& scale, std::span<double> out,
                         size_t from) {
  if (bytes.empty() || out.empty()) return false;
  std::array<uint64_t, kColumnSizeMax> numbers;
  const auto kind_byte = static_cast<uint8_t>(bytes.front());
  if (!is_packed(kind_byte) || form_of(kind_byte) == Form::Xor) {
    // The same bytes, as the type that columns have.
    const std::span<int64_t> integers(reinterpret_cast<int64_t*>(numbers.data()), out.size());
    if (!take_int_column(bytes, integers, from)) return false;
    kernels().restore_doubles(numbers.data(), out.size(), {.from = from}, scale, out.data());
    return true;
  }
  bytes.remove_prefix(1);
  int64_t first = 0;
  if (!core::take_zigzag(bytes, first)) return false;
  Restoring how{.from = from == 0 ? 0 : from - 1};
  const size_t count = out.size() - 1;
  if (!take_packed(bytes, kind_byte, static_cast<uint64_t>(first), count, numbers, how)) {
    return false;
  }
  out[0] = to_double(first, scale);
  kernels().restore_doubles(numbers.data(), count, how, scale, out.data() + 1);
  return true;
}

std::string_view int_column_kind(std::string_view bytes) {
  if (bytes.empty()) return {};
  switch (static_cast<Kind>(static_cast<uint8_t>(bytes.front()) & ~kUnitFollows)) {
    case Kind::Constant:
      return "constant";
    case Kind::Linear:
      return "linear";
    case Kind::Plain:
    case Kind::PackedPlain:
      return "plain";
    case Kind::Delta:
    case Kind::PackedDelta:
      return "delta";
    case Kind::Delta2:
    case Kind::PackedDelta2:
      return "delta of deltas";
    case Kind::PackedTrend:
      return "trend";
    case Kind::PackedXor:
      return "xor";
  }
  return {};
}

}  // namespace encoding
