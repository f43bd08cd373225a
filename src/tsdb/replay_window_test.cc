#include "tsdb/replay_window.h"

#include "core/rng.h"

#include <bit>
#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <map>
#include <thread>
#include <utility>
#include <vector>

namespace tsdb {
namespace {

using Bits = std::pair<int64_t, uint64_t>;
using BySeries = std::map<SeriesRef, std::vector<Bits>>;

BySeries collect_all(const ReplayWindow& window) {
  BySeries found;
  ReplayWindow::Columns columns;
  for (size_t group = 0; group < window.group_count(); ++group) {
    const SeriesRef first = window.collect(group, columns);
    REQUIRE(columns.ends.size() == ReplayWindow::kGroupSize);
    REQUIRE(columns.ends.back() == columns.times_ms.size());
    for (size_t i = 0; i < columns.ends.size(); ++i) {
      for (uint32_t at = columns.begin_of(i); at < columns.ends[i]; ++at) {
        found[first + static_cast<SeriesRef>(i)].emplace_back(
            columns.times_ms[at], std::bit_cast<uint64_t>(columns.values[at]));
      }
    }
  }
  return found;
}

double random_value(core::SeededRng& rng) {
  switch (rng.below(6)) {
    case 0:
      return 0;
    case 1:
      return static_cast<double>(rng.below(1000));
    case 2:
      return static_cast<double>(rng.below(1'000'000)) / 1000;
    case 3:
      return static_cast<double>(rng.next());
    default:
      return std::bit_cast<double>(rng.next());  // also NaNs with any payload
  }
}

}  // namespace

TEST_CASE("a window gives every series its samples, in the order they came and bit for bit") {
  core::SeededRng rng(7);
  ReplayWindow window;
  for (int round = 0; round < 4; ++round) {
    BySeries expected;
    const auto add = [&](SeriesRef ref, int64_t time_ms, double value) {
      window.add(ref, time_ms, value);
      expected[ref].emplace_back(time_ms, std::bit_cast<uint64_t>(value));
    };
    const uint64_t series = round % 2 == 0 ? 5 : 5000;
    int64_t time_ms = 1'700'000'000'000;
    for (int i = 0; i < 60'000; ++i) {
      if (rng.below(4) == 0) time_ms += static_cast<int64_t>(rng.below(1000)) - 300;
      add(static_cast<SeriesRef>(rng.below(series)), time_ms, random_value(rng));
    }
    using Limits = std::numeric_limits<double>;
    for (const double value : {-0.0, Limits::infinity(), -Limits::infinity(), Limits::max(),
                               Limits::denorm_min(), Limits::quiet_NaN(), 0x1p24 + 1, 0.1,
                               std::bit_cast<double>(uint64_t{0x7ff0000000000002})}) {
      add(3, std::numeric_limits<int64_t>::min(), value);
      add(4, std::numeric_limits<int64_t>::max(), value);
    }
    CHECK(!window.empty());
    CHECK(window.size_bytes() < 60'000 * 24 + 5 * 2048);
    CHECK(collect_all(window) == expected);
    window.clear();
    CHECK(window.empty());
    CHECK(window.size_bytes() == 0);
    CHECK(collect_all(window).empty());
  }
}

TEST_CASE("two threads may take groups of a window at the same time") {
  ReplayWindow window;
  constexpr SeriesRef kSeries = 4 * ReplayWindow::kGroupSize;
  for (int64_t time_ms = 0; time_ms < 20; ++time_ms) {
    for (SeriesRef ref = 0; ref < kSeries; ++ref) window.add(ref, time_ms, ref);
  }
  const auto take = [&](size_t from) {
    uint64_t samples = 0;
    ReplayWindow::Columns columns;
    for (size_t group = from; group < window.group_count(); group += 2) {
      window.collect(group, columns);
      samples += columns.values.size();
    }
    return samples;
  };
  uint64_t odd = 0;
  std::thread second([&] { odd = take(1); });
  const uint64_t even = take(0);
  second.join();
  CHECK(even == 10 * kSeries);
  CHECK(odd == 10 * kSeries);
}

}  // namespace tsdb
