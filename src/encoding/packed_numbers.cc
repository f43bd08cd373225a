#include "encoding/packed_numbers.h"

#include "core/result.h"
#include "core/varint.h"
#include "encoding/int_column.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace encoding {
namespace {

// Head byte: classes - 1, whether exceptions follow; the rest is 0.
constexpr uint8_t kClassesMask = 7;
constexpr uint8_t kExceptions = 8;
// Width byte of a class: its base is not where the class before ends.
constexpr uint8_t kGapFollows = 0x80;
constexpr size_t kPlanesSizeMax = 3 * kColumnSizeMax / 8;
constexpr unsigned kWholeWord = 64;  // the width of an only class beyond kClassWidthMax

enum class Nesting : uint8_t { Outer, InExceptions };

uint64_t distance(int64_t from, int64_t to) {
  return static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
}

unsigned bits_of(uint64_t value) {
  return static_cast<unsigned>(std::bit_width(value));
}

unsigned plane_count_of(size_t classes) {
  return static_cast<unsigned>(std::bit_width(classes - 1));
}

size_t bytes_of_bits(size_t bits) {
  return (bits + 7) / 8;
}

struct Interval {
  int64_t first = 0;
  int64_t last = 0;
};

// Intervals, rising and apart from each other.
struct Plan {
  size_t count = 0;
  std::array<Interval, kClassesMax> classes;
};

// ---- choosing intervals ----

// Where an interval may begin or end: indexes into the sorted numbers, never between equal ones.
constexpr size_t kCutsMax = 64;
constexpr size_t kNever = SIZE_MAX / 2;
// Costs in bits that are not known before an interval's neighbours are; found by trying on
// recordings of hosts.
constexpr size_t kClassHeadCost = 8 + 14;
constexpr size_t kExceptionsHeadCost = 96;
constexpr size_t kExceptionPlaceCost = 10;

struct Cuts {
  size_t count = 0;
  std::array<size_t, kCutsMax> at;

  void add(std::span<const int64_t> sorted, size_t index) {
    if (index == 0 || index >= sorted.size() || count == kCutsMax) return;
    while (index > 0 && sorted[index] == sorted[index - 1]) {
      // Long runs: their beginning is found by halving.
      index = static_cast<size_t>(std::lower_bound(sorted.begin(),
                                                   sorted.begin() + static_cast<ptrdiff_t>(index),
                                                   sorted[index]) -
                                  sorted.begin());
    }
    if (index > 0) at[count++] = index;
  }
};

struct Run {
  size_t begin = 0;
  size_t size = 0;
};

Run longest_run(std::span<const int64_t> sorted) {
  Run best;
  size_t begin = 0;
  for (size_t i = 1; i <= sorted.size(); ++i) {
    if (i < sorted.size() && sorted[i] == sorted[begin]) continue;
    if (i - begin > best.size) best = {begin, i - begin};
    begin = i;
  }
  return best;
}

Cuts find_cuts(std::span<const int64_t> sorted, Run run) {
  const size_t count = sorted.size();
  Cuts cuts;
  cuts.at[cuts.count++] = 0;
  if (run.size * 8 > count) {
    cuts.add(sorted, run.begin);
    cuts.add(sorted, run.begin + run.size);
  }
  for (size_t tail = 1; tail <= 32 && tail < count / 2; tail *= 2) {
    cuts.add(sorted, tail);
    cuts.add(sorted, count - tail);
  }
  const size_t quantiles = count > 256 ? 40 : count > 24 ? 20 : 4;
  for (size_t i = 1; i < quantiles; ++i) cuts.add(sorted, i * count / quantiles);
  std::sort(cuts.at.begin(), cuts.at.begin() + static_cast<ptrdiff_t>(cuts.count));
  cuts.count = static_cast<size_t>(
      std::unique(cuts.at.begin(), cuts.at.begin() + static_cast<ptrdiff_t>(cuts.count)) -
      cuts.at.begin());
  if (cuts.count == kCutsMax) --cuts.count;
  cuts.at[cuts.count++] = count;
  return cuts;
}

// The cheapest intervals between cuts; what lies before the first and behind the last is an
// exception where that is cheaper.
Plan find_plan(std::span<const int64_t> sorted, const Cuts& cuts, Nesting nesting) {
  const size_t count = sorted.size();
  const size_t last = cuts.count - 1;
  const size_t exception_cost =
      kExceptionPlaceCost + bits_of(distance(sorted.front(), sorted.back()));
  const size_t classes_max = count < 64 ? 4 : kClassesMax;

  // costs[c][j]: everything below cut j, in c classes; before[c][j]: the cut where the last begins.
  // Costs are shifted left by kCutBits, so that a least cost tells its cut as well.
  std::array<std::array<uint32_t, kCutsMax>, kClassesMax + 1> costs;
  std::array<std::array<uint8_t, kCutsMax>, kClassesMax + 1> before;
  constexpr unsigned kCutBits = 6;
  static_assert(kCutsMax == 1U << kCutBits);
  constexpr uint32_t kImpossible = UINT32_MAX / 4 >> kCutBits << kCutBits;
  costs[0].fill(kImpossible);
  costs[0][0] = 0;
  if (nesting == Nesting::Outer) {
    for (size_t j = 1; j < last; ++j) {
      costs[0][j] =
          static_cast<uint32_t>((kExceptionsHeadCost + cuts.at[j] * exception_cost) << kCutBits);
    }
  }
  std::array<std::array<uint32_t, kCutsMax>, kCutsMax> interval_costs;
  for (size_t j = 1; j <= last; ++j) {
    for (size_t i = 0; i < j; ++i) {
      const unsigned width = bits_of(distance(sorted[cuts.at[i]], sorted[cuts.at[j] - 1]));
      interval_costs[j][i] =
          width > kClassWidthMax
              ? kImpossible
              : static_cast<uint32_t>(
                    ((kClassHeadCost + (cuts.at[j] - cuts.at[i]) * width) << kCutBits) + i);
    }
  }
  size_t best = kNever;
  size_t best_classes = 0;
  size_t best_end = 0;
  for (size_t c = 1; c <= classes_max; ++c) {
    costs[c][0] = kImpossible;
    const size_t plane_bits = plane_count_of(c) * count;
    for (size_t j = 1; j <= last; ++j) {
      uint32_t least = kImpossible;
      for (size_t i = 0; i < j; ++i) {
        least = std::min(least, costs[c - 1][i] + interval_costs[j][i]);
      }
      before[c][j] = static_cast<uint8_t>(least & (kCutsMax - 1));
      least = least >> kCutBits << kCutBits;
      costs[c][j] = least;
      if (least >= kImpossible) continue;
      size_t total = (least >> kCutBits) + plane_bits;
      if (j < last) {
        if (nesting == Nesting::InExceptions) continue;
        total += kExceptionsHeadCost + (count - cuts.at[j]) * exception_cost;
      }
      if (total < best) {
        best = total;
        best_classes = c;
        best_end = j;
      }
    }
  }

  Plan plan;
  const size_t whole_words = count * kWholeWord;
  if (best >= whole_words) {  // also when nothing else is possible
    plan.count = 1;
    plan.classes[0] = {sorted.front(), sorted.back()};
    return plan;
  }
  plan.count = best_classes;
  size_t end = best_end;
  for (size_t c = best_classes; c > 0; --c) {
    const size_t begin = before[c][end];
    plan.classes[c - 1] = {sorted[cuts.at[begin]], sorted[cuts.at[end] - 1]};
    end = begin;
  }
  return plan;
}

// ---- writing ----

ClassTable table_of(const Plan& plan) {
  ClassTable table;
  table.count = plan.count;
  uint64_t end_before = 0;
  for (size_t i = 0; i < plan.count; ++i) {
    const auto [first, last] = plan.classes[i];
    unsigned width = bits_of(distance(first, last));
    if (width > kClassWidthMax) width = kWholeWord;
    table.base[i] = static_cast<uint64_t>(first);
    // A class that begins where the one before ends needs no base of its own.
    if (i > 0 && static_cast<int64_t>(end_before) <= first &&
        bits_of(static_cast<uint64_t>(last) - end_before) <= width) {
      table.base[i] = end_before;
    }
    table.width[i] = static_cast<uint8_t>(width);
    end_before = table.base[i] + (width < kWholeWord ? uint64_t{1} << width : 0);
  }
  return table;
}

void append_table(std::string& out, const ClassTable& table, bool exceptions) {
  out.push_back(static_cast<char>((table.count - 1) | (exceptions ? kExceptions : 0U)));
  core::append_zigzag(out, static_cast<int64_t>(table.base[0]));
  out.push_back(static_cast<char>(table.width[0]));
  for (size_t i = 1; i < table.count; ++i) {
    const uint64_t gap = table.base[i] - table.base[i - 1] - (uint64_t{1} << table.width[i - 1]);
    out.push_back(static_cast<char>(table.width[i] | (gap != 0 ? kGapFollows : 0U)));
    if (gap != 0) core::append_zigzag(out, static_cast<int64_t>(gap));
  }
}

void append_numbers(std::string& out, std::span<const int64_t> numbers, Nesting nesting,
                    Effort effort);

// Where the exceptions are and what they are.
struct Exceptions {
  size_t count = 0;
  std::array<int64_t, kColumnSizeMax> gaps;
  std::array<int64_t, kColumnSizeMax> values;

  void add(size_t index, int64_t value) {
    gaps[count] = static_cast<int64_t>(index - next_);
    values[count] = value;
    next_ = index + 1;
    ++count;
  }
  void append_to(std::string& out, Effort effort) const {
    core::append_varint(out, count);
    append_numbers(out, std::span(gaps).first(count), Nesting::InExceptions, effort);
    append_numbers(out, std::span(values).first(count), Nesting::InExceptions, effort);
  }

 private:
  size_t next_ = 0;
};

void append_with_plan(std::string& out, std::span<const int64_t> numbers, const Plan& plan,
                      Effort effort) {
  const ClassTable table = table_of(plan);
  const size_t count = numbers.size();
  const int64_t lowest = plan.classes[0].first;
  const int64_t highest = plan.classes[plan.count - 1].last;
  std::array<uint8_t, kColumnSizeMax> ids;
  Exceptions exceptions;
  uint8_t narrowest = 0;
  for (size_t i = 1; i < table.count; ++i) {
    if (table.width[i] < table.width[narrowest]) narrowest = static_cast<uint8_t>(i);
  }
  for (size_t i = 0; i < count; ++i) {
    const int64_t number = numbers[i];
    unsigned id = 0;
    for (size_t c = 1; c < plan.count; ++c) id += number >= plan.classes[c].first ? 1U : 0U;
    ids[i] = static_cast<uint8_t>(id);
    if (number < lowest || number > highest) {
      ids[i] = narrowest;
      exceptions.add(i, number);
    }
  }
  append_table(out, table, exceptions.count > 0);
  if (exceptions.count > 0) exceptions.append_to(out, effort);

  const size_t plane_size = bytes_of_bits(count);
  const unsigned planes = plane_count_of(table.count);
  const size_t planes_begin = out.size();
  out.append(planes * plane_size, '\0');
  for (unsigned k = 0; k < planes; ++k) {
    char* const plane = out.data() + planes_begin + k * plane_size;
    for (size_t i = 0; i < count; ++i) {
      const unsigned bit = ((ids[i] >> k) & 1U) << (i % 8);
      plane[i / 8] = static_cast<char>(static_cast<uint8_t>(plane[i / 8]) | bit);
    }
  }

  const size_t begin = out.size();
  out.resize(begin + count * sizeof(uint64_t) + sizeof(uint64_t));  // room for whole-word stores
  char* at = out.data() + begin;
  if (table.width[0] == kWholeWord) {
    for (const int64_t number : numbers) {
      const uint64_t place = static_cast<uint64_t>(number) - table.base[0];
      std::memcpy(at, &place, sizeof(place));
      at += sizeof(place);
    }
  } else {
    std::array<uint64_t, kClassesMax> masks{};
    for (size_t i = 0; i < table.count; ++i) masks[i] = (uint64_t{1} << table.width[i]) - 1;
    uint64_t word = 0;  // the bits that are not stored yet
    unsigned filled = 0;
    for (size_t i = 0; i < count; ++i) {
      const unsigned id = ids[i];
      // The mask is for exceptions, which lie outside of their class.
      word |= ((static_cast<uint64_t>(numbers[i]) - table.base[id]) & masks[id]) << filled;
      filled += table.width[id];
      std::memcpy(at, &word, sizeof(word));
      at += filled / 8;
      word >>= filled / 8 * 8;
      filled %= 8;
    }
    if (filled > 0) ++at;
  }
  out.resize(static_cast<size_t>(at - out.data()));
}

// By bytes, from the lowest, where few of them differ: five times as fast as comparing.
void sort_numbers(std::span<int64_t> numbers) {
  constexpr size_t kRadixMin = 48;
  constexpr unsigned kPassesMax = 5;
  const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
  const auto base = static_cast<uint64_t>(*low);
  const unsigned passes = (bits_of(distance(*low, *high)) + 7) / 8;
  if (passes == 0) return;
  if (numbers.size() < kRadixMin || passes > kPassesMax) {
    std::sort(numbers.begin(), numbers.end());
    return;
  }
  std::array<std::array<uint16_t, 256>, kPassesMax> starts{};
  std::array<uint64_t, kColumnSizeMax> a;
  std::array<uint64_t, kColumnSizeMax> b;
  for (size_t i = 0; i < numbers.size(); ++i) {
    a[i] = static_cast<uint64_t>(numbers[i]) - base;
    for (unsigned pass = 0; pass < passes; ++pass) ++starts[pass][(a[i] >> (8 * pass)) & 0xff];
  }
  uint64_t* from = a.data();
  uint64_t* to = b.data();
  for (unsigned pass = 0; pass < passes; ++pass) {
    uint16_t sum = 0;
    for (uint16_t& start : starts[pass]) {
      const uint16_t here = start;
      start = sum;
      sum = static_cast<uint16_t>(sum + here);
    }
    for (size_t i = 0; i < numbers.size(); ++i) {
      to[starts[pass][(from[i] >> (8 * pass)) & 0xff]++] = from[i];
    }
    std::swap(from, to);
  }
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(from[i] + base);
}

// One class for all, or one for the number zero where most are: differences of what rests.
Plan quick_plan(std::span<const int64_t> numbers, Nesting nesting) {
  const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
  Plan plan;
  plan.count = 1;
  plan.classes[0] = {*low, *high};
  if (nesting == Nesting::InExceptions || *low > 0 || *high < 0) return plan;
  const auto zeros = static_cast<size_t>(std::count(numbers.begin(), numbers.end(), 0));
  const size_t width = bits_of(distance(*low, *high));
  const size_t others = numbers.size() - zeros;
  if (kExceptionsHeadCost + others * (kExceptionPlaceCost + width) < numbers.size() * width) {
    plan.classes[0] = {0, 0};
  }
  return plan;
}

void append_numbers(std::string& out, std::span<const int64_t> numbers, Nesting nesting,
                    Effort effort) {
  if (effort == Effort::Quick) {
    return append_with_plan(out, numbers, quick_plan(numbers, nesting), effort);
  }
  std::array<int64_t, kColumnSizeMax> room;
  const std::span<int64_t> sorted = std::span(room).first(numbers.size());
  std::copy(numbers.begin(), numbers.end(), sorted.begin());
  sort_numbers(sorted);
  const Run run = longest_run(sorted);
  const Plan plan = find_plan(sorted, find_cuts(sorted, run), nesting);
  const size_t begin = out.size();
  append_with_plan(out, numbers, plan, effort);
  if (nesting == Nesting::InExceptions || run.size * 2 < numbers.size() ||
      run.size == numbers.size()) {
    return;
  }
  // Mostly one number: everything else as exceptions.
  Plan sparse;
  sparse.count = 1;
  sparse.classes[0] = {sorted[run.begin], sorted[run.begin]};
  std::string other;
  append_with_plan(other, numbers, sparse, effort);
  if (other.size() < out.size() - begin) out.replace(begin, std::string::npos, other);
}

// ---- reading ----

bool take_table(std::string_view& bytes, ClassTable& table, bool& exceptions) {
  if (bytes.empty()) return false;
  const auto head = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  if ((head & ~(kClassesMask | kExceptions)) != 0) return false;
  exceptions = (head & kExceptions) != 0;
  table.count = (head & kClassesMask) + size_t{1};
  int64_t base = 0;
  if (!core::take_zigzag(bytes, base)) return false;
  for (size_t i = 0; i < table.count; ++i) {
    if (bytes.empty()) return false;
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    const auto width = static_cast<uint8_t>(byte & ~kGapFollows);
    if (width > kClassWidthMax && (width != kWholeWord || table.count > 1)) return false;
    table.width[i] = width;
    if (i == 0) {
      if ((byte & kGapFollows) != 0) return false;
      table.base[0] = static_cast<uint64_t>(base);
      continue;
    }
    int64_t gap = 0;
    if ((byte & kGapFollows) != 0 && !core::take_zigzag(bytes, gap)) return false;
    table.base[i] =
        table.base[i - 1] + (uint64_t{1} << table.width[i - 1]) + static_cast<uint64_t>(gap);
  }
  return true;
}

bool take_numbers(std::string_view& bytes, size_t count, uint64_t* out, Nesting nesting);

// Numbers that are not what their class says.
struct Misfits {
  size_t count = 0;
  std::array<uint64_t, kColumnSizeMax> gaps_before;  // all gaps up to and with its own
  std::array<uint64_t, kColumnSizeMax> values;

  void put(uint64_t* out) const {
    for (size_t i = 0; i < count; ++i) out[gaps_before[i] + i] = values[i];
  }
};

bool take_misfits(std::string_view& bytes, size_t count, Misfits& misfits) {
  uint64_t found = 0;
  if (!core::take_varint(bytes, found) || found == 0 || found > count) return false;
  misfits.count = found;
  uint64_t* const gaps = misfits.gaps_before.data();
  if (!take_numbers(bytes, found, gaps, Nesting::InExceptions)) return false;
  if (!take_numbers(bytes, found, misfits.values.data(), Nesting::InExceptions)) return false;
  // Gaps that are too large by themselves could wrap when they are summed up.
  uint64_t any = 0;
  for (size_t i = 0; i < found; ++i) any |= gaps[i];
  if (any >= kColumnSizeMax) return false;
  kernels().restore(gaps, found, {.sums = 1}, reinterpret_cast<int64_t*>(gaps));
  return gaps[found - 1] + found <= count;
}

// Gives the bytes that the numbers take.
size_t unpack_all(const char* planes, size_t plane_size, const char* in, size_t count,
                  const ClassTable& table, uint64_t* out) {
  if (table.count > 1) {
    return bytes_of_bits(kernels().unpack_classes(planes, plane_size, in, count, table, out));
  }
  if (table.width[0] == 0) {
    kernels().linear(table.base[0], 0, count, reinterpret_cast<int64_t*>(out));
  } else if (table.width[0] == kWholeWord) {
    std::memcpy(out, in, count * sizeof(uint64_t));
    for (size_t i = 0; i < count; ++i) out[i] += table.base[0];
  } else {
    kernels().unpack(in, count, table.width[0], table.base[0], out);
  }
  return bytes_of_bits(count * table.width[0]);
}

bool take_numbers(std::string_view& bytes, size_t count, uint64_t* out, Nesting nesting) {
  ClassTable table;
  bool exceptions = false;
  if (!take_table(bytes, table, exceptions)) return false;
  if (exceptions && nesting == Nesting::InExceptions) return false;
  Misfits misfits;
  if (exceptions && !take_misfits(bytes, count, misfits)) return false;

  const size_t plane_size = bytes_of_bits(count);
  const size_t planes_size = plane_count_of(table.count) * plane_size;
  if (planes_size > bytes.size()) return false;
  const uint8_t widest = *std::max_element(table.width.begin(), table.width.end());
  const size_t size_max = planes_size + bytes_of_bits(count * widest);
  size_t size = planes_size;
  if (bytes.size() >= size_max + kReadSlack) {
    size += unpack_all(bytes.data(), plane_size, bytes.data() + planes_size, count, table, out);
  } else {  // the end of the buffer: groups are loaded as whole words
    std::array<char, kPlanesSizeMax + kColumnSizeMax * sizeof(uint64_t) + kReadSlack> padded;
    const size_t copied = std::min(bytes.size(), size_max);
    std::memcpy(padded.data(), bytes.data(), copied);
    std::memset(padded.data() + copied, 0, kReadSlack);
    size += unpack_all(padded.data(), plane_size, padded.data() + planes_size, count, table, out);
  }
  if (size > bytes.size()) return false;
  bytes.remove_prefix(size);
  misfits.put(out);
  return true;
}

}  // namespace

void append_packed_numbers(std::string& out, std::span<const int64_t> numbers, Effort effort) {
  ENSURE(!numbers.empty() && numbers.size() <= kColumnSizeMax);
  append_numbers(out, numbers, Nesting::Outer, effort);
}

bool take_packed_numbers(std::string_view& bytes, size_t count, uint64_t* out) {
  if (count == 0 || count > kColumnSizeMax) return false;
  return take_numbers(bytes, count, out, Nesting::Outer);
}

}  // namespace encoding
