#include "encoding/int_column.h"

#include "core/result.h"
#include "core/varint.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace encoding {
namespace {

enum class Kind : uint8_t { Constant = 0, Linear = 1, Plain = 2, Delta = 3, Delta2 = 4 };

constexpr size_t kBlock = 64;
// A value of up to 56 bits at any bit offset lies within one 8-byte load; wider ones
// are stored as whole words.
constexpr unsigned kWidthMax = 56;
constexpr unsigned kWholeWord = 64;

using Scratch = std::array<uint64_t, kColumnSizeMax>;

unsigned width_of(uint64_t largest) {
  const auto width = static_cast<unsigned>(std::bit_width(largest));
  return width > kWidthMax ? kWholeWord : width;
}

struct Frame {
  int64_t min = 0;
  unsigned width = 0;
};

Frame frame_of(std::span<const uint64_t> block) {
  auto min = static_cast<int64_t>(block[0]);
  auto max = min;
  for (const uint64_t value : block) {
    min = std::min(min, static_cast<int64_t>(value));
    max = std::max(max, static_cast<int64_t>(value));
  }
  return {min, width_of(static_cast<uint64_t>(max) - static_cast<uint64_t>(min))};
}

size_t packed_size(size_t count, unsigned width) {
  return (count * width + 7) / 8;
}

size_t varint_size(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

size_t blocks_size(std::span<const uint64_t> values) {
  size_t size = 0;
  for (size_t at = 0; at < values.size(); at += kBlock) {
    const auto block = values.subspan(at, std::min(kBlock, values.size() - at));
    const Frame frame = frame_of(block);
    size += 1 + varint_size(core::zigzag(frame.min)) + packed_size(block.size(), frame.width);
  }
  return size;
}

void append_packed(std::string& out, std::span<const uint64_t> block, Frame frame) {
  if (frame.width == 0) return;
  const size_t begin = out.size();
  const size_t size = packed_size(block.size(), frame.width);
  out.resize(begin + size + sizeof(uint64_t));  // room for whole-word stores
  char* const base = out.data() + begin;
  const auto min = static_cast<uint64_t>(frame.min);
  if (frame.width == kWholeWord) {
    for (size_t i = 0; i < block.size(); ++i) {
      const uint64_t value = block[i] - min;
      std::memcpy(base + i * sizeof(value), &value, sizeof(value));
    }
  } else {
    size_t bit = 0;
    for (const uint64_t one : block) {
      uint64_t word = 0;
      std::memcpy(&word, base + (bit >> 3U), sizeof(word));
      word |= (one - min) << (bit & 7U);
      std::memcpy(base + (bit >> 3U), &word, sizeof(word));
      bit += frame.width;
    }
  }
  out.resize(begin + size);
}

void append_blocks(std::string& out, std::span<const uint64_t> values) {
  for (size_t at = 0; at < values.size(); at += kBlock) {
    const auto block = values.subspan(at, std::min(kBlock, values.size() - at));
    const Frame frame = frame_of(block);
    out.push_back(static_cast<char>(frame.width));
    core::append_varint(out, core::zigzag(frame.min));
    append_packed(out, block, frame);
  }
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

}  // namespace

void append_int_column(std::string& out, std::span<const int64_t> values) {
  ENSURE(!values.empty() && values.size() <= kColumnSizeMax);
  const size_t count = values.size() - 1;  // the first stands in the header
  const auto first = static_cast<uint64_t>(values[0]);

  Scratch plain;
  uint64_t any = 0;
  for (size_t i = 0; i < count; ++i) {
    plain[i] = static_cast<uint64_t>(values[i + 1]) - first;
    any |= plain[i];
  }
  const auto put_header = [&](Kind kind) {
    out.push_back(static_cast<char>(kind));
    core::append_varint(out, core::zigzag(values[0]));
  };
  if (any == 0) return put_header(Kind::Constant);

  const uint64_t step = plain[0];
  bool linear = true;
  for (size_t i = 0; i < count; ++i) linear &= plain[i] == step * (i + 1);
  if (linear) {
    put_header(Kind::Linear);
    core::append_varint(out, core::zigzag(static_cast<int64_t>(step)));
    return;
  }

  const auto shift = static_cast<unsigned>(std::countr_zero(any));
  Scratch delta;
  Scratch delta2;
  for (size_t i = 0; i < count; ++i) {
    plain[i] = static_cast<uint64_t>(static_cast<int64_t>(plain[i]) >> shift);
  }
  delta[0] = plain[0];
  for (size_t i = 1; i < count; ++i) delta[i] = plain[i] - plain[i - 1];
  delta2[0] = delta[0];
  for (size_t i = 1; i < count; ++i) delta2[i] = delta[i] - delta[i - 1];

  const std::array<std::span<const uint64_t>, 3> candidates = {
      std::span(plain).first(count), std::span(delta).first(count), std::span(delta2).first(count)};
  size_t best = 0;
  size_t best_size = blocks_size(candidates[0]);
  for (size_t i = 1; i < candidates.size(); ++i) {
    const size_t size = blocks_size(candidates[i]);
    if (size < best_size) {
      best = i;
      best_size = size;
    }
  }
  put_header(static_cast<Kind>(static_cast<size_t>(Kind::Plain) + best));
  out.push_back(static_cast<char>(shift));
  append_blocks(out, candidates[best]);
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
