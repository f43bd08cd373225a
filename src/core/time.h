// Text forms of time: RFC 3339 and Prometheus's durations ("1h30m").

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace core {

// "2026-01-02T03:04:05.678Z"; without the fraction when it is zero.
std::string format_rfc3339(int64_t time_ms);
// With any offset and any number of fraction digits (cut to milliseconds).
Result<int64_t> parse_rfc3339(std::string_view text);

// Prometheus's duration: "5m", "1h30m", "1y2w3d4h5m6s7ms", "0". Units in falling
// order, each once. Milliseconds; at most 2^63-1.
Result<int64_t> parse_duration_ms(std::string_view text);
// The same form, largest unit first, as Prometheus's model.Duration prints it.
std::string format_duration(int64_t duration_ms);

}  // namespace core
