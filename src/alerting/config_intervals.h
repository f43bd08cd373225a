// Time intervals of the configuration file: checked as Alertmanager does.

#pragma once

#include "config/schema.h"
#include "core/result.h"

namespace alerting {

// One entry of `time_intervals` inside a named interval.
core::Result<void> check_time_interval(const config::Value& interval, const config::Source& source);

}  // namespace alerting
