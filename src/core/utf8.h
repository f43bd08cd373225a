#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace core {

// Length of the valid UTF-8 sequence at the front of `text` (RFC 3629), or 0 when there
// is none. Precondition: `text` is not empty.
size_t utf8_sequence_length(std::string_view text);

bool is_utf8(std::string_view text);

// Precondition: at most U+10FFFF and no surrogate.
void append_utf8(std::string& out, uint32_t code_point);

}  // namespace core
