// Deleting series: in the head, in blocks, in the log; and all of it at random.

#include "core/metrics.h"
#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

#include <functional>
#include <set>

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

core::Result<void> try_delete(World& world, std::vector<model::Matchers> selectors,
                              TimeRange range = kAllTime) {
  DeleteRequest request;
  request.selectors = std::move(selectors);
  request.range = range;
  return world.engine().delete_series(request);
}

void delete_series(World& world, const std::string& metric, TimeRange range = kAllTime) {
  const auto done = try_delete(world, {{Matcher::equal("__name__", metric)}}, range);
  REQUIRE_MESSAGE(done.has_value(), done.error().message);
}

Manifest manifest_of(World& world) {
  auto manifest = Manifest::load(world.files_, "data");
  REQUIRE_MESSAGE(manifest.has_value(), manifest.error().message);
  return *manifest;
}

size_t count_of(World& world, const std::string& metric) {
  const auto all = world.read();
  const auto found = all.find(metric);
  return found == all.end() ? 0 : found->second.size();
}

std::vector<double> histogram_counts(World& world) {
  storage::SelectRequest request;
  request.range = kAllTime;
  auto set = *world.engine().select(request);
  storage::SeriesBatch batch;
  std::vector<double> counts;
  while (*set->next(batch)) {
    for (const auto& one : batch.histograms) counts.push_back(one.histogram.count);
  }
  return counts;
}

}  // namespace

TEST_CASE("deleted samples of the head are gone at once and after restarts, others are not") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(20 * kMinute);
  for (int i = 0; i < 300; ++i) {
    WriteBatch batch;
    batch.add(World::labels("m{host=a}"), kStart + i * 1000, i);
    batch.add(World::labels("m{host=b}"), kStart + i * 1000, -i);
    batch.add(World::labels("n"), kStart + i * 1000, i);
    world.append(batch);
  }
  world.append("m{host=a}", kStart + 1500, 0.5);     // late
  world.append("m{host=a}", kStart + 150'500, 0.5);  // late, deleted
  REQUIRE(try_delete(world,
                     {{Matcher::equal("__name__", "m"), Matcher::equal("host", "a")},
                      {Matcher::equal("__name__", "n"), Matcher::equal("host", "x")}},
                     {kStart + 100'000, kStart + 200'000})
              .has_value());
  for (int life = 0; life < 3; ++life) {
    CAPTURE(life);
    const auto all = world.read();
    const auto& samples = all.at("m{host=\"a\"}");
    CHECK(samples.size() == 201);
    for (const auto& [time, value] : samples) {
      CHECK_FALSE((time >= kStart + 100'000 && time < kStart + 200'000));
    }
    CHECK(all.at("m{host=\"b\"}").size() == 300);
    CHECK(all.at("n").size() == 300);
    CHECK(world.engine().progress().dropped_samples == 0);
    if (life == 0) world.open();
    if (life == 1) REQUIRE(world.engine().flush_all().has_value());
  }
  world.open();
  CHECK(world.read().at("m{host=\"a\"}").size() == 201);
}

TEST_CASE("what was deleted can be sent again, also the newest sample of a series") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(10 * kMinute);
  for (const int count : {1, 5, 40, 200}) {
    CAPTURE(count);
    const std::string name = fmt::format("m{}", count);
    for (int i = 0; i < count; ++i) world.append(name, kStart + i * 1000, i);
    const int64_t last = kStart + (count - 1) * 1000;
    delete_series(world, name, {last, last + 1});
    CHECK(count_of(world, name) == static_cast<size_t>(count - 1));
    CHECK(world.append(name, last, 7.5).stored == 1);
    CHECK(world.append(name, last, 7.5).duplicates == 1);
    CHECK(world.append(name, last, 8).refused_total() == 1);
    CHECK(world.append(name, last + 1, 9).stored == 1);
    CHECK(count_of(world, name) == static_cast<size_t>(count + 1));
    world.open();
    CHECK(count_of(world, name) == static_cast<size_t>(count + 1));
    CHECK(world.read().at(name)[static_cast<size_t>(count - 1)].second == 7.5);
    delete_series(world, name);
    CHECK(count_of(world, name) == 0);
    CHECK(world.append(name, last, 3).stored == 1);
    world.open();
    CHECK(world.read().at(name) == World::Samples{{last, 3}});
  }
}

TEST_CASE("late samples behind a deleted newest one are judged as before") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(10 * kMinute);
  for (const int seconds : {0, 10, 100, 50, 60, 70}) {
    world.append("m", kStart + seconds * 1000, seconds);
  }
  delete_series(world, "m", {kStart + 100'000, kStart + 100'001});
  CHECK(world.append("m", kStart + 60'000, 60).duplicates == 1);
  CHECK(world.append("m", kStart + 60'000, 61).refused_total() == 1);
  CHECK(world.append("m", kStart + 65'000, 65).stored == 1);
  CHECK(world.append("m", kStart + 100'000, 1).stored == 1);
  for (int life = 0; life < 2; ++life) {
    CHECK(world.read().at("m").size() == 7);
    world.open();
  }
}

TEST_CASE("histograms are deleted like floats") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(20 * kMinute);
  const auto send = [&](int seconds, double count) {
    WriteBatch batch;
    batch.begin_series(batch.keep(World::labels("h").bytes()));
    model::Histogram histogram;
    histogram.count = count;
    batch.add_histogram(kStart + seconds * 1000, histogram);
    return world.append(batch);
  };
  for (int i = 0; i < 100; ++i) CHECK(send(2 * i, i).stored == 1);
  for (const int late : {11, 151, 191}) CHECK(send(late, 0.5).stored == 1);
  delete_series(world, "h", {kStart + 100'000, kStart + 180'000});
  CHECK(histogram_counts(world).size() == 62);
  delete_series(world, "h", {kStart + 192'000, kStart + 300'000});
  CHECK(histogram_counts(world).size() == 58);
  CHECK(histogram_counts(world).back() == 0.5);  // a late one is the newest now
  CHECK(send(191, 0.5).duplicates == 1);
  CHECK(send(191, 0.7).refused_total() == 1);
  CHECK(send(198, 99).stored == 1);
  const auto before = histogram_counts(world);
  world.open();
  CHECK(histogram_counts(world) == before);
  delete_series(world, "h");
  CHECK(histogram_counts(world).empty());
  CHECK(send(198, 3).stored == 1);
  world.open();
  CHECK(histogram_counts(world) == std::vector<double>{3});
}

TEST_CASE("late samples for flushed ranges are deleted too") {
  FOR_BOTH_LOGS
  World world(kind);
  world.options_.out_of_order_window_ms = 72 * kHour;
  world.clock_.advance_ms(5 * kHour);
  world.append("m", kStart + 5 * kHour, 1);
  REQUIRE(world.engine().flush_all().has_value());
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("late").bytes()));
  for (int i = 0; i < 10; ++i) batch.add_sample(kStart + i * kMinute, i);
  model::Histogram histogram;
  for (int i = 0; i < 10; ++i) batch.add_histogram(kStart + i * kMinute + 1, histogram);
  CHECK(world.append(batch).stored == 20);
  delete_series(world, "late", {kStart, kStart + 5 * kMinute});
  CHECK(count_of(world, "late") == 5);
  CHECK(world.append("late", kStart, 3).stored == 1);
  for (int life = 0; life < 3; ++life) {
    CHECK(count_of(world, "late") == 6);
    CHECK(histogram_counts(world).size() == 5);
    if (life == 0) world.open();
    if (life == 1) REQUIRE(world.engine().flush_all().has_value());
  }
  delete_series(world, "late", {kStart, kStart + 1});
  CHECK(world.append("late", kStart, 4).stored == 1);
}

TEST_CASE("a series without samples leaves, and its exemplars stay") {
  World world(LogKind::Embedded);
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("m").bytes()));
  batch.add_sample(kStart, 1);
  batch.add_exemplar({Labels::of({{"trace_id", "abc"}}), 0.7, kStart});
  world.append(batch);
  world.append("n", kStart, 1);
  delete_series(world, "m");
  world.maintain();
  CHECK(world.engine().stats("default").series == 1);
  storage::LabelsRequest request;
  request.range = kAllTime;
  CHECK(world.engine().exemplars(request)->size() == 1);
  CHECK(world.append("m", kStart, 2).stored == 1);
  world.open();
  CHECK(world.read().at("m") == World::Samples{{kStart, 2}});
}

TEST_CASE("a deletion is in the manifest as long as a block or a log record needs it") {
  FOR_BOTH_LOGS
  World world(kind);
  for (int i = 0; i < 20; ++i) {
    world.append("m", world.clock_.now_ms(), i);
    world.clock_.advance_ms(10 * kMinute);
  }
  world.maintain();
  REQUIRE(world.engine().stats("default").blocks == 1);
  // Of the head only.
  delete_series(world, "m", {kStart + 3 * kHour, kAllTime.end_ms});
  auto tombstones = manifest_of(world).tombstones;
  REQUIRE(tombstones.size() == 1);
  CHECK(tombstones[0].range.end_ms == kStart + 190 * kMinute + 1);
  CHECK(tombstones[0].log_before == world.log_->high());
  CHECK(tombstones[0].blocks_before == manifest_of(world).next_number);
  delete_series(world, "m", {kStart + 3 * kHour, kAllTime.end_ms});
  CHECK(manifest_of(world).tombstones.size() == 1);  // the same again
  world.maintain();
  CHECK(manifest_of(world).tombstones.size() == 1);
  world.open();
  CHECK(count_of(world, "m") == 18);
  world.append("m", world.clock_.now_ms(), 1);
  REQUIRE(world.engine().flush_all().has_value());
  CHECK(manifest_of(world).tombstones.empty());
  world.open();
  CHECK(count_of(world, "m") == 19);

  // Of a block.
  delete_series(world, "m", {kStart, kStart + kHour});
  CHECK(manifest_of(world).tombstones.size() == 1);
  REQUIRE(world.engine().flush_all().has_value());
  CHECK(manifest_of(world).tombstones.size() == 1);
}

TEST_CASE("deletions that a merge finds superfluous are gone for all tenants") {
  const auto tombstones_in_use = [] {
    const std::string metrics = core::expose_metrics();
    const std::string name = "\npetrel_tsdb_tombstones ";
    const size_t at = metrics.find(name);
    REQUIRE(at != std::string::npos);
    return std::stoul(metrics.substr(at + name.size()));
  };
  bool met = false;
  for (uint64_t step = 0;; ++step) {
    CAPTURE(step);
    World world(LogKind::SelfContained, step + 1);
    WriteBatch other;
    other.tenant = "other";
    other.add(World::labels("x"), kStart, 1);
    world.append(other);
    world.append("m", kStart, 1);
    REQUIRE(world.engine().flush_all().has_value());
    delete_series(world, "m", {kStart, kStart + 1});
    other = {};
    other.tenant = "other";
    other.add(World::labels("x"), kStart + 1, 1);
    world.append(other);
    DeleteRequest request;
    request.tenant = "other";
    request.selectors = {{Matcher::equal("__name__", "x")}};
    request.range = {kStart + 1, kStart + 2};
    REQUIRE(world.engine().delete_series(request).has_value());
    world.clock_.advance_ms(kMinute);
    world.append("m", kStart + kMinute, 2);
    // The flush cuts the log; then the deletions that nothing needs are dropped, or not.
    const uint64_t point = world.files_.fault_points() + step;
    world.files_.fail_at(point, core::testing::SimFault::Io);
    const bool done = world.engine().flush_all().has_value();
    const bool finished = world.files_.fault_points() <= point;
    world.files_.clear_fault();
    const size_t before = manifest_of(world).tombstones.size();
    REQUIRE(world.engine().clean_tombstones().has_value());
    const size_t after = manifest_of(world).tombstones.size();
    CHECK(tombstones_in_use() == after);
    met |= !done && before == 2 && after == 0;
    if (finished) break;
  }
  CHECK(met);
}

TEST_CASE("requests that delete nothing, and those that are none") {
  World world(LogKind::Embedded);
  world.append("m", kStart, 1);
  CHECK(try_delete(world, {}).error().code == core::ErrorCode::InvalidArgument);
  CHECK(try_delete(world, {{Matcher::equal("a", "b")}}, {5, 5}).has_value());
  CHECK(manifest_of(world).tombstones.empty());
  DeleteRequest request;
  request.tenant = "nobody";
  request.selectors = {{Matcher::equal("a", "b")}};
  request.range = kAllTime;
  CHECK(world.engine().delete_series(request).has_value());
  CHECK(world.engine().tenants() == std::vector<std::string>{"default"});
  CHECK(count_of(world, "m") == 1);
  CHECK(try_delete(world, {{}}).has_value());  // without matchers: everything
  CHECK(world.read().empty());
  world.open();
  CHECK(world.read().empty());
}

TEST_CASE("a deletion that fails changes nothing, or stops writes until a restart tells") {
  int clean = 0;
  int halfway = 0;
  for (const auto fault : {core::testing::SimFault::Io, core::testing::SimFault::NoSpace}) {
    for (uint64_t at = 0; at < 8; ++at) {
      CAPTURE(at);
      World world(LogKind::SelfContained);
      world.append("m", kStart, 1);
      world.append("n", kStart, 1);
      world.files_.fail_at(world.files_.fault_points() + at, fault);
      const auto done = try_delete(world, {{Matcher::equal("__name__", "m")}});
      world.files_.clear_fault();
      if (done) {
        CHECK(count_of(world, "m") == 0);
        continue;
      }
      CHECK(count_of(world, "m") == 1);
      WriteBatch batch;
      batch.add(World::labels("m"), kStart, 1);
      const auto again = world.engine().append(batch);
      if (again) {
        ++clean;
        CHECK(again->duplicates == 1);
        if (at % 2 == 0) world.files_.crash();
        world.open();
        CHECK(count_of(world, "m") == 1);
        continue;
      }
      ++halfway;
      CHECK(again.error().code == core::ErrorCode::Unavailable);
      CHECK(again.error().message.find("until a restart") != std::string::npos);
      CHECK(!world.engine().writable());
      CHECK_FALSE(try_delete(world, {{Matcher::equal("__name__", "n")}}).has_value());
      CHECK(count_of(world, "n") == 1);
      world.engine_.reset();
      if (at % 2 == 0) world.files_.crash();
      world.open();
      CHECK(world.append("n", kStart + 1, 1).stored == 1);
      // Either way the sender gets an honest answer.
      const bool is_gone = count_of(world, "m") == 0;
      CHECK(world.append("m", kStart, 1).stored == (is_gone ? 1 : 0));
      CHECK(count_of(world, "m") == 1);
    }
  }
  CHECK(clean > 0);
  CHECK(halfway > 0);
}

TEST_CASE("deleting the same again and again leaves one tombstone") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 20; ++i) {
    world.append("m", kStart + i, i);
    world.append("n", kStart + i, i);
    delete_series(world, "m");
  }
  CHECK(manifest_of(world).tombstones.size() == 1);
  delete_series(world, "m", {kStart, kStart + 5});  // says less than what is there: stays beside
  CHECK(manifest_of(world).tombstones.size() == 2);
  world.append("m", kStart + 20, 20);
  world.open();
  CHECK(count_of(world, "m") == 1);
  CHECK(count_of(world, "n") == 20);
  REQUIRE(world.engine().flush_all().has_value());
  CHECK(count_of(world, "m") == 1);
}

namespace {

// Calls back before it says that something is durable.
class HookedLog final : public storage::Log {
 public:
  std::function<void()> before_wait;

  core::Result<storage::LogPosition> append(const storage::LogBatch& batch) override {
    return log_.append(batch);
  }
  core::Result<void> wait_durable(storage::LogPosition position) override {
    if (before_wait) std::exchange(before_wait, nullptr)();
    return log_.wait_durable(position);
  }
  core::Result<void> replay(storage::LogPosition from, const Visitor& visit) override {
    return log_.replay(from, visit);
  }
  storage::LogPosition low() const override { return log_.low(); }
  storage::LogPosition high() const override { return log_.high(); }
  core::Result<void> truncate_before(storage::LogPosition position) override {
    return log_.truncate_before(position);
  }

 private:
  MemoryLog log_;
};

}  // namespace

TEST_CASE("an append that a deletion overtakes and that fails halfway is not acknowledged") {
  int halfway = 0;
  for (uint64_t at = 0; at < 8; ++at) {
    CAPTURE(at);
    World world(LogKind::SelfContained);
    auto owned = std::make_unique<HookedLog>();
    HookedLog& log = *owned;
    world.log_ = std::move(owned);
    world.append("m", kStart, 1);
    log.before_wait = [&] {
      world.files_.fail_at(world.files_.fault_points() + at, core::testing::SimFault::Io);
      (void)try_delete(world, {{Matcher::equal("__name__", "m")}}).has_value();
      world.files_.clear_fault();
    };
    WriteBatch batch;
    batch.add(World::labels("m"), kStart, 1);
    const bool is_acknowledged = world.engine().append(batch).has_value();
    const bool is_stopped = !world.engine().append(batch).has_value();
    CHECK(is_acknowledged != is_stopped);
    halfway += is_stopped ? 1 : 0;
  }
  CHECK(halfway > 0);
}

// Appends of all kinds, deletions, flushes and restarts against a plain map.
TEST_CASE("whatever happens in which order, what is read is what was stored and not deleted") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    core::SeededRng rng(seed);
    World world(seed % 2 == 0 ? LogKind::Embedded : LogKind::SelfContained, seed);
    world.options_.out_of_order_window_ms = static_cast<int64_t>(rng.below(3)) * 5 * kHour;
    world.options_.late_samples_max = 1000;
    std::map<std::string, std::map<int64_t, double>> model;
    // Stored besides another value that the head had forgotten and that is the one shown.
    std::set<std::pair<std::string, int64_t>> hidden;
    const auto check = [&](const std::string& what) {
      CAPTURE(what);
      const auto all = world.read();
      size_t count = 0;
      for (const auto& [series, samples] : model) {
        if (samples.empty()) continue;
        ++count;
        REQUIRE(all.contains(series));
        REQUIRE(all.at(series) == World::Samples(samples.begin(), samples.end()));
      }
      REQUIRE(all.size() == count);
    };
    for (int step = 0; step < 250; ++step) {
      const uint64_t kind = rng.below(100);
      const std::string series = fmt::format("m{}", rng.below(4));
      if (kind < 70) {
        int64_t time = world.clock_.now_ms() - static_cast<int64_t>(rng.below(3)) * kMinute;
        if (rng.below(3) == 0) time -= static_cast<int64_t>(rng.below(12 * 60)) * kMinute;
        auto& samples = model[series];
        if (rng.below(4) == 0 && !samples.empty()) {
          time =
              std::next(samples.begin(), static_cast<ptrdiff_t>(rng.below(samples.size())))->first;
        }
        const auto value = static_cast<double>(rng.below(2));
        const auto summary = world.append(series, time, value);
        const bool is_hidden = hidden.contains({series, time});
        if (summary.duplicates == 1 && !is_hidden) REQUIRE(samples.at(time) == value);
        if (summary.refused[static_cast<size_t>(RefusalReason::Conflict)] == 1 && !is_hidden) {
          REQUIRE(samples.at(time) != value);
        }
        if (summary.stored == 1 && !samples.emplace(time, value).second) {
          hidden.emplace(series, time);
        }
      } else if (kind < 76) {
        TimeRange range = kAllTime;
        if (rng.below(3) != 0) {
          range.start_ms =
              world.clock_.now_ms() - static_cast<int64_t>(rng.below(6 * 60)) * kMinute;
          range.end_ms = range.start_ms + static_cast<int64_t>(rng.below(120)) * kMinute;
        }
        delete_series(world, series, range);
        std::erase_if(model[series], [&](const auto& one) { return range.contains(one.first); });
        std::erase_if(hidden, [&](const auto& one) {
          return one.first == series && range.contains(one.second);
        });
        check("delete");
      } else if (kind < 90) {
        world.maintain();
        check("maintain");
      } else if (kind < 93) {
        REQUIRE(world.engine().flush_all().has_value());
        check("flush");
      } else if (kind < 95) {
        const auto merged =
            rng.below(3) == 0 ? world.engine().clean_tombstones() : world.engine().compact();
        REQUIRE_MESSAGE(merged.has_value(), merged.error().message);
        check("merge");
      } else if (kind < 97) {
        world.open();
        check("open");
      } else {
        world.clock_.advance_ms(static_cast<int64_t>(rng.below(3 * 60)) * kMinute);
      }
      world.clock_.advance_ms(static_cast<int64_t>(rng.below(5)) * kMinute);
    }
    check("end");
  }
}

}  // namespace tsdb
