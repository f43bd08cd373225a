#pragma once

#include "agent/collector.h"

struct timex;

namespace agent {

// Adds what adjtimex(2) said: its return value and what it filled in.
void add_timex(const timex& kernel, int clock_state, Output& out);

}  // namespace agent
