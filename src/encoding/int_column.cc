#include "encoding/int_column.h"

#include "core/result.h"
#include "core/varint.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace encoding {
namespace {

enum class Kind : uint8_t { Constant = 0, Linear = 1, Plain = 2, Delta = 3, Delta2 = 4 };

constexpr size_t kBlock = 64;
// A value of up to 56 bits at any bit offset lies within one 8-byte load; wider ones
// are stored as whole words.
constexpr unsigned kWidthMax = 56;
constexpr unsigned kWholeWord = 64;

unsigned width_of(uint64_t largest) {
  const auto width = static_cast<unsigned>(std::bit_width(largest));
  return width > kWidthMax ? kWholeWord : width;
}

struct Frame {
  int64_t min = 0;
  unsigned width = 0;
};

// The least and the greatest of some differences.
struct Range {
  int64_t min = std::numeric_limits<int64_t>::max();
  int64_t max = std::numeric_limits<int64_t>::min();

  void add(uint64_t value) {
    min = std::min(min, static_cast<int64_t>(value));
    max = std::max(max, static_cast<int64_t>(value));
  }
  // After the common zero bits are shifted out.
  Frame frame(unsigned shift) const {
    const auto low = static_cast<uint64_t>(min >> shift);
    return {min >> shift, width_of(static_cast<uint64_t>(max >> shift) - low)};
  }
};

// Plain values, first and second differences of one block.
using Ranges = std::array<Range, 3>;

size_t packed_size(size_t count, unsigned width) {
  return (count * width + 7) / 8;
}

size_t varint_size(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

size_t block_size(size_t count, Frame frame) {
  return 1 + varint_size(core::zigzag(frame.min)) + packed_size(count, frame.width);
}

void append_packed(std::string& out, std::span<const uint64_t> block, Frame frame) {
  if (frame.width == 0) return;
  const size_t begin = out.size();
  const size_t size = packed_size(block.size(), frame.width);
  out.resize(begin + size + sizeof(uint64_t));  // room for whole-word stores
  char* at = out.data() + begin;
  const auto min = static_cast<uint64_t>(frame.min);
  if (frame.width == kWholeWord) {
    for (const uint64_t one : block) {
      const uint64_t value = one - min;
      std::memcpy(at, &value, sizeof(value));
      at += sizeof(value);
    }
  } else {
    uint64_t word = 0;  // the bits that are not stored yet
    unsigned filled = 0;
    for (const uint64_t one : block) {
      word |= (one - min) << filled;
      filled += frame.width;
      std::memcpy(at, &word, sizeof(word));
      // At most 7 bits stay, so that 56 more fit.
      at += filled / 8;
      word >>= filled / 8 * 8;
      filled %= 8;
    }
  }
  out.resize(begin + size);
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

using BlockRanges = std::array<Ranges, kColumnSizeMax / kBlock>;

// One pass finds everything that the choice of a kind needs. Gives the bits that any
// difference to the first value has.
uint64_t find_ranges(std::span<const int64_t> values, BlockRanges& ranges) {
  const size_t count = values.size() - 1;
  const auto first = static_cast<uint64_t>(values[0]);
  uint64_t any = 0;
  uint64_t before = 0;
  uint64_t delta_before = 0;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    Ranges found;
    const size_t end = std::min(count, begin + kBlock);
    for (size_t i = begin; i < end; ++i) {
      const uint64_t plain = static_cast<uint64_t>(values[i + 1]) - first;
      const uint64_t delta = plain - before;
      any |= plain;
      found[0].add(plain);
      found[1].add(delta);
      found[2].add(delta - delta_before);
      before = plain;
      delta_before = delta;
    }
    ranges[begin / kBlock] = found;
  }
  return any;
}

}  // namespace

void append_int_column(std::string& out, std::span<const int64_t> values) {
  ENSURE(!values.empty() && values.size() <= kColumnSizeMax);
  const size_t count = values.size() - 1;  // the first stands in the header
  const auto first = static_cast<uint64_t>(values[0]);

  BlockRanges ranges;
  const size_t blocks = (count + kBlock - 1) / kBlock;
  const uint64_t any = find_ranges(values, ranges);
  const auto put_header = [&](Kind kind) {
    out.push_back(static_cast<char>(kind));
    core::append_varint(out, core::zigzag(values[0]));
  };
  if (any == 0) return put_header(Kind::Constant);
  const auto step = static_cast<int64_t>(static_cast<uint64_t>(values[1]) - first);
  const bool linear =
      std::all_of(ranges.begin(), ranges.begin() + static_cast<ptrdiff_t>(blocks),
                  [&](const Ranges& one) { return one[1].min == step && one[1].max == step; });
  if (linear) {
    put_header(Kind::Linear);
    core::append_varint(out, core::zigzag(step));
    return;
  }

  const auto shift = static_cast<unsigned>(std::countr_zero(any));
  const auto count_of = [&](size_t block) { return std::min(kBlock, count - block * kBlock); };
  std::array<size_t, 3> sizes{};
  for (size_t block = 0; block < blocks; ++block) {
    for (size_t kind = 0; kind < sizes.size(); ++kind) {
      sizes[kind] += block_size(count_of(block), ranges[block][kind].frame(shift));
    }
  }
  const auto best =
      static_cast<size_t>(std::min_element(sizes.begin(), sizes.end()) - sizes.begin());

  put_header(static_cast<Kind>(static_cast<size_t>(Kind::Plain) + best));
  out.push_back(static_cast<char>(shift));
  std::array<uint64_t, kBlock> packed;
  uint64_t before = 0;
  uint64_t delta_before = 0;
  for (size_t block = 0; block < blocks; ++block) {
    const size_t begin = block * kBlock;
    for (size_t i = 0; i < count_of(block); ++i) {
      const uint64_t plain = static_cast<uint64_t>(values[begin + i + 1]) - first;
      const uint64_t delta = plain - before;
      const uint64_t wanted = best == 0 ? plain : best == 1 ? delta : delta - delta_before;
      packed[i] = static_cast<uint64_t>(static_cast<int64_t>(wanted) >> shift);
      before = plain;
      delta_before = delta;
    }
    const Frame frame = ranges[block][best].frame(shift);
    out.push_back(static_cast<char>(frame.width));
    core::append_varint(out, core::zigzag(frame.min));
    append_packed(out, std::span(packed).first(count_of(block)), frame);
  }
}

bool take_int_column(std::string_view& bytes, std::span<int64_t> out) {
  if (out.empty() || bytes.empty()) return false;
  const auto kind = static_cast<Kind>(bytes.front());
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
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int64_t>(first + step * i);
    return true;
  }
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

}  // namespace encoding
