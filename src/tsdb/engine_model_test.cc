// The engine beside a plain model over a simulated day (tsdb/testing/model_day.h).

#include "core/testing/quiet_log.h"
#include "tsdb/testing/model_day.h"

#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fmt/core.h>

namespace tsdb {
namespace {

using testing::ModelDay;
using testing::ModelDayOptions;

constexpr int64_t kHour = 3'600'000;

using core::testing::QuietLog;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

// PETREL_MODEL_SEEDS=20 PETREL_MODEL_FIRST_SEED=100: other ones, and more.
TEST_CASE("what the engine answers over a day is what was written, also late and deleted") {
  const QuietLog quiet;
  const uint64_t first = number_from("PETREL_MODEL_FIRST_SEED", 1);
  const uint64_t seeds = number_from("PETREL_MODEL_SEEDS", 2);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    ModelDayOptions options;
    options.seed = seed;
    options.targets = 3;
    options.questions = 6;
    if (seed % 2 == 0) options.window_ms = 6 * kHour;
    if (seed % 3 != 0) options.block_range_max_ms = 8 * kHour;
    CAPTURE(seed);
    ModelDay day(options);
    const std::optional<std::string> different = day.run();
    if (different) FAIL(*different);
    fmt::print("seed {}: {}\n", seed, day.totals().to_string());
    std::fflush(stdout);
    // The test is worth something only when all of it happens.
    CHECK(day.totals().samples > 50'000);
    CHECK(day.totals().late > 1000);
    CHECK(day.totals().refused > 50);
    CHECK(day.totals().repeats > 100);
    CHECK(day.totals().flushes > 3);
    CHECK(day.totals().merges > 0);
    CHECK(day.totals().deletions > 3);
    CHECK(day.totals().cleanings > 0);
    CHECK(day.totals().missing.empty());
    CHECK(day.totals().reopens + day.totals().crashes > 2);
  }
}

}  // namespace tsdb
