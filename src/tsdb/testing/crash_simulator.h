// The storage engine on a disk that loses power, fills up and fails: one seed, one run.
//
// The real engine and log work on a simulated disk and clock, in one thread. A run is a
// few lives; in each of them random operations (appends of every kind, flushes, merges,
// deletions, copies, reads, jumps of the clock) meet a random fault and end in a clean
// close, a kill or a loss of power. A model (crash_model.h) says what may be read and what
// has to be. How to use it: docs/decisions/0009-crash-simulation.md.

#pragma once

#include "tsdb/testing/crash_coverage.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tsdb::testing {

struct CrashOptions {
  uint64_t seed = 0;
  bool trace = false;  // gathers a line per operation
  // Broken disks on purpose.
  bool ignore_sync = false;
  bool ignore_sync_dir = false;
};

struct CrashOutcome {
  std::optional<std::string> broken;  // the first promise that was broken
  std::vector<std::string> trace;
};

// Adds what it met to the coverage.
CrashOutcome run_crash_seed(const CrashOptions& options, CrashCoverage& coverage);

}  // namespace tsdb::testing
