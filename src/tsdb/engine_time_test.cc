// Ranges, flushes, retention and clocks that jump.

#include "tsdb/manifest.h"
#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

TEST_CASE("an empty server takes data from the beginning of time") {
  World world(LogKind::Embedded);
  CHECK(world.append("m", 0, 1).stored == 1);
  CHECK(world.append("m", 5 * kMinute, 2).stored == 1);
  CHECK(world.append("n", 0, 3).stored == 1);
  world.maintain();
  CHECK(world.read().at("m").size() == 2);
  CHECK(world.append("m", 6 * kMinute, 2).stored == 1);
}

TEST_CASE("a first sample from the depths of time does not make the present too old") {
  World world(LogKind::Embedded);
  for (const int64_t time : {std::numeric_limits<int64_t>::min() + 1, -(int64_t{1} << 60) - 1}) {
    const auto summary = world.append("m", time, 1);
    CHECK(summary.refused[static_cast<size_t>(RefusalReason::TooOld)] == 1);
  }
  CHECK(world.append("m", -(int64_t{1} << 60), 1).stored == 1);
  CHECK(world.append("m", kStart, 2).stored == 1);
  world.maintain();
  CHECK(world.append("m", kStart + 1, 3).stored == 1);
}

TEST_CASE("samples from before 1970 survive a restart between the flushes of their ranges") {
  World world(LogKind::Embedded);
  world.options_.retention_ms = 0;
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("m").bytes()));
  // More ranges than one step flushes.
  for (int i = 40; i > 0; --i) batch.add_sample(-i * 2 * kHour, i);
  CHECK(world.append(batch).stored == 40);
  CHECK(world.append("m", kStart, 1).stored == 1);
  CHECK(world.maintain().blocks_written < 40);
  CHECK(world.read().at("m").size() == 41);
  world.open();
  CHECK(world.read().at("m").size() == 41);
}

TEST_CASE("a wall clock that once ran ahead does not make everything too old") {
  World world(LogKind::Embedded);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 1000 * kHour);
  world.append("m", kStart + 1000 * kHour, 2);
  world.clock_.jump_to_ms(kStart + kMinute);
  CHECK(world.append("n", kStart + kMinute, 3).stored == 1);
  CHECK(world.append("m", kStart + kMinute, 3).stored == 1);  // late, for its series
}

TEST_CASE("a flush never makes late data of the present") {
  World world(LogKind::Embedded);
  world.options_.late_samples_max = 0;  // late samples would be refused
  int64_t now = kStart;
  const auto flush_and_go_on = [&] {
    REQUIRE(world.engine().flush_all().has_value());
    world.maintain();
    for (int i = 0; i < 8; ++i) {
      now += kMinute;
      world.clock_.jump_to_ms(now);
      CHECK(world.append("slow", now, i).stored == 1);
    }
  };
  world.append("slow", now, 1);
  SUBCASE("though a sender is ahead") {
    world.append("fast", now + 9 * kMinute, 1);
    flush_and_go_on();
    const auto blocks = world.engine().blocks("default");
    REQUIRE(blocks.size() == 1);
    CHECK(blocks[0].max_time_ms == kStart);
  }
  SUBCASE("though a sender is ahead of short ranges") {
    world.options_.block_range_ms = kMinute;
    world.open();
    world.append("fast", now + 9 * kMinute, 1);
    flush_and_go_on();
  }
  SUBCASE("though the clock was wrong for a moment") {
    world.clock_.jump_to_ms(now + 30 * kHour);
    world.append("fast", now + 30 * kHour, 1);
    flush_and_go_on();
  }
  world.open();
  CHECK(world.read().at("slow").size() == 9);
  CHECK(world.read().at("fast").size() == 1);
}

TEST_CASE("ranges that are complete become blocks, the log is cut, reads see no seam") {
  FOR_BOTH_LOGS
  World world(kind);
  const auto value = [](int i) { return i * 0.25; };
  int written = 0;
  const auto write_until = [&](int64_t end_ms) {
    for (; kStart + written * kMinute < end_ms; ++written) {
      WriteBatch batch;
      batch.add(World::labels("m{host=a}"), kStart + written * kMinute, value(written));
      if (written < 30) batch.add(World::labels("short"), kStart + written * kMinute, 1);
      world.append(batch);
      world.clock_.advance_ms(kMinute);
    }
  };
  write_until(kStart + 3 * kHour);
  CHECK(world.maintain().blocks_written == 0);
  write_until(kStart + 3 * kHour + 2 * kMinute);
  const auto before = world.read();
  const auto report = world.maintain();
  CHECK(report.blocks_written == 1);
  CHECK(report.series_dropped == 1);
  CHECK(world.engine().stats("default").series == 1);
  CHECK(world.engine().stats("default").blocks == 1);
  CHECK(world.read() == before);
  CHECK(world.maintain().blocks_written == 0);
  // The closed range takes nothing any more.
  CHECK(world.append("m{host=a}", kStart + 2 * kHour - 1, 9).refused_total() == 1);

  for (int life = 0; life < 3; ++life) {
    write_until(kStart + (7 + 4 * life) * kHour);
    const auto expected = world.read();
    CHECK(expected.at("m{host=\"a\"}").size() == static_cast<size_t>(written));
    CHECK(expected.at("short").size() == 30);
    world.maintain();
    CHECK(world.read() == expected);
    world.open();
    CHECK(world.read() == expected);
    const TimeRange seam{kStart + 2 * kHour - 3 * kMinute, kStart + 2 * kHour + 2 * kMinute};
    CHECK(world.read({}, seam).at("m{host=\"a\"}").size() == 5);
  }
  CHECK(world.log_->low() > 0);
}

TEST_CASE("a reader that began before a flush reads on undisturbed") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 200; ++i) {
    WriteBatch batch;
    for (int s = 0; s < 300; ++s) {
      batch.add(World::labels(fmt::format("m{{s={}}}", s)), kStart + i * kMinute, i);
    }
    world.append(batch);
    world.clock_.advance_ms(kMinute);
  }
  storage::SelectRequest request;
  request.range = kAllTime;
  auto set = world.engine().select(request);
  REQUIRE(set.has_value());
  storage::SeriesBatch batch;
  size_t series = 0;
  size_t samples = 0;
  const auto step = [&] {
    const bool more = *(*set)->next(batch);
    series += batch.size();
    samples += batch.values.size();
    return more;
  };
  REQUIRE(step());
  const auto report = world.maintain();
  CHECK(report.blocks_written == 1);
  while (step()) {
  }
  CHECK(series == 300);
  CHECK(samples == 300 * 200);
  set->reset();
  world.maintain();  // frees what the reader held
  CHECK(world.read().size() == 300);
}

TEST_CASE("blocks past retention are deleted, counted from the newest sample in a block") {
  World world(LogKind::Embedded);
  world.options_.retention_ms = 10 * kHour;
  for (int hour = 0; hour < 30; ++hour) {
    world.append("m", kStart + hour * kHour, hour);
    world.clock_.advance_ms(kHour);
    world.maintain();
  }
  CHECK(world.read().at("m").front().first == kStart + 16 * kHour);
  CHECK(world.files_.list("data/blocks")->size() == world.engine().stats("default").blocks);
  world.clock_.advance_ms(1000 * kHour);  // the rest is sealed
  world.maintain();
  const auto samples = world.read().at("m");
  CHECK(samples.front().first == kStart + 18 * kHour);
  world.clock_.advance_ms(1000 * kHour);  // nothing new: nothing goes
  world.maintain();
  CHECK(world.read().at("m") == samples);
}

TEST_CASE("a wall clock that runs ahead for a minute does not delete what is there") {
  World world(LogKind::SelfContained);
  world.options_.retention_ms = 100 * kHour;
  for (int minute = 0; minute < 8 * 60; ++minute) {
    world.append("m", kStart + minute * kMinute, minute);
    world.clock_.advance_ms(kMinute);
    if (minute % 60 == 0) world.maintain();
  }
  auto samples = world.read().at("m");
  REQUIRE(samples.size() == 8 * 60);
  const int64_t present = world.clock_.now_ms();
  world.clock_.jump_to_ms(present + 1000 * kHour);
  world.append("m", present + 1000 * kHour, 1);
  world.maintain();
  world.clock_.jump_to_ms(present + kMinute);
  world.maintain();
  samples.emplace_back(present + 1000 * kHour, 1);
  CHECK(world.read().at("m") == samples);
  world.open();
  CHECK(world.read().at("m") == samples);
}

TEST_CASE("a wall clock that runs ahead for some minutes does not close the present") {
  for (const int64_t jump : {3 * kHour, 24 * kHour, 1000 * kHour}) {
    CAPTURE(jump);
    World world(LogKind::SelfContained);
    for (int minute = 0; minute < 30; ++minute) {
      world.append("m", world.clock_.now_ms(), minute);
      world.clock_.advance_ms(kMinute);
      world.maintain();
    }
    world.clock_.jump_to_ms(world.clock_.now_ms() + jump);
    for (int minute = 0; minute < 10; ++minute) {
      world.append("m", world.clock_.now_ms(), minute);
      CHECK(world.maintain().blocks_written == 0);
      world.clock_.advance_ms(kMinute);
    }
    world.clock_.jump_to_ms(world.clock_.now_ms() - jump);
    for (int minute = 0; minute < 30; ++minute) {
      CHECK(world.append("m", world.clock_.now_ms(), minute).stored == 1);
      world.clock_.advance_ms(kMinute);
      CHECK(world.maintain().blocks_written == 0);
    }
  }
}

TEST_CASE("samples of the future do not hold the log, and survive restarts and their time") {
  FOR_BOTH_LOGS
  World world(kind);
  const auto hour = [&] {
    WriteBatch batch;
    // More than a segment of the embedded log every two hours.
    for (int s = 0; s < 400; ++s) {
      batch.add(World::labels(fmt::format("m{{s={}}}", s)), world.clock_.now_ms(), 0.1 * s);
    }
    batch.add(World::labels("n"), world.clock_.now_ms(), 1);
    world.append(batch);
    world.clock_.advance_ms(kHour);
    world.maintain();
  };
  for (int i = 0; i < 8; ++i) hour();
  const int64_t present = world.clock_.now_ms();
  world.clock_.jump_to_ms(present + 60 * kHour);
  WriteBatch future;
  for (int s = 0; s < 300; ++s) {  // of more than one slice; some series are met here first
    future.begin_series(future.keep(World::labels(fmt::format("m{{s={}}}", s + 300)).bytes()));
    for (int i = 0; i < 50; ++i) future.add_sample(present + 60 * kHour + i * 1000, i);
    model::Histogram histogram;
    histogram.count = s;
    future.add_histogram(present + 60 * kHour + 60'000, histogram);
  }
  CHECK(world.append(future).stored == 300 * 51);
  const storage::LogPosition glitch = world.log_->high() - 1;
  world.clock_.jump_to_ms(present);
  const auto read_histograms = [&] {
    storage::SelectRequest request;
    request.range = kAllTime;
    auto set = *world.engine().select(request);
    storage::SeriesBatch batch;
    size_t count = 0;
    while (*set->next(batch)) count += batch.histograms.size();
    return count;
  };
  for (int i = 0; i < 40; ++i) {
    hour();
    if (i % 13 != 12) continue;
    const auto before = world.read();
    CHECK(before.at("m{s=\"599\"}").size() == 50);
    world.open();
    CHECK(world.read() == before);
    CHECK(read_histograms() == 300);
    CHECK(world.engine().progress().dropped_samples == 0);
  }
  CHECK(world.log_->low() > glitch + 20);
  CHECK(world.log_->high() - world.log_->low() < 20);
  // Its time comes: the range becomes a block like any other.
  for (int i = 0; i < 30; ++i) hour();
  CHECK(world.read().at("m{s=\"599\"}").size() == 50);
  CHECK(world.read().at("m{s=\"350\"}").size() == 78 + 50 - 1);
  CHECK(read_histograms() == 300);
  CHECK(world.log_->high() - world.log_->low() < 20);
}

TEST_CASE("a log that fails while samples of the future are written again loses nothing") {
  World world(LogKind::SelfContained);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 1000 * kHour);
  world.append("m", kStart + 1000 * kHour, 2);
  world.clock_.jump_to_ms(kStart + kMinute);
  auto& log = static_cast<testing::MemoryLog&>(*world.log_);
  for (int hour = 0; hour < 16; ++hour) {
    world.append("m", world.clock_.now_ms(), hour);
    world.clock_.advance_ms(kHour);
    if (hour < 12) log.fail_waits(hour < 6), log.fail_appends(hour >= 6);
    world.maintain();
    log.fail_waits(false);
    log.fail_appends(false);
    const auto before = world.read();
    CHECK(before.at("m").back() == std::pair(kStart + 1000 * kHour, 2.0));
    CHECK((world.log_->low() <= 1) == (hour < 12));
    world.open();
    CHECK(world.read() == before);
  }
}

TEST_CASE("a wall clock that jumped ahead and stays there is believed after an hour") {
  World world(LogKind::SelfContained);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 24 * kHour);
  for (int minute = 0; minute <= 60; ++minute) {
    world.append("m", world.clock_.now_ms(), minute);
    CHECK(world.maintain().blocks_written == (minute < 60 ? 0 : 1));
    world.clock_.advance_ms(kMinute);
  }
}

TEST_CASE("a tenant that stopped while the wall clock ran ahead is taken when it returns") {
  World world(LogKind::SelfContained);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 1000 * kHour);
  world.append("m", kStart + 1000 * kHour, 2);
  world.clock_.jump_to_ms(kStart);
  for (int hour = 0; hour < 8; ++hour) {
    world.clock_.advance_ms(kHour);
    world.maintain();
  }
  CHECK(world.engine().stats("default").blocks == 1);
  CHECK(world.append("m", world.clock_.now_ms(), 3).stored == 1);
  CHECK(world.read().at("m").size() == 3);
}

TEST_CASE("data of the past is flushed as it comes, whatever the clock says") {
  for (const int64_t first : {int64_t{0}, kStart - 26 * kHour}) {
    World world(LogKind::SelfContained);
    world.options_.retention_ms = 0;
    for (int hour = 0; hour <= 26; ++hour) world.append("m", first + hour * kHour, hour);
    CHECK(world.maintain().blocks_written == 12);
    CHECK(world.read().at("m").size() == 27);
  }
}

TEST_CASE("a tenant that stops sending leaves memory and the log") {
  World world(LogKind::SelfContained);
  WriteBatch batch;
  batch.tenant = "gone";
  batch.add(World::labels("m"), kStart, 1);
  world.append(batch);
  for (int i = 0; i < 30; ++i) {
    world.append("m", kStart + i * 10 * kMinute, i);
    world.clock_.advance_ms(10 * kMinute);
    world.maintain();
  }
  CHECK(world.engine().stats("gone").series == 0);
  CHECK(world.engine().stats("gone").blocks == 1);
  CHECK(world.engine().stats("default").series == 1);
  CHECK(world.log_->low() > 1);
}

TEST_CASE("a flush that falls into the append of a returning tenant closes nothing") {
  // Runs the background step wherever the engine looks at the clock.
  class BusyClock final : public core::Clock {
   public:
    int64_t now_ms() const override { return time_ms; }
    int64_t monotonic_ns() const override {
      if (Engine* const busy = std::exchange(engine, nullptr)) {
        CHECK(busy->maintain().has_value());
        engine = busy;
      }
      return time_ms * 1'000'000;
    }
    int64_t time_ms = kStart + kHour;
    mutable Engine* engine = nullptr;
  };
  BusyClock clock;
  core::SeededRng rng(1);
  core::testing::SimFileSystem files({.seed = 1});
  testing::MemoryLog log;
  EngineOptions options;
  options.data_dir = "data";
  auto engine = *Engine::open(options, {files, clock, rng, log});
  clock.engine = engine.get();
  WriteBatch batch;
  for (const int64_t pause_ms : {int64_t{0}, 270 * kMinute}) {
    clock.time_ms += pause_ms;
    for (const int64_t age_ms : {kMinute, int64_t{0}}) {
      batch.clear();
      batch.add(World::labels("m"), clock.time_ms - age_ms, 1);
      const auto summary = engine->append(batch);
      REQUIRE(summary.has_value());
      CHECK(summary->stored == 1);
    }
  }
  CHECK(engine->stats("default").blocks == 1);
}

TEST_CASE("an hour that arrives backwards is stored once, floats and histograms") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(kHour);
  constexpr int kSeconds = 3000;
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("m").bytes()));
  for (int i = kSeconds; i > 0; --i) batch.add_sample(kStart + i * 1000, i);
  batch.begin_series(batch.keep(World::labels("h").bytes()));
  model::Histogram histogram;
  for (int i = kSeconds; i > 0; --i) {
    histogram.count = i;
    batch.add_histogram(kStart + i * 1000, histogram);
  }
  batch.add_histogram(kStart + 1000, histogram);  // the last one again
  histogram.count = 0.5;
  batch.add_histogram(kStart + 2000, histogram);
  batch.add_histogram(kStart + 50 * kMinute + 1, histogram);  // newest: all others are late
  for (int step = 0; step < 3; ++step) {
    WriteBatch part;  // first what makes the rest late
    part.begin_series(part.keep(World::labels("h").bytes()));
    part.add_histogram(kStart + 50 * kMinute + 1, histogram);
    part.begin_series(part.keep(World::labels("m").bytes()));
    part.add_sample(kStart + 50 * kMinute + 1, 7);
    CHECK(world.append(part).stored == (step == 0 ? 2 : 0));
    const storage::AppendSummary summary = world.append(batch);
    CHECK(summary.stored == (step == 0 ? 2 * kSeconds : 0));
    CHECK(summary.duplicates == (step == 0 ? 2 : 2 * kSeconds + 2));
    CHECK(summary.refused[static_cast<size_t>(RefusalReason::Conflict)] == 1);
    CHECK(world.read().at("m").size() == kSeconds + 1);
    storage::SelectRequest request;
    request.range = kAllTime;
    request.sorted = true;
    auto set = *world.engine().select(request);
    storage::SeriesBatch result;
    REQUIRE(*set->next(result));
    REQUIRE(result.histograms.size() == kSeconds + 1);
    for (size_t i = 0; i < kSeconds; ++i) {
      REQUIRE(result.histograms[i].histogram.count == static_cast<double>(i + 1));
    }
    set.reset();
    world.open();
  }
}

TEST_CASE("a note finds its series again, and another one when that has gone") {
  FOR_BOTH_LOGS
  World world(kind);
  const auto short_lived = World::labels("short");
  const auto steady = World::labels("steady");
  const auto also = World::labels("steady{also=x}");
  storage::SeriesNote short_note;
  storage::SeriesNote steady_note;
  storage::SeriesNote wrong{.ref = 4'000'000, .id_low = 1};
  const auto write = [&](int64_t minute, bool has_short) {
    WriteBatch batch;
    const auto add = [&](const model::Labels& labels, storage::SeriesNote* note) {
      batch.begin_series(labels.bytes(), note);
      batch.add_sample(kStart + minute * kMinute, static_cast<double>(minute));
    };
    if (has_short) add(short_lived, &short_note);
    add(steady, &steady_note);
    add(also, &wrong);
    // The same place twice in one batch.
    batch.begin_series(steady.bytes(), &steady_note);
    batch.add_sample(kStart + minute * kMinute + 1, 1);
    world.append(batch);
    world.clock_.advance_ms(kMinute);
  };
  for (int64_t minute = 0; minute < 30; ++minute) write(minute, true);
  REQUIRE(short_note.id() != 0);
  CHECK(wrong.ref < 10);
  const uint64_t first_id = short_note.id();
  const uint64_t steady_id = steady_note.id();
  for (int64_t minute = 30; minute < 190; ++minute) write(minute, false);
  REQUIRE(world.maintain().series_dropped == 1);
  CHECK(short_note.id() == first_id);
  for (int64_t minute = 190; minute < 200; ++minute) write(minute, true);
  CHECK(short_note.id() != first_id);
  CHECK(steady_note.id() == steady_id);
  const auto all = world.read();
  CHECK(all.size() == 3);
  CHECK(all.at("short").size() == 40);
  CHECK(all.at("steady").size() == 400);
  CHECK(all.at("steady{also=\"x\"}").size() == 200);
}

TEST_CASE("another spelling of a series' labels gets no note") {
  FOR_BOTH_LOGS
  World world(kind);
  const std::string canonical = World::labels("m{a=1,b=2}").bytes();
  std::string spelled;
  model::append_label(spelled, "b", "2");
  model::append_label(spelled, "a", "1");
  model::append_label(spelled, "__name__", "m");
  REQUIRE(spelled != canonical);
  storage::SeriesNote note;
  storage::SeriesNote spelled_note;
  for (int i = 0; i < 4; ++i) {
    WriteBatch batch;
    batch.begin_series(spelled, &spelled_note);
    batch.add_sample(kStart + 2 * i, 1);
    batch.begin_series(canonical, &note);
    batch.add_sample(kStart + 2 * i + 1, 1);
    world.append(batch);
  }
  CHECK(note.id() != 0);
  CHECK(spelled_note.id() == 0);
  CHECK(world.read().size() == 1);
  CHECK(world.read().begin()->second.size() == 8);
}

}  // namespace tsdb
