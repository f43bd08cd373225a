// Sizes in bytes as Prometheus's flags write them: "512MB", where a KB is 1024 bytes.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace app {

// "0", or numbers with B, KB, MB, GB, TB, PB, EB or KiB to EiB, as in "1GB512MB" or "1.5TB".
core::Result<uint64_t> parse_base2_size(std::string_view text);
// "10GiB", "1GiB512MiB", "0B".
std::string format_size(uint64_t bytes);
// For people: "1.4 GiB", "48 KiB".
std::string human_size(double bytes);
// What status/runtimeinfo shows: "7d", "10GiB", "7d or 10GiB".
std::string format_retention(int64_t retention_ms, uint64_t retention_bytes);

}  // namespace app
