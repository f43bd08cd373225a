// What the log knows of itself outside of its segments: without it a first or last segment
// that somebody removed, or a cut newest one, looks like a log that began later or ended
// earlier. Everything it says was true when it was written and stays true, so an old one, or
// none, costs warnings but never makes a wrong one. Layout: docs/formats/log.md.

#pragma once

#include "core/result.h"
#include "storage/log.h"

#include <string>
#include <string_view>

namespace tsdb {

struct LogBounds {
  storage::LogPosition low = 0;     // the log begins here or before
  storage::LogPosition newest = 0;  // there is a segment that begins here or behind
  storage::LogPosition end = 0;     // records before it were durable
  bool is_closed = false;           // and there were no others

  bool operator==(const LogBounds&) const = default;

  std::string encode() const;
  static core::Result<LogBounds> decode(std::string_view text);
};

}  // namespace tsdb
