// Reads that ask for groups in the place of labels, and for the newest sample only.

#include "tsdb/testing/world.h"

#include <string>

namespace {

using namespace tsdb::testing;

// By the labels of its group: the sum of the values, over all series and times.
std::map<std::string, double> sums(World& world, storage::SeriesGrouping grouping,
                                   bool newest_only = false) {
  storage::SelectRequest request{.matchers = {Matcher::equal("__name__", "m")}, .range = kAllTime};
  request.grouping = std::move(grouping);
  request.newest_only = newest_only;
  auto set = world.engine().select(request);
  REQUIRE(set);
  std::map<std::string, double> result;
  storage::SeriesBatch batch;
  while (true) {
    const auto more = (*set)->next(batch);
    REQUIRE(more);
    if (!*more) return result;
    REQUIRE(batch.groups.size() == batch.size());
    CHECK(batch.labels.empty());
    for (size_t i = 0; i < batch.size(); ++i) {
      double& sum = result[(*set)->group_labels(batch.groups[i]).to_string()];
      const auto values = batch.values_of(i);
      if (newest_only) {
        sum += values.back();
      } else {
        for (const double value : values) sum += value;
      }
    }
  }
}

using Sums = std::map<std::string, double>;

void check_groups(World& world) {
  CHECK(sums(world, {.labels = {"pool"}}) ==
        Sums{{"{pool=\"a\"}", 6}, {"{pool=\"b\"}", 8}, {"{}", 16}});
  CHECK(sums(world, {.labels = {"host", "pool"}}) == Sums{{"{host=\"1\", pool=\"a\"}", 2},
                                                          {"{host=\"2\", pool=\"a\"}", 4},
                                                          {"{host=\"1\", pool=\"b\"}", 8},
                                                          {"{host=\"1\"}", 16}});
  CHECK(sums(world, {.labels = {}}) == Sums{{"{}", 30}});
  CHECK(sums(world, {.labels = {"none"}}) == Sums{{"{}", 30}});
  CHECK(sums(world, {.labels = {"host"}, .without = true}) ==
        Sums{{"{pool=\"a\"}", 6}, {"{pool=\"b\"}", 8}, {"{}", 16}});
  CHECK(sums(world, {.labels = {"host"}}, true) == Sums{{"{host=\"1\"}", 13}, {"{host=\"2\"}", 2}});
}

}  // namespace

TEST_CASE("series fall into groups in the head, in blocks and in both") {
  World world(LogKind::Embedded);
  const auto fill = [&](int64_t time, double factor) {
    world.append("m{host=1,pool=a}", time, 1 * factor);
    world.append("m{host=2,pool=a}", time, 2 * factor);
    world.append("m{host=1,pool=b}", time, 4 * factor);
    world.append("m{host=1}", time, 8 * factor);
    world.append("other{host=1,pool=c}", time, 100);
  };
  fill(kStart, 1);
  SUBCASE("in the head") {
    fill(kStart + kMinute, 1);
  }
  SUBCASE("in blocks and the head") {
    REQUIRE(world.engine().flush_all());
    fill(kStart + kMinute, 1);
  }
  SUBCASE("in blocks only") {
    fill(kStart + kMinute, 1);
    REQUIRE(world.engine().flush_all());
    world.open();
  }
  check_groups(world);
}

TEST_CASE("groups hold while series go and others come under their names") {
  World world(LogKind::Embedded);
  world.append("m{host=1,pool=a}", kStart, 1);
  storage::SelectRequest request{.matchers = {}, .range = kAllTime};
  request.grouping = storage::SeriesGrouping{.labels = {"pool"}};
  auto before = world.engine().select(request);
  REQUIRE(before);
  world.clock_.advance_ms(8 * kHour);
  world.append("m{host=1,pool=b}", kStart + 8 * kHour, 2);
  REQUIRE(world.engine().flush_all());
  before->reset();
  REQUIRE(world.engine().maintain());
  world.append("m{host=2,pool=c}", kStart + 8 * kHour, 4);
  CHECK(sums(world, {.labels = {"pool"}}) ==
        Sums{{"{pool=\"a\"}", 1}, {"{pool=\"b\"}", 2}, {"{pool=\"c\"}", 4}});
}

TEST_CASE("of samples that came late the newest one is given, too") {
  World world(LogKind::Embedded);
  world.append("m{host=1}", kStart + 5 * kMinute, 5);
  world.append("m{host=1}", kStart + 2 * kMinute, 2);
  CHECK(sums(world, {.labels = {"host"}}, true) == Sums{{"{host=\"1\"}", 5}});
}
