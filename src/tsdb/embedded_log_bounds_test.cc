#include "tsdb/embedded_log_bounds.h"

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "storage/testing/log_suite.h"
#include "tsdb/embedded_log.h"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

namespace tsdb {
namespace {

using core::testing::SimFileSystem;
using storage::LogPosition;
using storage::testing::OwnedBatch;

constexpr const char* kBounds = "data/log.bounds";

struct Bench {
  Bench() {
    options.dir = "data/log";
    options.segment_bytes = 512;
  }

  void open() {
    log.reset();
    auto opened = EmbeddedLog::open(options, files, clock, rng);
    if (!opened) FAIL(opened.error().message);
    log = std::move(*opened);
  }

  void append(int count) {
    for (int i = 0; i < count; ++i) {
      OwnedBatch batch;
      batch.tenant = "default";
      batch.accepted_at_ms = static_cast<int64_t>(1000 + log->high());
      batch.metadata.push_back({.metric = "m", .type = {}, .unit = {}, .help = "h"});
      const auto position = log->append(batch.view());
      REQUIRE(position);
      REQUIRE(log->wait_durable(*position));
    }
  }

  // Without a closing mark.
  void lose_power() {
    files.fail_at(files.fault_points(), core::testing::SimFault::PowerLoss);
    log.reset();
    files.crash();
  }

  std::vector<std::string> segments() {
    std::vector<std::string> paths;
    const std::vector<std::string> names = *files.list("data/log");
    for (const std::string& name : names) {
      if (name.starts_with("0") && name.ends_with(".log")) paths.push_back("data/log/" + name);
    }
    return paths;
  }

  // Of a log opened anew and read.
  std::vector<storage::LogDamage> damage() {
    open();
    REQUIRE(storage::testing::replay_all(*log, log->low()));
    return log->damage();
  }

  core::testing::FakeClock clock;
  SimFileSystem files;
  core::SeededRng rng{1};
  EmbeddedLogOptions options;
  std::unique_ptr<EmbeddedLog> log;
};

LogPosition first_of(const std::string& path) {
  return std::stoull(path.substr(path.rfind('/') + 1));
}

}  // namespace

TEST_CASE("bounds of the log are read back, and anything else is refused") {
  const LogBounds bounds{.low = 7, .newest = 812, .end = 901, .is_closed = true};
  const std::string text = bounds.encode();
  CHECK(LogBounds{.low = 7104, .newest = 8790, .end = 8813, .is_closed = true}.encode() ==
        "petrel-log-bounds 1 7104 8790 8813 1\ncrc df793928\n");  // docs/formats/log.md
  REQUIRE(LogBounds::decode(text));
  CHECK(*LogBounds::decode(text) == bounds);
  for (size_t size = 0; size < text.size(); ++size) CHECK(!LogBounds::decode(text.substr(0, size)));
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    CHECK(!LogBounds::decode(flipped));
  }
  CHECK(!LogBounds::decode(text + "\n"));
}

TEST_CASE("starts, crashes and truncations without damage from outside are told nothing") {
  Bench bench;
  for (int life = 0; life < 12; ++life) {
    CAPTURE(life);
    CHECK(bench.damage().empty());
    bench.append(life % 4 == 3 ? 0 : 30);
    if (life % 3 == 1) REQUIRE(bench.log->truncate_before(bench.log->high() - 5));
    if (life % 2 == 0) bench.lose_power();
  }
}

TEST_CASE("a closed log that is cut anywhere tells the records that are missing") {
  Bench bench;
  bench.options.segment_bytes = 4096;
  bench.open();
  bench.append(10);
  bench.log.reset();
  const std::string path = bench.segments().back();
  const std::string bytes = *bench.files.read_file(path);
  const std::string bounds = *bench.files.read_file(kBounds);
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    Bench cut;
    cut.options = bench.options;
    REQUIRE(cut.files.create_dirs("data/log"));
    REQUIRE(cut.files.write_file_atomically(path, bytes.substr(0, size)));
    REQUIRE(cut.files.write_file_atomically(kBounds, bounds));
    uint64_t lost = 0;
    for (int life = 0; life < 2; ++life) {
      lost = 0;
      for (const storage::LogDamage& one : cut.damage()) lost += one.lost();
      CHECK(storage::testing::replay_all(*cut.log)->size() == 10 - lost);
    }
    CHECK(cut.log->high() == 10);
    CHECK((lost > 0) == (size < bytes.size() - 22));  // the closing mark
    cut.append(1);
    CHECK(storage::testing::replay_all(*cut.log)->size() == 11 - lost);
  }
}

void check_newest_segment(bool closed, const std::string& how) {
  CAPTURE(closed);
  CAPTURE(how);
  Bench bench;
  bench.open();
  bench.append(40);
  closed ? bench.log.reset() : bench.lose_power();
  const std::vector<std::string> paths = bench.segments();
  REQUIRE(paths.size() > 2);
  const LogPosition first = first_of(paths.back());
  REQUIRE(bench.files.remove(paths.back()));
  if (how != "missing") {
    const std::string bytes(how == "empty" ? 0 : 512, '\0');
    REQUIRE(bench.files.write_file_atomically(paths.back(), bytes));
  }
  for (int life = 0; life < 3; ++life) {
    CAPTURE(life);
    const auto damage = bench.damage();
    uint64_t lost = 0;
    for (const storage::LogDamage& one : damage) {
      lost += one.lost();
      if (one.lost() == 0) continue;
      CHECK(one.first == first);
      CHECK(one.accepted_after_ms == static_cast<int64_t>(1000 + first - 1));
    }
    CHECK(lost > 0);
    if (closed) CHECK(lost == 40 - first);
    CHECK(bench.log->high() > first);
    CHECK(storage::testing::replay_all(*bench.log)->size() == first);
  }
}

TEST_CASE("a newest segment that is missing is told") {
  for (const bool closed : {false, true}) {
    for (const char* how : {"missing", "empty", "zeros"}) check_newest_segment(closed, how);
  }
}

TEST_CASE("an oldest segment that is missing is told until the log is truncated") {
  Bench bench;
  bench.open();
  bench.append(60);
  REQUIRE(bench.log->truncate_before(20));
  bench.log.reset();
  const std::vector<std::string> paths = bench.segments();
  REQUIRE(bench.files.remove(paths.front()));
  for (int life = 0; life < 2; ++life) {
    const auto damage = bench.damage();
    REQUIRE(damage.size() == 1);
    CHECK(damage[0].first == first_of(paths[0]));
    CHECK(damage[0].end == first_of(paths[1]));
    CHECK(damage[0].file == paths[0]);
    CHECK(!damage[0].accepted_after_ms);
    CHECK(damage[0].accepted_before_ms == static_cast<int64_t>(1000 + first_of(paths[1])));
  }
  REQUIRE(bench.log->truncate_before(first_of(paths[2])));
  CHECK(bench.damage().empty());
}

TEST_CASE("a log that is missing as a whole is told") {
  Bench bench;
  bench.open();
  bench.append(20);
  bench.log.reset();
  REQUIRE(bench.files.remove_all("data/log"));
  const auto damage = bench.damage();
  REQUIRE(damage.size() == 1);
  CHECK(damage[0].lost() == 20);
  bench.append(3);
  bench.lose_power();
  CHECK(bench.damage().empty());
}

TEST_CASE("without bounds, or with damaged ones, the log opens and writes new ones") {
  Bench bench;
  bench.open();
  bench.append(20);
  bench.log.reset();
  SUBCASE("missing") {
    REQUIRE(bench.files.remove(kBounds));
  }
  SUBCASE("damaged") {
    REQUIRE(bench.files.write_file_atomically(kBounds, "petrel-log-bounds 1"));
  }
  CHECK(bench.damage().empty());
  const auto bounds = LogBounds::decode(*bench.files.read_file(kBounds));
  REQUIRE(bounds);
  CHECK(bounds->end == 20);
  CHECK(!bounds->is_closed);
}

TEST_CASE("a log that never got a segment misses none") {
  Bench bench;
  bench.files.set_capacity(400);  // enough for bounds
  bench.open();
  CHECK(!bench.log->writable());
  REQUIRE(bench.log->truncate_before(0));
  bench.lose_power();
  bench.files.set_capacity(UINT64_MAX);
  CHECK(bench.damage().empty());
}

TEST_CASE("faults while the bounds are stored never make a warning") {
  using core::testing::SimFault;
  for (const SimFault fault : {SimFault::Io, SimFault::NoSpace, SimFault::PowerLoss}) {
    for (uint64_t at = 0; at < 40; ++at) {
      CAPTURE(static_cast<int>(fault));
      CAPTURE(at);
      Bench bench;
      bench.open();
      bench.append(40);
      bench.files.fail_at(bench.files.fault_points() + at, fault);
      const auto truncated = bench.log->truncate_before(35);
      if (truncated) CHECK(bench.log->low() > 20);
      bench.log.reset();
      bench.files.clear_fault();
      bench.files.crash();
      CHECK(bench.damage().empty());
      CHECK(bench.log->high() == 40);
    }
  }
}

}  // namespace tsdb
