#include "tsdb/cardinality.h"

#include "core/testing/quiet_log.h"
#include "tsdb/testing/world.h"

#include <cmath>
#include <thread>

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)
using storage::CountChange;
using storage::NamedCount;

namespace {

constexpr int64_t kDay = 24 * kHour;

void add(World& world, const std::string& series, const std::string& tenant = "default") {
  WriteBatch batch;
  batch.tenant = tenant;
  batch.add(World::labels(series), world.clock_.now_ms(), 1);
  world.append(batch);
}

HeadCounts count(World& world, size_t top = 10) {
  return *world.engine().count_head("default", {.top = top, .with_targets = true});
}

uint64_t count_of(const std::vector<NamedCount>& counts, const std::string& name) {
  for (const NamedCount& one : counts) {
    if (one.name == name) return one.count;
  }
  return 0;
}

uint64_t target(const HeadCounts& counts, const std::string& job, const std::string& instance) {
  return count_of(counts.targets, storage::target_name(job, instance));
}

const CountChange* find(const std::vector<CountChange>& lines, const std::string& name) {
  for (const CountChange& one : lines) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

Cardinality cardinality(World& world) {
  return Cardinality(world.engine(), world.files_, world.clock_, "data");
}

}  // namespace

TEST_CASE("series are counted by metric, label, pair and target") {
  World world(LogKind::Embedded);
  for (int host = 0; host < 3; ++host) {
    for (int i = 0; i <= host; ++i) {
      add(world, fmt::format("m{{job=a,instance=h{},i={}}}", host, i));
    }
    add(world, fmt::format("up{{job=a,instance=h{}}}", host));
  }
  add(world, "up{job=b,instance=h0}");
  add(world, "pushed{job=b}");
  add(world, "bare");
  const HeadCounts counts = count(world);
  CHECK(counts.totals.series == 12);
  CHECK(counts.totals.label_names == 4);
  CHECK(counts.totals.label_pairs == 4 + 2 + 3 + 3);
  CHECK(counts.metrics == std::vector<NamedCount>{{"m", 6}, {"up", 4}, {"bare", 1}, {"pushed", 1}});
  CHECK(counts.labels ==
        std::vector<NamedCount>{{"__name__", 4}, {"i", 3}, {"instance", 3}, {"job", 2}});
  CHECK(count_of(counts.label_bytes, "__name__") == 1 + 2 + 6 + 4);
  CHECK(counts.pairs.at(0) == NamedCount{"job=a", 9});
  CHECK(target(counts, "a", "h0") == 2);
  CHECK(target(counts, "a", "h2") == 4);
  CHECK(target(counts, "b", "h0") == 1);
  CHECK(target(counts, "b", "") == 1);
  CHECK(target(counts, "", "") == 1);
  uint64_t all = 0;
  for (const NamedCount& one : counts.targets) all += one.count;
  CHECK(all == counts.totals.series);

  const HeadCounts two = count(world, 2);
  CHECK(two.metrics == std::vector<NamedCount>{{"m", 6}, {"up", 4}});
  CHECK(two.targets.size() == 2);
  CHECK(count(world).slices == 1);
}

TEST_CASE("targets whose series are mixed with each other are told apart") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 300; ++i) {
    add(world, fmt::format("m{{job=j{},instance=shared,i={}}}", i % 3, i));
    add(world, fmt::format("m{{job=j{},instance=h{},i={}}}", i % 2, i % 5, i));
  }
  const HeadCounts counts = count(world, 100);
  for (const char* job : {"j0", "j1", "j2"}) CHECK(target(counts, job, "shared") == 100);
  uint64_t all = 0;
  for (const NamedCount& one : counts.targets) all += one.count;
  CHECK(all == 600);
  CHECK(target(counts, "j1", "h3") == 30);
}

TEST_CASE("a large head is walked in slices, while others write") {
  World world(LogKind::Embedded);
  WriteBatch batch;
  constexpr int kSeries = 40'000;
  for (int i = 0; i < kSeries; ++i) {
    batch.add(World::labels(fmt::format("m{{job=a,instance=h{},i={}}}", i / 100, i)), kStart, 1);
  }
  world.append(batch);
  const HeadCounts counts = count(world);
  CHECK(counts.slices > 4);
  CHECK(counts.metrics == std::vector<NamedCount>{{"m", kSeries}});
  CHECK(counts.targets.size() == 10);
  CHECK(counts.targets[0].count == 100);

  std::atomic<bool> is_done = false;
  std::thread writer([&] {
    for (int i = 0; !is_done; ++i) add(world, fmt::format("w{{job=b,instance=w,i={}}}", i));
  });
  for (int round = 0; round < 3; ++round) {
    const HeadCounts beside = count(world);
    CHECK(count_of(beside.metrics, "m") == kSeries);
    CHECK(beside.targets.at(1).count >= 100);
  }
  is_done = true;
  writer.join();
}

TEST_CASE("one instance with more series than a slice looks at is counted once") {
  World world(LogKind::Embedded);
  WriteBatch batch;
  constexpr int kSeries = 70'000;
  for (int i = 0; i < kSeries; ++i) {
    batch.add(World::labels(fmt::format("m{{job=j{},instance=gateway,i={}}}", i % 2, i)), kStart,
              1);
  }
  world.append(batch);
  const HeadCounts counts = count(world);
  CHECK(target(counts, "j0", "gateway") == kSeries / 2);
  CHECK(target(counts, "j1", "gateway") == kSeries / 2);
  CHECK(counts.targets.size() == 2);
  CHECK(count_of(counts.labels, "instance") == 1);
  CHECK(count_of(counts.pairs, "instance=gateway") == kSeries);
}

TEST_CASE("label values are counted, of all series, of those that match, and of active ones") {
  World world(LogKind::Embedded);
  add(world, "m{job=a,i=1}");
  add(world, "m{job=a,i=2}");
  world.clock_.advance_ms(30 * kMinute);
  add(world, "m{job=b,i=1}");
  add(world, "n{job=b}");
  Cardinality source = cardinality(world);
  storage::CardinalityScope scope;
  CHECK(*source.label_names(scope) ==
        std::vector<NamedCount>{{"__name__", 2}, {"i", 2}, {"job", 2}});
  auto values = *source.label_values(scope, {"job", "i", "none"}, 1);
  REQUIRE(values.size() == 3);
  CHECK(values[0].values == 2);
  CHECK(values[0].series == 4);
  CHECK(values[0].series_by_value.size() == 1);
  CHECK(values[1].series == 3);
  CHECK(values[1].series_by_value == std::vector<NamedCount>{{"1", 2}});
  CHECK(values[2].values == 0);
  CHECK(source.label_sets(scope, 1'000)->size() == 4);

  scope.matchers = model::Matchers{Matcher::equal("__name__", "m")};
  CHECK(*source.label_names(scope) ==
        std::vector<NamedCount>{{"i", 2}, {"job", 2}, {"__name__", 1}});
  values = *source.label_values(scope, {"job"}, 10);
  CHECK(values[0].series_by_value == std::vector<NamedCount>{{"a", 2}, {"b", 1}});
  scope.active_only = true;
  values = *source.label_values(scope, {"job"}, 10);
  CHECK(values[0].series_by_value == std::vector<NamedCount>{{"b", 1}});
  CHECK(*source.label_names(scope) ==
        std::vector<NamedCount>{{"__name__", 1}, {"i", 1}, {"job", 1}});
  CHECK(*source.label_sets(scope, 1'000) ==
        std::vector<std::string>{World::labels("m{job=b,i=1}").bytes()});
  scope = {};
  const auto too_many = source.label_sets(scope, 100);
  REQUIRE_FALSE(too_many.has_value());
  CHECK(too_many.error().code == core::ErrorCode::TooLarge);
  CHECK(too_many.error().message.find("100 bytes") != std::string::npos);
}

TEST_CASE("tenants do not see each other") {
  World world(LogKind::Embedded);
  add(world, "m{job=a,instance=h}", "one");
  add(world, "n{job=a,instance=h}", "two");
  add(world, "n{job=a,instance=g}", "two");
  Cardinality source = cardinality(world);
  CHECK(source.head("one", 10)->series_by_metric == std::vector<NamedCount>{{"m", 1}});
  CHECK(source.report("one", 10)->churn.metrics.size() == 1);
  CHECK(source.report("two", 10)->churn.created == 2);
  CHECK(source.report("two", 10)->targets.size() == 2);
  CHECK(source.head("three", 10)->totals.series == 0);
  CHECK(source.report("three", 10)->churn.created == 0);
  CHECK(source.label_names({.tenant = "three", .matchers = {}})->empty());
  storage::CardinalityScope scope{.tenant = "one", .matchers = {}};
  CHECK(source.label_sets(scope, 1'000)->size() == 1);
  source.tick(true);
  world.clock_.advance_ms(kDay);
  CHECK(source.report("one", 10)->series_before == 1);
  CHECK(source.report("two", 10)->series_before == 2);
  CHECK_FALSE(source.report("three", 10)->since_ms.has_value());
}

TEST_CASE("a restart keeps what was counted yesterday") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 4; ++i) add(world, fmt::format("m{{job=a,instance=h,i={}}}", i));
  add(world, "gone{job=a,instance=h}");
  {
    Cardinality source = cardinality(world);
    source.tick(true);
    CHECK_FALSE(source.report("default", 10)->since_ms.has_value());  // too young to tell
  }
  world.clock_.advance_ms(kDay);
  world.crash();
  world.open();
  for (int i = 0; i < 6; ++i) add(world, fmt::format("m{{job=a,instance=h,i={}}}", i));
  add(world, "new{job=b,instance=h}");
  Cardinality source = cardinality(world);
  const storage::CardinalityReport report = *source.report("default", 10);
  CHECK(report.since_ms == kStart);
  CHECK(report.series_before == 5);
  const CountChange* line = find(report.metrics, "m");
  REQUIRE(line != nullptr);
  CHECK(line->count == 6);
  CHECK(line->before == 4);
  CHECK(line->change == 2);
  line = find(report.metrics, "new");
  REQUIRE(line != nullptr);
  CHECK(line->before == 0);
  CHECK(line->change == 1);
  CHECK(find(report.targets, storage::target_name("b", "h"))->change == 1);
  CHECK(find(report.labels, "job")->change == 1);
  CHECK(find(report.pairs, "job=b")->count == 1);
}

TEST_CASE("what left the memory is in the report with nothing") {
  World world(LogKind::Embedded);
  add(world, "m{job=a}");
  add(world, "gone{job=a}");
  Cardinality source = cardinality(world);
  source.tick(true);
  for (int hour = 0; hour < 26; ++hour) {
    world.clock_.advance_ms(kHour);
    add(world, "m{job=a}");
    world.maintain();
  }
  const storage::CardinalityReport report = *source.report("default", 10);
  const CountChange* line = find(report.metrics, "gone");
  REQUIRE(line != nullptr);
  CHECK(line->count == 0);
  CHECK(line->before == 1);
  CHECK(line->change == -1);
  CHECK(find(report.metrics, "m")->change == 0);
}

TEST_CASE("series that leave the memory are counted as gone") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 5; ++i) add(world, fmt::format("m{{job=a,instance=h,i={}}}", i));
  for (int i = 0; i < 30; ++i) {
    world.clock_.advance_ms(10 * kMinute);
    add(world, "stays{job=a,instance=h}");
    world.maintain();
  }
  const storage::ChurnReport churn = world.engine().churn("default", 10).value();
  CHECK(churn.created == 6);
  CHECK(churn.gone == 5);
  CHECK(churn.metrics.at(0).name == "m");
  CHECK(churn.metrics.at(0).gone == 5);
  CHECK(churn.targets.at(0).created == 6);
  // What a start finds in the log was not made by anybody now.
  world.open();
  CHECK(world.engine().churn("default", 10)->created == 0);
}

TEST_CASE("a report is compared with the newest record that is a day old") {
  World world(LogKind::Embedded);
  Cardinality source = cardinality(world);
  for (int hours = 0; hours <= 64; ++hours) {
    add(world, fmt::format("m{{i={}}}", hours));
    source.tick(true);
    if (hours > 0 && hours < 24) CHECK(source.report("default", 10)->since_ms == kStart);
    if (hours > 40) {
      const int64_t age = world.clock_.now_ms() - *source.report("default", 10)->since_ms;
      CHECK(age >= kDay);
      CHECK(age <= kDay + kRecordEveryMs);
    }
    world.clock_.advance_ms(kHour);
  }
  CHECK(load_cardinality_records(world.files_, "data/cardinality")->at("default").size() ==
        kRecordsMax);
}

TEST_CASE("a name that was not among the largest changed by at least what it has more") {
  World world(LogKind::Embedded);
  const size_t many = kRecordCountsMax + 10;
  for (size_t metric = 0; metric < many; ++metric) {
    for (int i = 0; i < 2; ++i) add(world, fmt::format("m_{}{{i={}}}", metric, i));
  }
  Cardinality source = cardinality(world);
  source.tick(true);
  world.clock_.advance_ms(kDay);
  for (int i = 0; i < 12; ++i) add(world, fmt::format("new{{i={}}}", i));
  const storage::CardinalityReport report = *source.report("default", 5);
  const CountChange* line = find(report.metrics, "new");
  REQUIRE(line != nullptr);
  CHECK_FALSE(line->before.has_value());
  CHECK(line->change == 10);
  CHECK(report.metrics.size() <= 10);
}

TEST_CASE("a damaged file begins the comparison anew and is replaced") {
  core::testing::QuietLog quiet;
  World world(LogKind::Embedded);
  add(world, "m");
  {
    cardinality(world).tick(true);
  }
  std::string bytes = *world.files_.read_file("data/cardinality");
  bytes[bytes.size() / 2] ^= 1;
  REQUIRE(world.files_.write_file_atomically("data/cardinality", bytes).has_value());
  Cardinality source = cardinality(world);
  world.clock_.advance_ms(kDay);
  CHECK_FALSE(source.report("default", 10)->since_ms.has_value());
  source.tick(false);  // no room on the disk
  CHECK_FALSE(load_cardinality_records(world.files_, "data/cardinality").has_value());
  source.tick(true);
  CHECK(load_cardinality_records(world.files_, "data/cardinality").has_value());
}

TEST_CASE("records that cannot be stored are stored later") {
  core::testing::QuietLog quiet;
  World world(LogKind::Embedded);
  add(world, "m");
  Cardinality source = cardinality(world);
  world.files_.fail_when({.fault = core::testing::SimFault::NoSpace,
                          .operation = core::testing::SimOperation::Write,
                          .path_contains = "cardinality",
                          .skip = 0});
  source.tick(true);
  world.files_.clear_fault();
  CHECK(load_cardinality_records(world.files_, "data/cardinality")->empty());
  source.tick(true);
  CHECK(load_cardinality_records(world.files_, "data/cardinality")->size() == 1);
}

TEST_CASE("the share of series with raw values is that of their newest chunks") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 60; ++i) {
    WriteBatch batch;
    batch.add(World::labels("decimal{job=a}"), world.clock_.now_ms(), i * 0.25);
    batch.add(World::labels("raw{job=a}"), world.clock_.now_ms(),
              std::sqrt(static_cast<double>(i) + 0.1) * 1e-7);
    world.append(batch);
    world.clock_.advance_ms(1'000);
  }
  add(world, "young");
  const storage::FallbackShare share = world.engine().sample_fallback("default", 100).value();
  CHECK(share.sampled == 2);
  CHECK(share.raw == 1);
  REQUIRE(share.metrics.size() == 1);
  CHECK(share.metrics[0].name == "raw");
  CHECK(share.metrics[0].sampled == 1);
  CHECK(world.engine().sample_fallback("nobody", 100)->sampled == 0);
}

}  // namespace tsdb
