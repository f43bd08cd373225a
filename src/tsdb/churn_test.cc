#include "tsdb/churn.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace tsdb {

namespace {

constexpr int64_t kHour = Churn::kWindowMs;
constexpr int64_t kStart = 472'222 * kHour;

model::Labels series(const std::string& metric, const std::string& job, const std::string& instance,
                     const std::string& id) {
  return model::Labels::of(
      {{"__name__", metric}, {"job", job}, {"instance", instance}, {"id", id}});
}

}  // namespace

TEST_CASE("series that come and go are counted by metric and by target") {
  Churn churn;
  for (int i = 0; i < 5; ++i)
    churn.note_created(series("m", "a", "h:1", std::to_string(i)), kStart);
  for (int i = 0; i < 3; ++i) churn.note_gone(series("m", "a", "h:1", std::to_string(i)), kStart);
  churn.note_created(series("n", "b", "h:2", ""), kStart);
  churn.note_created(model::Labels::of({{"__name__", "n"}}), kStart);
  const storage::ChurnReport report = churn.report(kStart + 1, 10);
  CHECK(report.created == 7);
  CHECK(report.gone == 3);
  CHECK_FALSE(report.is_estimated);
  REQUIRE(report.metrics.size() == 2);
  CHECK(report.metrics[0].name == "m");
  CHECK(report.metrics[0].created == 5);
  CHECK(report.metrics[0].gone == 3);
  CHECK(report.metrics[0].missed == 0);
  CHECK(report.metrics[1].created == 2);
  REQUIRE(report.targets.size() == 3);
  CHECK(report.targets[0].name == storage::target_name("a", "h:1"));
  CHECK(report.targets[2].name == storage::target_name("", ""));
  CHECK(churn.report(kStart, 1).metrics.size() == 1);
}

TEST_CASE("what is older than six hours is forgotten") {
  Churn churn;
  CHECK(churn.report(kStart, 10).created == 0);
  for (int hour = 0; hour < 8; ++hour) {
    churn.note_created(series("m", "a", "b", std::to_string(hour)), kStart + hour * kHour);
  }
  CHECK(churn.report(kStart + 7 * kHour, 10).created == 6);
  CHECK(churn.report(kStart + 7 * kHour, 10).since_ms == kStart + 2 * kHour);
  CHECK(churn.report(kStart + 9 * kHour + 1, 10).metrics.at(0).created == 4);
  CHECK(churn.report(kStart + 20 * kHour, 10).created == 0);
  CHECK(churn.report(kStart + 20 * kHour, 10).metrics.empty());
}

TEST_CASE("the largest name of many more than fit is found, and what it may lack is told") {
  Churn churn;
  // One of seven is of one metric, all others are of a new one each.
  constexpr int kOthers = 3'000;
  for (int i = 0; i < kOthers; ++i) {
    churn.note_created(series(fmt::format("other_{}", i), "a", "b", ""), kStart);
    if (i % 6 == 5) churn.note_created(series("guilty", "a", "b", std::to_string(i)), kStart);
  }
  const storage::ChurnReport report = churn.report(kStart, 1);
  CHECK(report.created == kOthers + kOthers / 6);
  REQUIRE(report.metrics.size() == 1);
  const storage::ChurnCount& first = report.metrics[0];
  CHECK(first.name == "guilty");
  CHECK(first.created <= kOthers / 6);
  CHECK(first.created + first.missed >= kOthers / 6);
  CHECK(first.created > kOthers / 8);
}

TEST_CASE("a list of names has a fixed size") {
  ChurnList list;
  for (int i = 0; i < 10'000; ++i) list.add(std::to_string(i), {.created = 1});
  CHECK(list.entries().size() == ChurnList::kEntriesMax);
  uint64_t sum = 0;
  for (const storage::ChurnCount& one : list.entries()) sum += one.created + one.missed;
  CHECK(sum == 10'000);  // what the sketch promises: nothing is lost from the sum
}

TEST_CASE("very many events are counted as a sample") {
  Churn churn;
  const model::Labels labels = series("m", "a", "b", "");
  const uint64_t events = Churn::kExactMax + 160'000;
  for (uint64_t i = 0; i < events; ++i) churn.note_created(labels, kStart);
  const storage::ChurnReport report = churn.report(kStart, 10);
  CHECK(report.created == events);  // of all names together exactly
  CHECK(report.is_estimated);
  REQUIRE(report.metrics.size() == 1);
  CHECK(report.metrics[0].created == doctest::Approx(static_cast<double>(events)).epsilon(0.05));
}

TEST_CASE("a clock that goes back stays in its window") {
  Churn churn;
  churn.note_created(series("m", "a", "b", ""), kStart);
  churn.note_created(series("m", "a", "b", ""), kStart - 3 * kHour);
  CHECK(churn.report(kStart, 10).created == 2);
}

TEST_CASE("names of the list are not longer than they must be") {
  Churn churn;
  churn.note_created(series(std::string(60'000, 'm'), "a", "b", ""), kStart);
  CHECK(churn.report(kStart, 10).metrics.at(0).name.size() == 512);
}

}  // namespace tsdb
