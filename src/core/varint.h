// LEB128 varints and zigzag, as protobuf defines them
// (protobuf.dev/programming-guides/encoding).

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace core {

inline uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

inline int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

inline void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

// Takes a varint off the front of `bytes`. False, with `bytes` unspecified, when
// it is cut short or longer than 64 bits.
inline bool take_varint(std::string_view& bytes, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes.empty()) return false;
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (shift == 63 && byte > 1) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

inline void append_zigzag(std::string& out, int64_t value) {
  append_varint(out, zigzag(value));
}

inline bool take_zigzag(std::string_view& bytes, int64_t& value) {
  uint64_t raw = 0;
  if (!take_varint(bytes, raw)) return false;
  value = unzigzag(raw);
  return true;
}

// A varint length followed by that many bytes.
inline void append_string(std::string& out, std::string_view text) {
  append_varint(out, text.size());
  out.append(text);
}

inline bool take_string(std::string_view& bytes, std::string_view& text) {
  uint64_t size = 0;
  if (!take_varint(bytes, size) || size > bytes.size()) return false;
  text = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

inline bool take_string(std::string_view& bytes, std::string& text) {
  std::string_view view;
  if (!take_string(bytes, view)) return false;
  text = view;
  return true;
}

}  // namespace core
