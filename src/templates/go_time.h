// Times and durations as Go prints them (pkg.go.dev/time#Layout), for templates that say
// {{ .StartsAt.Format "2006-01-02 15:04" }}.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace templates {

struct ZoneOffset {
  int64_t seconds = 0;  // east of Greenwich
  std::string name = "UTC";
};

// Of an IANA zone ("Europe/Berlin"; "" and "UTC" are UTC) at a time. NotFound when the
// host's time zone data has no such zone.
core::Result<ZoneOffset> zone_offset(const std::string& zone, int64_t time_ms);

// By a layout that spells the reference time, Mon Jan 2 15:04:05 MST 2006.
std::string format_time(int64_t time_ms, const ZoneOffset& zone, std::string_view layout);

// time.Duration's text: "1h2m3.5s".
std::string duration_text(int64_t duration_ms);

}  // namespace templates
