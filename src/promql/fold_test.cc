// Aggregations whose series come from the storage in groups give what they give of labels.

#include "core/testing/fake_clock.h"
#include "promql/engine.h"
#include "storage/testing/changed_requests.h"
#include "tsdb/testing/world.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <limits>

namespace promql {
namespace {

using tsdb::testing::kMinute;
using tsdb::testing::kStart;
using tsdb::testing::LogKind;
using tsdb::testing::World;

std::string text_of(const core::Result<QueryResult>& result) {
  if (!result) return result.error().message;
  std::string text;
  for (const Series& one : std::get<Matrix>(result->value)) {
    text += one.labels.to_string();
    for (const Point& point : one.points) {
      text += fmt::format(" {}:{:.17g}", point.timestamp_ms, point.value);
    }
    text += '\n';
  }
  for (const std::string& info : result->infos) text += "info: " + info + '\n';
  for (const std::string& warning : result->warnings) text += "warning: " + warning + '\n';
  return text;
}

// Counters that are reset, end, begin late, and differ in the labels that go with names.
void fill(World& world) {
  const double stale = model::stale_nan();
  for (int i = 0; i < 40; ++i) {
    const int64_t time = kStart + i * kMinute / 4;
    world.append("m{host=1,pool=a}", time, i % 17 * 3);
    world.append("m{__type__=counter,host=2,pool=a}", time + 100, i * 1.25);
    world.append("m{__unit__=s,host=1,pool=b}", time, i < 20 ? i : stale);
    world.append("m{host=3}", time, i < 10 ? 0 : i * 0.1);
    if (i > 25) world.append("m{host=1,pool=c,zone=z}", time, 1e9 - i);
    if (i == 20) REQUIRE(world.engine().flush_all());
  }
}

}  // namespace

TEST_CASE("groups from the storage are the groups of the aggregation") {
  World world(LogKind::Embedded);
  fill(world);
  const storage::testing::ChangedRequests labelled(world.engine(),
                                                   [](storage::SelectRequest& request) {
                                                     request.grouping.reset();
                                                     request.newest_only = false;
                                                   });
  const core::testing::FakeClock clock;
  size_t asked_for_groups = 0;
  const storage::testing::ChangedRequests counted(
      world.engine(),
      [&](storage::SelectRequest& request) { asked_for_groups += request.grouping ? 1 : 0; });
  for (const bool delayed : {false, true}) {
    EngineOptions options;
    options.delayed_name_removal = delayed;
    options.experimental_functions = true;
    const Engine with_groups(counted, clock, options);
    const Engine with_labels(labelled, clock, options);
    for (const char* op : {"sum", "avg", "min", "max", "count", "group", "stddev"}) {
      for (const char* by : {"", "by (pool)", "by (pool, host)", "by (__type__)", "by (__name__)",
                             "by (none)", "without (host)", "without (__type__)", "without ()"}) {
        for (const char* inner :
             {"m", "rate(m[1m])", "increase(m[2m])", "delta(m[1m])", "last_over_time(m[1m])",
              "max_over_time((m[1m]))", "m offset 1m", "m @ end()", "rate(m[1m] @ start())",
              "{__name__=~\"m\"}", "m{pool=\"\"}", "irate(m[1m])"}) {
          const std::string query = fmt::format("{} {} ({})", op, by, inner);
          CAPTURE(query);
          CAPTURE(delayed);
          const int64_t end = kStart + 10 * kMinute;
          for (const int64_t start : {kStart + kMinute, end}) {
            const auto got = with_groups.range(query, start, end, 45'000);
            const auto expected = with_labels.range(query, start, end, 45'000);
            CHECK(text_of(got) == text_of(expected));
          }
        }
      }
    }
  }
  CHECK(asked_for_groups > 1000);
}

}  // namespace promql
