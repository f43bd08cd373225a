// A few seeds of the crash simulator under the sanitizers; crash_simulation runs thousands
// without (src/tsdb/testing/crash/main.cc).

#include "core/testing/quiet_log.h"
#include "tsdb/testing/crash_simulator.h"

#include <doctest/doctest.h>
#include <string>

namespace tsdb {
namespace {

using testing::CrashCoverage;
using testing::CrashOutcome;
using testing::run_crash_seed;

using core::testing::QuietLog;

}  // namespace

TEST_CASE("what was acknowledged is readable after every crash, and nothing that was not sent") {
  const QuietLog quiet;
  CrashCoverage coverage;
  constexpr uint64_t kSeeds = 60;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const CrashOutcome outcome = run_crash_seed({.seed = seed}, coverage);
    if (outcome.broken) FAIL("seed " << seed << ": " << *outcome.broken);
  }
  // It is worth something only when all of it happens.
  CHECK(coverage.events["appends"] > 40 * kSeeds);
  CHECK(coverage.events["blocks written"] > kSeeds);
  CHECK(coverage.events["lives that did not begin, under a fault"] > 0);
  CHECK(coverage.events["power losses"] > kSeeds);
}

TEST_CASE("a run is a function of its seed") {
  const QuietLog quiet;
  CrashCoverage coverage;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const CrashOutcome first = run_crash_seed({.seed = seed, .trace = true}, coverage);
    const CrashOutcome again = run_crash_seed({.seed = seed, .trace = true}, coverage);
    CHECK(first.trace.size() > 50);
    CHECK(first.trace == again.trace);
  }
}

TEST_CASE("the simulation notices a disk that does not sync, and one that forgets names") {
  const QuietLog quiet;
  CrashCoverage coverage;
  for (const bool names : {false, true}) {
    int noticed = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const CrashOutcome outcome =
          run_crash_seed({.seed = seed, .ignore_sync = !names, .ignore_sync_dir = names}, coverage);
      if (outcome.broken) ++noticed;
    }
    CHECK(noticed > 0);
  }
}

}  // namespace tsdb
