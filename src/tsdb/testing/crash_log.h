// The embedded log by itself on the disk of the crash simulator.
//
// Small segments with records of a few sizes only, so that what a recycled segment still has
// of its former life begins where a record of the new one ends. Only power is lost: whatever
// the log then calls damage is a false alarm. At the end a segment is taken away, which the
// log has to notice.

#pragma once

#include "tsdb/testing/crash_coverage.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tsdb::testing {

// The first promise that was broken. `trace` gets a line per operation.
std::optional<std::string> run_crash_log(uint64_t seed, CrashCoverage& coverage,
                                         std::vector<std::string>* trace = nullptr);

}  // namespace tsdb::testing
