#pragma once

#include <cstdint>
#include <string_view>

namespace core {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4). `seed` is the result for the
// bytes before these: crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

}  // namespace core
