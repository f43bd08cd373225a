// Base64 with padding (RFC 4648, section 4).

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace core {

std::string base64_encode(std::string_view bytes);
// nullopt unless `text` is whole groups of the alphabet, padded with '='.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace core
