// Late data: patches, their flush, their bound, and what a start makes of the log.

#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

namespace {

uint64_t refused(const storage::AppendSummary& summary, RefusalReason reason) {
  return summary.refused[static_cast<size_t>(reason)];
}

Manifest manifest_of(World& world) {
  auto manifest = Manifest::load(world.files_, "data");
  REQUIRE_MESSAGE(manifest.has_value(), manifest.error().message);
  return *manifest;
}

// A sample per minute of "m" until `end_ms`, maintained every ten.
void run_until(World& world, int64_t end_ms) {
  for (int i = 0; world.clock_.now_ms() < end_ms; ++i) {
    world.append("m", world.clock_.now_ms(), i);
    world.clock_.advance_ms(kMinute);
    if (i % 10 == 9) world.maintain();
  }
}

std::vector<double> histogram_counts(World& world, const std::string& name) {
  storage::SelectRequest request;
  request.range = kAllTime;
  request.matchers = {Matcher::equal("__name__", name)};
  auto set = *world.engine().select(request);
  storage::SeriesBatch batch;
  std::vector<double> counts;
  while (*set->next(batch)) {
    for (const auto& one : batch.histograms) counts.push_back(one.histogram.count);
  }
  return counts;
}

storage::AppendSummary append_histogram(World& world, const std::string& name, int64_t time,
                                        double count) {
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels(name).bytes()));
  model::Histogram histogram;
  histogram.count = count;
  batch.add_histogram(time, histogram);
  return world.append(batch);
}

}  // namespace

TEST_CASE("a range is flushed half a range after its end, whatever the window is") {
  FOR_BOTH_LOGS
  World world(kind);
  world.options_.out_of_order_window_ms = 72 * kHour;
  run_until(world, kStart + 9 * kHour + 10 * kMinute);
  CHECK(world.engine().stats("default").blocks == 4);
  CHECK(world.engine().stats("default").min_time_ms == kStart + 8 * kHour);
  if (kind == LogKind::SelfContained) CHECK(world.log_->high() - world.log_->low() < 400);
}

TEST_CASE("late samples for flushed ranges are read, flushed as blocks and survive restarts") {
  FOR_BOTH_LOGS
  World world(kind);
  world.options_.out_of_order_window_ms = 72 * kHour;
  run_until(world, kStart + 9 * kHour + 10 * kMinute);
  // Of a known series, of one that is new and of histograms; in several ranges.
  for (const int64_t hour : {0, 3, 5}) {
    CHECK(world.append("m", kStart + hour * kHour + 1, 1000.0 + static_cast<double>(hour)).stored ==
          1);
    CHECK(world.append("new", kStart + hour * kHour + 7, static_cast<double>(hour)).stored == 1);
    CHECK(append_histogram(world, "h", kStart + hour * kHour, static_cast<double>(hour)).stored ==
          1);
  }
  const auto before = world.read();
  CHECK(before.at("m").size() == 9 * 60 + 10 + 3);
  CHECK(before.at("new").size() == 3);
  CHECK(histogram_counts(world, "h") == std::vector<double>{0, 3, 5});
  const TimeRange narrow{kStart + 3 * kHour, kStart + 3 * kHour + 2};
  CHECK(world.read({}, narrow).at("m").size() == 2);
  CHECK_FALSE(world.read({}, narrow).contains("new"));
  storage::LabelsRequest request;
  request.range = {kStart + 5 * kHour, kStart + 5 * kHour + 10};
  CHECK(*world.engine().label_values("__name__", request) ==
        std::vector<std::string>{"h", "m", "new"});
  request.matchers = {{Matcher::equal("__name__", "new")}};
  CHECK(*world.engine().label_values("__name__", request) == std::vector<std::string>{"new"});
  CHECK(world.engine().label_names(request)->size() == 1);

  SUBCASE("from the log") {
    world.open();
    CHECK(world.read() == before);
    CHECK(histogram_counts(world, "h") == std::vector<double>{0, 3, 5});
    // Judged as before.
    CHECK(world.append("new", kStart + 3 * kHour + 7, 3).duplicates == 1);
    CHECK(refused(world.append("new", kStart + 3 * kHour + 7, 4), RefusalReason::Conflict) == 1);
    CHECK(append_histogram(world, "h", kStart, 0).duplicates == 1);
    CHECK(refused(append_histogram(world, "h", kStart, 9), RefusalReason::Conflict) == 1);
    CHECK(world.engine().progress().dropped_samples == 0);
  }
  const auto report = world.engine().flush_all();
  REQUIRE(report.has_value());
  CHECK(report->blocks_written == 4);  // three ranges of patches, and what was open
  CHECK(world.read() == before);
  CHECK(histogram_counts(world, "h") == std::vector<double>{0, 3, 5});
  CHECK(world.engine().stats("default").series == 0);
  CHECK(world.engine().flush_all()->blocks_written == 0);
  const Manifest manifest = manifest_of(world);
  CHECK(manifest.closed.at("default").log_before == world.log_->high());
  CHECK(manifest.closed.at("default").before_ms == kStart + 9 * kHour + 9 * kMinute + 1);
  for (const BlockMeta& meta : manifest.blocks) {
    CHECK(meta.level == 1);
    CHECK(meta.order == meta.number);
    CHECK(meta.min_time_ms >= meta.start_ms);
    CHECK(meta.max_time_ms < meta.end_ms);
  }
  for (int life = 0; life < 2; ++life) {
    world.open();
    CHECK(world.read() == before);
    CHECK(histogram_counts(world, "h") == std::vector<double>{0, 3, 5});
  }
}

TEST_CASE("patches are flushed with the next range, and after a range's time without one") {
  FOR_BOTH_LOGS
  World world(kind);
  world.options_.out_of_order_window_ms = 72 * kHour;
  run_until(world, kStart + 5 * kHour + 10 * kMinute);
  REQUIRE(world.engine().stats("default").blocks == 2);
  CHECK(world.append("late", kStart + 1, 1).stored == 1);
  CHECK(world.maintain().blocks_written == 0);
  SUBCASE("with a range") {
    run_until(world, kStart + 7 * kHour + 10 * kMinute);
    CHECK(world.engine().stats("default").blocks == 4);
  }
  SUBCASE("after a time") {
    // Nothing new but late data: the newest sample does not move.
    for (int i = 0; i < 13; ++i) {
      world.append("late", kStart + 2 + i, i);
      world.clock_.advance_ms(10 * kMinute);
      world.maintain();
    }
    CHECK(world.engine().stats("default").blocks == 3);
  }
  CHECK(world.read().contains("late"));
  CHECK(world.engine().stats("default").series <= 2);
}

TEST_CASE("the first value stays: a late one for a time that a block has is not shown") {
  FOR_BOTH_LOGS
  World world(kind);
  run_until(world, kStart + 3 * kHour + 10 * kMinute);
  REQUIRE(world.engine().stats("default").blocks == 1);
  world.options_.out_of_order_window_ms = 72 * kHour;
  world.open();
  const auto before = world.read();
  // The head has forgotten the first value.
  CHECK(world.append("m", kStart + 10 * kMinute, -1).stored == 1);
  for (int life = 0; life < 3; ++life) {
    CHECK(world.read() == before);
    if (life == 0) world.open();
    if (life == 1) CHECK(world.engine().flush_all()->blocks_written == 2);
  }
}

TEST_CASE(
    "late samples older than the window are refused, newer ones are not, also after a flush") {
  FOR_BOTH_LOGS
  World world(kind);
  world.options_.out_of_order_window_ms = 6 * kHour;
  run_until(world, kStart + 9 * kHour);
  const int64_t newest = kStart + 9 * kHour - kMinute;
  CHECK(world.append("m", newest - 6 * kHour + 1, 5).stored == 1);
  const auto summary = world.append("m", newest - 6 * kHour - 1, 5);
  CHECK(refused(summary, RefusalReason::TooOld) == 1);
  REQUIRE(world.engine().flush_all().has_value());
  CHECK(world.append("m", newest - 6 * kHour + 2, 5).stored == 1);
  CHECK(refused(world.append("m", newest - 6 * kHour - 1, 5), RefusalReason::TooOld) == 1);
}

TEST_CASE("without a window only samples that are in order are taken, behind a flush too") {
  World world(LogKind::Embedded);
  world.options_.out_of_order_window_ms = 0;
  world.clock_.advance_ms(40 * kMinute);
  world.append("m", kStart + 40 * kMinute, 1);
  world.append("n", kStart + 10 * kMinute, 1);
  CHECK(refused(world.append("m", kStart + 39 * kMinute, 1), RefusalReason::OutOfOrder) == 1);
  REQUIRE(world.engine().flush_all().has_value());
  CHECK(world.append("n", kStart + 20 * kMinute, 2).stored == 1);
  CHECK(world.append("n", kStart + 30 * kMinute, 3).stored == 1);
  CHECK(refused(world.append("n", kStart + 25 * kMinute, 1), RefusalReason::OutOfOrder) == 1);
  CHECK(world.append("n", kStart + 30 * kMinute, 3).duplicates == 1);
  CHECK(world.append("m", kStart + 41 * kMinute, 3).stored == 1);
  for (int life = 0; life < 2; ++life) {
    CHECK(world.read().at("n").size() == 3);
    CHECK(world.read().at("m").size() == 2);
    world.open();
  }
}

TEST_CASE("flushing everything does not make the present late, nor does it close the future") {
  FOR_BOTH_LOGS
  World world(kind);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 100 * kHour);
  world.append("m", kStart + 100 * kHour, 2);
  world.clock_.jump_to_ms(kStart + kMinute);
  for (int i = 0; i < 5; ++i) {
    world.append("n", world.clock_.now_ms(), i);
    REQUIRE(world.engine().flush_all().has_value());
    CHECK(manifest_of(world).closed.at("default").before_ms <=
          world.clock_.now_ms() + world.options_.ahead_max_ms + 1);
    world.clock_.advance_ms(11 * kMinute);
    if (i == 2) world.open();
    CHECK(world.read().at("m").size() == 2);
    CHECK(world.read().at("n").size() == static_cast<size_t>(i + 1));
  }
  // Not the future's time: retention would begin from there.
  for (const BlockMeta& meta : manifest_of(world).blocks) {
    CHECK(meta.max_time_ms < kStart + 2 * kHour);
  }
}

TEST_CASE("parts of a range are flushed one after the other, and the log is cut behind them") {
  FOR_BOTH_LOGS
  World world(kind);
  for (int part = 0; part < 8; ++part) {
    for (int i = 0; i < 10; ++i) {
      world.append("m", world.clock_.now_ms(), part * 10 + i);
      world.clock_.advance_ms(kMinute);
    }
    REQUIRE(world.engine().flush_all().has_value());
    CHECK(world.engine().stats("default").blocks == static_cast<uint64_t>(part + 1));
    CHECK(world.read().at("m").size() == static_cast<size_t>(part + 1) * 10);
    if (kind == LogKind::SelfContained) CHECK(world.log_->low() == world.log_->high());
    if (part % 3 == 1) world.open();
    CHECK(world.read().at("m").size() == static_cast<size_t>(part + 1) * 10);
  }
}

TEST_CASE("samples that come between a flush of everything and the end of the range stay") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(30 * kMinute);
  for (int i = 0; i < 30; ++i) world.append("m", kStart + i * kMinute, i);
  REQUIRE(world.engine().flush_all().has_value());
  world.append("m", kStart + 35 * kMinute, 35);    // of the open part
  world.append("m", kStart + 5 * kMinute + 1, 5);  // of the closed one
  for (int life = 0; life < 3; ++life) {
    CHECK(world.read().at("m").size() == 32);
    world.open();
  }
  world.clock_.advance_ms(150 * kMinute);
  world.append("m", kStart + 3 * kHour, 1);
  CHECK(world.maintain().blocks_written == 1);  // patch and rest of the range are one block
  CHECK(world.read().at("m").size() == 33);
  CHECK(world.engine().stats("default").blocks == 2);
  world.open();
  CHECK(world.read().at("m").size() == 33);
}

TEST_CASE("a reader from before the flush of late samples finds them to its end") {
  World world(LogKind::Embedded);
  world.options_.out_of_order_window_ms = 72 * kHour;
  run_until(world, kStart + 5 * kHour);
  constexpr size_t kSeries = 600;  // of more than one batch
  WriteBatch late;
  for (size_t s = 0; s < kSeries; ++s) {
    late.add(World::labels(fmt::format("late{{s={}}}", s)), kStart + 100, static_cast<double>(s));
  }
  CHECK(world.append(late).stored == kSeries);
  storage::SelectRequest request;
  request.range = kAllTime;
  request.matchers = {Matcher::equal("__name__", "late")};
  auto set = *world.engine().select(request);
  storage::SeriesBatch batch;
  REQUIRE(*set->next(batch));
  size_t samples = batch.values.size();
  REQUIRE(samples < kSeries);
  REQUIRE(world.engine().flush_all().has_value());
  world.maintain();
  CHECK(world.engine().stats("default").series >= kSeries);
  // A younger one sees both copies, as one.
  CHECK(world.read().size() == kSeries + 1);
  while (*set->next(batch)) samples += batch.values.size();
  CHECK(samples == kSeries);
  set.reset();
  world.maintain();
  CHECK(world.engine().stats("default").series == 0);
  CHECK(world.read().size() == kSeries + 1);
}

TEST_CASE("late samples in memory are bounded: early flushes first, then refusals that say why") {
  World world(LogKind::SelfContained);
  world.options_.out_of_order_window_ms = 72 * kHour;
  world.options_.late_samples_max = 1000;
  run_until(world, kStart + 5 * kHour);
  int64_t next = kStart;
  const auto send = [&](int count) {
    WriteBatch batch;
    batch.begin_series(batch.keep(World::labels("late").bytes()));
    for (int i = 0; i < count; ++i) batch.add_sample(next++, i);
    return world.append(batch);
  };
  CHECK(send(200).stored == 200);
  CHECK(world.maintain().blocks_written == 0);
  CHECK(send(100).stored == 100);
  CHECK(world.maintain().blocks_written == 1);
  const auto summary = send(1100);
  CHECK(summary.stored == 1000);
  CHECK(refused(summary, RefusalReason::LimitExceeded) == 100);
  CHECK(summary.examples.at(0).find("too many late samples") != std::string::npos);
  CHECK(world.append("m", world.clock_.now_ms(), 1).stored == 1);  // in order
  CHECK(world.maintain().blocks_written == 2);
  CHECK(send(1000).stored == 1000);
  world.maintain();
  const size_t all = world.read().at("late").size();
  CHECK(all == 200 + 100 + 1000 + 1000);
  world.open();
  CHECK(world.read().at("late").size() == all);
}

TEST_CASE("late samples of the open range leave memory by an early flush of its older part") {
  World world(LogKind::SelfContained);
  world.options_.late_samples_max = 1000;
  world.clock_.advance_ms(110 * kMinute);
  world.append("m", kStart + 110 * kMinute, 1);
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("m").bytes()));
  for (int i = 0; i < 600; ++i) batch.add_sample(kStart + 55 * kMinute + i, i);
  CHECK(world.append(batch).stored == 600);
  CHECK(world.maintain().blocks_written == 0);  // all of them may still get company
  world.clock_.advance_ms(20 * kMinute);
  world.append("m", kStart + 130 * kMinute, 1);
  CHECK(world.maintain().blocks_written == 1);
  CHECK(world.maintain().blocks_written == 0);
  CHECK(world.read().at("m").size() == 602);
  world.open();
  CHECK(world.read().at("m").size() == 602);
}

TEST_CASE("the log's records count for what they are when the log was removed or cut short") {
  World world(LogKind::Embedded);
  world.options_.out_of_order_window_ms = 72 * kHour;
  run_until(world, kStart + 5 * kHour);
  REQUIRE(world.engine().flush_all().has_value());
  const auto before = world.read();
  const storage::LogPosition flushed_to = manifest_of(world).closed.at("default").log_before;
  CHECK(flushed_to > 0);
  world.engine_.reset();
  world.log_.reset();
  REQUIRE(world.files_.remove_all("data/wal").has_value());
  world.open();
  CHECK(world.log_->high() < flushed_to);
  // Stored before anything is written.
  CHECK(manifest_of(world).closed.at("default").log_before == world.log_->high());
  CHECK(world.append("m", kStart + 1, 7).stored == 1);
  CHECK(world.append("m", kStart + 5 * kHour, 8).stored == 1);
  for (int life = 0; life < 3; ++life) {
    CHECK(world.read().at("m").size() == before.at("m").size() + 2);
    life == 0 ? world.open() : static_cast<void>(world.engine().flush_all());
  }
}

TEST_CASE("while the positions cannot be stored nothing is written, and it heals by itself") {
  World world(LogKind::Embedded);
  run_until(world, kStart + 5 * kHour);
  REQUIRE(world.engine().flush_all().has_value());
  const auto before = world.read();
  world.engine_.reset();
  world.log_.reset();
  REQUIRE(world.files_.remove_all("data/wal").has_value());
  auto log = EmbeddedLog::open({.dir = "data/wal", .segment_bytes = 64 << 10U}, world.files_,
                               world.clock_, world.rng_);
  REQUIRE(log.has_value());
  world.log_ = std::move(*log);
  // The lock, then the cleaning up, then the manifest's temporary file.
  for (uint64_t at = 0; at < 8; ++at) {
    CAPTURE(at);
    world.engine_.reset();
    Manifest manifest = manifest_of(world);
    manifest.closed["default"].log_before = 1'000'000;
    REQUIRE(manifest.store(world.files_, "data").has_value());
    world.files_.fail_at(world.files_.fault_points() + at, core::testing::SimFault::NoSpace);
    auto engine =
        Engine::open(world.options_, {world.files_, world.clock_, world.rng_, *world.log_});
    if (!engine) continue;
    world.engine_ = std::move(*engine);
    CHECK(world.read() == before);
    WriteBatch batch;
    batch.add(World::labels("m"), world.clock_.now_ms(), 1);
    const auto refusal = world.engine().append(batch);
    if (manifest_of(world).closed.at("default").log_before == 1'000'000) {
      REQUIRE_FALSE(refusal.has_value());
      CHECK(refusal.error().code == core::ErrorCode::Unavailable);
      world.files_.clear_fault();
      if (world.engine().maintain()) {
        CHECK(manifest_of(world).closed.at("default").log_before == world.log_->high());
      }
      continue;
    }
    world.files_.clear_fault();
    break;
  }
}

TEST_CASE("a manifest of version 1 closes the whole log") {
  World world(LogKind::Embedded);
  world.options_.out_of_order_window_ms = 72 * kHour;
  run_until(world, kStart + 5 * kHour);
  const auto before = world.read();
  world.engine_.reset();
  Manifest manifest = manifest_of(world);
  REQUIRE(manifest.closed.at("default").before_ms == kStart + 2 * kHour);
  manifest.closed.at("default").log_before = Closed::kWholeLog;
  REQUIRE(manifest.store(world.files_, "data").has_value());
  world.open();
  CHECK(world.read() == before);
  CHECK(manifest_of(world).closed.at("default").log_before == world.log_->high());
  CHECK(world.append("m", kStart + 1, 7).stored == 1);
  world.open();
  CHECK(world.read().at("m").size() == before.at("m").size() + 1);
}

TEST_CASE("a flush that fails keeps everything, and what came late meanwhile") {
  for (uint64_t at = 0; at < 40; ++at) {
    CAPTURE(at);
    for (const auto fault : {core::testing::SimFault::Io, core::testing::SimFault::NoSpace}) {
      World world(LogKind::SelfContained);
      world.options_.out_of_order_window_ms = 72 * kHour;
      for (int i = 0; i < 181; ++i) {
        world.append("m", world.clock_.now_ms(), i);
        world.clock_.advance_ms(kMinute);
      }
      world.files_.fail_at(world.files_.fault_points() + at, fault);
      const bool failed = !world.engine().maintain().has_value();
      world.files_.clear_fault();
      CHECK(world.append("m", kStart + 30 * kMinute + 1, 1).stored == 1);
      CHECK(world.append("fresh", kStart + 30 * kMinute, 1).stored == 1);
      CHECK(world.append("m", kStart + 30 * kMinute, 30).duplicates +
                world.append("m", kStart + 30 * kMinute, 30).stored <=
            2);
      const auto before = world.read();
      CHECK(before.at("m").size() == 182);
      CHECK(before.at("fresh").size() == 1);
      if (at % 2 == 0) {
        world.engine_.reset();
        world.files_.crash();
        world.open();
        CHECK(world.read() == before);
      }
      if (failed) world.maintain();
      CHECK(world.read() == before);
      REQUIRE(world.engine().flush_all().has_value());
      CHECK(world.read() == before);
      world.engine_.reset();
      world.files_.crash();
      world.open();
      CHECK(world.read() == before);
    }
  }
}

TEST_CASE("the files of a flush are there after a crash, and no others") {
  World world(LogKind::Embedded);
  world.options_.out_of_order_window_ms = 72 * kHour;
  run_until(world, kStart + 7 * kHour);
  world.append("m", kStart + 1, 1);
  REQUIRE(world.engine().flush_all().has_value());
  const auto check_files = [&] {
    const Manifest manifest = manifest_of(world);
    CHECK(world.files_.list("data/blocks")->size() == manifest.blocks.size());
    size_t snapshots = 0;
    const auto names = *world.files_.list("data");
    for (const auto& name : names) snapshots += name.starts_with("series_");
    CHECK(snapshots <= 2);  // and the one before
  };
  check_files();
  world.crash();
  world.open();
  check_files();
}

}  // namespace tsdb
