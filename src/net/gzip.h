// gzip (RFC 1952) of HTTP bodies.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace net {

// Fast rather than small: level 1.
std::string gzip(std::string_view bytes);

// Accepts several members in a row. InvalidArgument for bytes that are not whole gzip,
// TooLarge as soon as the output would exceed `size_max`.
core::Result<std::string> gunzip(std::string_view bytes, uint64_t size_max);

}  // namespace net
