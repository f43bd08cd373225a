// For tests in which errors are meant: their log lines would drown the result.

#pragma once

#include "core/log.h"

namespace core::testing {

struct QuietLog {
  QuietLog() { set_log_level(static_cast<LogLevel>(99)); }
  ~QuietLog() { set_log_level(LogLevel::Info); }
};

}  // namespace core::testing
