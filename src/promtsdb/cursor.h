// Reads Prometheus's integers off the front of some bytes: big endian, and Go's varints
// (encoding/binary), which are LEB128 and zigzag.

#pragma once

#include "core/varint.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace promtsdb {

// Borrows the bytes. A read past the end gives zeros and fails the cursor for good: a
// parser reads a whole record and asks ok() once.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes), size_(bytes.size()) {}

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }
  size_t size() const { return rest_.size(); }
  size_t offset() const { return size_ - rest_.size(); }
  void fail() {
    ok_ = false;
    rest_ = {};
  }

  uint8_t byte() {
    const std::string_view one = bytes(1);
    return one.empty() ? 0 : static_cast<uint8_t>(one[0]);
  }
  uint32_t be32() { return fixed<uint32_t>(); }
  uint64_t be64() { return fixed<uint64_t>(); }
  double be_double() { return std::bit_cast<double>(be64()); }
  uint64_t uvarint() {
    uint64_t value = 0;
    if (!core::take_varint(rest_, value)) fail();
    return ok_ ? value : 0;
  }
  int64_t varint() { return core::unzigzag(uvarint()); }
  std::string_view bytes(uint64_t count) {
    if (count > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::string_view string() { return bytes(uvarint()); }

 private:
  template <typename T>
  T fixed() {
    const std::string_view taken = bytes(sizeof(T));
    if (taken.empty()) return 0;
    T value = 0;
    std::memcpy(&value, taken.data(), sizeof(T));
    if constexpr (sizeof(T) == 4) {
      return __builtin_bswap32(value);
    } else {
      return __builtin_bswap64(value);
    }
  }

  std::string_view rest_;
  size_t size_;
  bool ok_ = true;
};

// a + b where the bytes may say anything: wraps instead of overflowing.
inline int64_t wrapping_add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

}  // namespace promtsdb
