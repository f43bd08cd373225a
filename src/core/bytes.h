// Fixed-width little-endian values, the byte order of everything Petrel puts on disk.

#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace core {

static_assert(std::endian::native == std::endian::little);

// Precondition: bytes.size() >= sizeof(T).
template <typename T>
  requires std::is_trivially_copyable_v<T>
T load_le(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <typename T>
  requires std::is_trivially_copyable_v<T>
void append_le(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

}  // namespace core
