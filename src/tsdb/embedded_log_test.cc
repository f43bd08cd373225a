#include "tsdb/embedded_log.h"

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "storage/testing/log_suite.h"

#include <doctest/doctest.h>
#include <memory>
#include <stdlib.h>
#include <string>
#include <vector>

namespace tsdb {
namespace {

using core::ErrorCode;
using core::OpenMode;
using core::Result;
using core::testing::FakeClock;
using core::testing::SimFault;
using core::testing::SimFileSystem;
using storage::Log;
using storage::LogPosition;
using storage::testing::BatchSource;
using storage::testing::OwnedBatch;

// What a log stands on, and the log.
struct Bench {
  explicit Bench(core::testing::SimOptions sim = {}) : files(sim), rng(sim.seed + 1000) {
    options.dir = "data/log";
    options.segment_bytes = 4096;
  }

  std::unique_ptr<EmbeddedLog> open() {
    auto log = EmbeddedLog::open(options, files, clock, rng);
    if (!log) FAIL(log.error().message);
    return std::move(*log);
  }

  FakeClock clock;
  SimFileSystem files;
  core::SeededRng rng;
  EmbeddedLogOptions options;
};

OwnedBatch small_batch(int64_t number) {
  OwnedBatch batch;
  batch.tenant = "default";
  batch.accepted_at_ms = number;
  batch.metadata.push_back({.metric = "m", .type = {}, .unit = {}, .help = "h"});
  return batch;
}

LogPosition append_durable(EmbeddedLog& log, const OwnedBatch& batch) {
  const auto position = log.append(batch.view());
  if (!position) FAIL(position.error().message);
  REQUIRE(log.wait_durable(*position));
  return *position;
}

TEST_CASE("the embedded log is a log, on simulated files") {
  auto benches = std::make_shared<std::vector<std::unique_ptr<Bench>>>();
  storage::testing::run_log_suite([benches]() -> storage::testing::OpenLog {
    benches->push_back(std::make_unique<Bench>());
    return [bench = benches->back().get(), benches] { return bench->open(); };
  });
}

TEST_CASE("the embedded log is a log, on the host's files") {
  std::string dir = "/tmp/petrel_embedded_log_test.XXXXXX";
  REQUIRE(::mkdtemp(dir.data()) != nullptr);
  core::PosixFileSystem files;
  core::SystemClock clock;
  core::SystemRng rng;
  int count = 0;
  storage::testing::run_log_suite([&]() -> storage::testing::OpenLog {
    const EmbeddedLogOptions options{.dir = fmt::format("{}/{}", dir, count++),
                                     .segment_bytes = 16384};
    return [&, options]() -> std::unique_ptr<Log> {
      auto log = EmbeddedLog::open(options, files, clock, rng);
      if (!log) FAIL(log.error().message);
      return std::move(*log);
    };
  });
  CHECK(files.remove_all(dir));
}

TEST_CASE("one sync makes the batches of all appends before it durable") {
  Bench bench;
  bench.options.segment_bytes = 1 << 20;
  const auto log = bench.open();
  const uint64_t syncs = bench.files.sync_count();
  LogPosition last = 0;
  for (int i = 0; i < 100; ++i) last = *log->append(small_batch(i).view());
  REQUIRE(log->wait_durable(last));
  REQUIRE(log->wait_durable(0));
  CHECK(bench.files.sync_count() == syncs + 1);
}

TEST_CASE("after a failed sync the log refuses for good, and reading goes on") {
  Bench bench;
  auto log = bench.open();
  append_durable(*log, small_batch(1));
  const auto position = log->append(small_batch(2).view());
  REQUIRE(position);
  bench.files.fail_at(bench.files.fault_points() + 2, SimFault::Io);  // mark, records, sync
  const auto waited = log->wait_durable(*position);
  REQUIRE(!waited);
  CHECK(waited.error().code == ErrorCode::Unavailable);
  CHECK(waited.error().message.find("fdatasync data/log/") != std::string::npos);
  CHECK(log->append(small_batch(3).view()).error().code == ErrorCode::Unavailable);
  CHECK(log->wait_durable(*position).error().code == ErrorCode::Unavailable);
  CHECK(log->writable().error().code == ErrorCode::Unavailable);
  CHECK(log->wait_durable(0));
  log.reset();
  bench.files.crash();
  log = bench.open();
  CHECK(log->writable());
  CHECK(storage::testing::replay_all(*log)->size() == 1);
}

TEST_CASE("a full disk refuses new batches, keeps what it has, and takes all once it has space") {
  Bench bench;
  auto log = bench.open();
  bench.files.set_capacity(4096);  // no second segment
  std::vector<LogPosition> refused;
  LogPosition acknowledged = 0;
  for (int i = 0; i < 200 && refused.empty(); ++i) {
    const auto position = log->append(small_batch(i).view());
    REQUIRE(position);
    if (log->wait_durable(*position)) {
      acknowledged = *position;
    } else {
      refused.push_back(*position);
    }
  }
  REQUIRE(refused.size() == 1);
  const auto again = log->append(small_batch(1000).view());
  REQUIRE(!again);
  CHECK(again.error().code == ErrorCode::Unavailable);
  CHECK(again.error().message.find("No space left on device") != std::string::npos);
  CHECK(log->writable().error().code == ErrorCode::Unavailable);

  SUBCASE("until space comes") {
    bench.files.set_capacity(UINT64_MAX);
    CHECK(!log->wait_durable(refused[0]));  // asked again after a second only
    bench.clock.advance_ms(1000);
    CHECK(log->wait_durable(refused[0]));
    CHECK(log->writable());
    append_durable(*log, small_batch(1001));
    CHECK(storage::testing::replay_all(*log)->size() == refused[0] + 2);
  }
  SUBCASE("and a new process reads it without being able to write") {
    log.reset();
    bench.files.crash();
    log = bench.open();
    CHECK(!log->writable());
    CHECK(storage::testing::replay_all(*log)->size() == acknowledged + 1);
    CHECK(log->append(small_batch(1).view()).error().code == ErrorCode::Unavailable);
    bench.files.set_capacity(UINT64_MAX);
    bench.clock.advance_ms(1000);
    CHECK(append_durable(*log, small_batch(2)) == acknowledged + 1);
  }
}

TEST_CASE("records found without proof of their sync are durable again only when rewritten") {
  Bench bench;
  auto log = bench.open();
  append_durable(*log, small_batch(1));
  const auto position = log->append(small_batch(2).view());
  bench.files.fail_at(bench.files.fault_points() + 2, SimFault::Io);
  CHECK(!log->wait_durable(*position));  // in the cache, and not on the disk
  log.reset();
  bench.files.kill();
  bench.files.set_capacity(0);
  log = bench.open();
  CHECK(storage::testing::replay_all(*log)->size() == 2);
  CHECK(!log->wait_durable(1));
  bench.files.set_capacity(UINT64_MAX);
  bench.clock.advance_ms(1000);
  CHECK(log->wait_durable(1));
  bench.files.crash();
  log.reset();
  log = bench.open();
  CHECK(storage::testing::replay_all(*log)->size() == 2);
}

TEST_CASE("segments are reused after truncation, and old records in them never come back") {
  Bench bench;
  bench.options.segment_bytes = 512;
  auto log = bench.open();
  uint64_t files_max = 0;
  for (int i = 0; i < 300; ++i) {
    const LogPosition position = append_durable(*log, small_batch(i));
    if (position > 20) REQUIRE(log->truncate_before(position - 10));
    files_max = std::max<uint64_t>(files_max, bench.files.list("data/log")->size());
  }
  CHECK(log->segment_count() < 6);
  CHECK(files_max < 8);  // with two spares
  bench.files.crash();
  log.reset();
  log = bench.open();
  const LogPosition low = log->low();
  CHECK(low > 280);
  const auto replayed = storage::testing::replay_all(*log, low);
  REQUIRE(replayed);
  REQUIRE(replayed->size() == 300 - low);
  CHECK(replayed->front().second.accepted_at_ms == static_cast<int64_t>(low));
}

TEST_CASE("a batch larger than a segment gets one of its own") {
  Bench bench;
  const auto log = bench.open();
  OwnedBatch large = small_batch(1);
  large.metadata[0].help.assign(100'000, 'x');
  append_durable(*log, small_batch(0));
  append_durable(*log, large);
  append_durable(*log, small_batch(2));
  const auto replayed = storage::testing::replay_all(*log);
  REQUIRE(replayed);
  REQUIRE(replayed->size() == 3);
  CHECK((*replayed)[1].second.metadata == large.metadata);
}

TEST_CASE("segments shrink with the space that is left, so that a small disk is used up") {
  Bench bench({.capacity_bytes = 8 << 20});
  bench.options.segment_bytes = 64 << 20;
  const auto log = bench.open();
  OwnedBatch batch = small_batch(0);
  batch.metadata[0].help.assign(50'000, 'x');
  uint64_t bytes = 0;
  while (true) {
    const auto position = log->append(batch.view());
    if (!position || !log->wait_durable(*position)) break;
    bytes += 50'000;
  }
  CHECK(bytes > (7 << 20));
  CHECK(storage::testing::replay_all(*log)->size() == bytes / 50'000);
}

TEST_CASE("a full buffer is written out by whoever appends next") {
  Bench bench;
  bench.options.pending_bytes_max = 1000;
  const auto log = bench.open();
  const uint64_t syncs = bench.files.sync_count();
  for (int i = 0; i < 100; ++i) REQUIRE(log->append(small_batch(i).view()));
  CHECK(bench.files.sync_count() >= syncs + 3);
}

// ---- damage

std::string only_segment(SimFileSystem& files) {
  const auto names = files.list("data/log");
  REQUIRE(names);
  REQUIRE(names->size() >= 1);
  return "data/log/" + names->front();
}

// The bytes of a closed log of five records, its segment trimmed.
std::string five_records(Bench& bench, bool closed) {
  auto log = bench.open();
  for (int i = 0; i < 5; ++i) append_durable(*log, small_batch(i));
  if (!closed) bench.files.fail_at(bench.files.fault_points(), SimFault::PowerLoss);
  log.reset();
  bench.files.kill();
  std::string bytes = *bench.files.read_file(only_segment(bench.files));
  bytes.resize(bytes.find_last_not_of('\0') + 1);
  return bytes;
}

const std::string kFirstSegment = "data/log/00000000000000000000.log";

// The damage that opening and replaying a log of this one segment finds; `count` gets the
// number of records that are left.
Result<std::vector<storage::LogDamage>> damage_in(const std::string& bytes, size_t& count) {
  Bench bench;
  REQUIRE(bench.files.create_dirs("data/log"));
  REQUIRE(bench.files.write_file_atomically(kFirstSegment, bytes));
  const std::unique_ptr<EmbeddedLog> log =
      TRY(EmbeddedLog::open(bench.options, bench.files, bench.clock, bench.rng));
  count = TRY(storage::testing::replay_all(*log)).size();
  CHECK(log->writable());
  CHECK(bench.files.exists(kFirstSegment + ".damaged") == !log->damage().empty());
  return log->damage();
}

// Of a log that is expected to be without damage.
Result<size_t> replayed_count(const std::string& bytes) {
  size_t count = 0;
  const std::vector<storage::LogDamage> damage = TRY(damage_in(bytes, count));
  if (!damage.empty()) return core::fail(ErrorCode::Corruption, "{}", damage[0].what);
  return count;
}

TEST_CASE(
    "any flipped bit of a closed log is told with file and byte, and costs one record at most") {
  Bench bench;
  const std::string bytes = five_records(bench, true);
  REQUIRE(*replayed_count(bytes) == 5);
  const size_t mark_bytes = 22;  // the closing mark has nothing behind it
  for (size_t bit = 0; bit < 8 * (bytes.size() - mark_bytes); ++bit) {
    CAPTURE(bit);
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    size_t count = 0;
    const auto damage = damage_in(flipped, count);
    if (bit / 8 == 7 && bit % 8 != 1) {  // a version of the future
      REQUIRE(!damage);
      CHECK(damage.error().code == ErrorCode::Unsupported);
      CHECK(damage.error().message.find(kFirstSegment) != std::string::npos);
      continue;
    }
    REQUIRE(damage);
    REQUIRE(damage->size() == 1);
    CHECK(damage->front().file == kFirstSegment);
    CHECK(damage->front().offset <= bit / 8);
    CHECK(damage->front().lost() <= 1);
    CHECK(count == 5 - damage->front().lost());
  }
}

TEST_CASE("the salt is that of two records: the first one may have lost a part of its checksum") {
  Bench bench;
  const std::string bytes = five_records(bench, true);
  for (size_t size = 20; size <= kSegmentHeaderBytes + 4; ++size) {
    CAPTURE(size);
    std::string broken = bytes;
    std::fill_n(broken.begin(), size, '\0');
    size_t count = 0;
    const auto damage = damage_in(broken, count);
    REQUIRE(damage);
    CHECK(count == 5);
  }
}

TEST_CASE("what a damaged segment header says is worked out from the records") {
  Bench bench;
  const std::string bytes = five_records(bench, true);
  for (const size_t begin : {0, 8, 16, 20}) {
    CAPTURE(begin);
    std::string broken = bytes;
    std::fill_n(broken.begin() + static_cast<ptrdiff_t>(begin), 24 - begin, '\0');
    size_t count = 0;
    const auto damage = damage_in(broken, count);
    REQUIRE(damage);
    REQUIRE(damage->size() == 1);
    CHECK(damage->front().lost() == 0);
    CHECK(count == 5);
  }
}

TEST_CASE("a segment of which nothing can be read is kept, and the log goes on behind it") {
  Bench bench;
  REQUIRE(bench.files.create_dirs("data/log"));
  REQUIRE(bench.files.write_file_atomically(kFirstSegment, std::string(500, 'x')));
  auto log = bench.open();
  append_durable(*log, small_batch(1));
  CHECK(storage::testing::replay_all(*log, 1)->size() == 1);
  REQUIRE(log->damage().size() == 2);  // the header, and what followed
  CHECK(!log->damage()[1].end_is_known);
  CHECK(log->damage()[1].lost() == 1);
  CHECK(*bench.files.read_file(kFirstSegment) == std::string(500, 'x'));
  CHECK(bench.files.exists(kFirstSegment + ".damaged"));
}

TEST_CASE("a log cut anywhere ends before the record that was cut") {
  Bench bench;
  const std::string bytes = five_records(bench, false);
  size_t before = 0;
  for (size_t size = 24; size <= bytes.size(); ++size) {
    CAPTURE(size);
    const auto count = replayed_count(bytes.substr(0, size));
    REQUIRE(count);
    CHECK(*count >= before);
    CHECK(*count <= before + 1);
    before = *count;
  }
  CHECK(before == 5);
}

TEST_CASE("a torn write of several records is no corruption, whichever of them survived") {
  Bench bench;
  auto log = bench.open();
  append_durable(*log, small_batch(0));
  const size_t sound = bench.files.read_file(only_segment(bench.files))->find_last_not_of('\0') + 1;
  for (int i = 1; i < 4; ++i) REQUIRE(log->append(small_batch(i).view()));
  REQUIRE(log->wait_durable(3));
  std::string bytes = *bench.files.read_file(only_segment(bench.files));
  bytes.resize(bytes.find_last_not_of('\0') + 1);
  for (size_t at = sound; at < bytes.size(); ++at) {
    CAPTURE(at);
    std::string torn = bytes;
    torn[at] = static_cast<char>(~torn[at]);
    const auto count = replayed_count(torn);
    if (!count) FAIL(count.error().message);
    CHECK(*count >= 1);
    CHECK(*count < 4);
  }
}

TEST_CASE("an acknowledged record of which only zeros are left is corruption") {
  for (const size_t size : {100, 4000, 5000, 20'000}) {
    CAPTURE(size);
    Bench bench;
    bench.options.segment_bytes = 64 << 10;
    auto log = bench.open();
    OwnedBatch large = small_batch(0);
    large.metadata[0].help.assign(size, 'x');
    append_durable(*log, large);
    append_durable(*log, small_batch(1));
    log.reset();
    std::string bytes = *bench.files.read_file(only_segment(bench.files));
    const size_t first = bytes.find("xxx") - 50;
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(first), size + 50, '\0');
    size_t count = 0;
    const auto damage = damage_in(bytes, count);
    REQUIRE(damage);
    REQUIRE(damage->size() == 1);
    CHECK(damage->front().lost() == 1);
    CHECK(count == 1);
  }
}

TEST_CASE("a missing segment in the middle is a gap between its neighbours") {
  Bench bench;
  bench.options.segment_bytes = 512;
  auto log = bench.open();
  for (int i = 0; i < 50; ++i) append_durable(*log, small_batch(1000 + i));
  REQUIRE(log->segment_count() > 3);
  log.reset();
  const auto names = *bench.files.list("data/log");
  REQUIRE(bench.files.remove("data/log/" + names[1]));
  const LogPosition first = std::stoull(names[1]);
  const LogPosition end = std::stoull(names[2]);
  log = bench.open();
  std::vector<LogPosition> positions;
  REQUIRE(log->replay(0, [&](LogPosition position, const storage::LogBatch& batch) -> Result<void> {
    CHECK(batch.accepted_at_ms == static_cast<int64_t>(1000 + position));
    positions.push_back(position);
    return {};
  }));
  CHECK(positions.size() == 50 - (end - first));
  REQUIRE(log->damage().size() == 1);
  const storage::LogDamage damage = log->damage()[0];
  CHECK(damage.first == first);
  CHECK(damage.end == end);
  CHECK(damage.file == "data/log/" + names[0]);
  CHECK(*damage.accepted_after_ms == static_cast<int64_t>(1000 + first - 1));
  CHECK(*damage.accepted_before_ms == static_cast<int64_t>(1000 + end));
  // Found again, told once.
  REQUIRE(storage::testing::replay_all(*log, end));
  CHECK(log->damage().size() == 1);
}

TEST_CASE("any damage of any segment costs what lies in it only, and truncation keeps its file") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Bench bench({.seed = seed});
    core::SeededRng rng(seed);
    bench.options.segment_bytes = 512;
    auto log = bench.open();
    for (int i = 0; i < 60; ++i) append_durable(*log, small_batch(i));
    log.reset();
    const auto names = *bench.files.list("data/log");
    const size_t victim = rng.below(names.size() - 1);
    const std::string file = "data/log/" + names[victim];
    std::string bytes = *bench.files.read_file(file);
    const size_t at = rng.below(bytes.size());
    switch (rng.below(3)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.replace(at, std::min<size_t>(100, bytes.size() - at), std::string(100, '\xa5'));
        break;
      default:
        bytes.erase(at, 7);
    }
    if (bytes.size() > 7 && static_cast<uint8_t>(bytes[7]) > 1) continue;
    REQUIRE(bench.files.write_file_atomically(file, bytes));
    const LogPosition first = std::stoull(names[victim]);
    const LogPosition end = std::stoull(names[victim + 1]);

    log = bench.open();
    uint64_t whole = 0;
    REQUIRE(
        log->replay(0, [&](LogPosition position, const storage::LogBatch& batch) -> Result<void> {
          CHECK(batch.accepted_at_ms == static_cast<int64_t>(position));
          ++whole;
          return {};
        }));
    uint64_t lost = 0;
    for (const storage::LogDamage& damage : log->damage()) {
      CHECK(damage.file == file);
      CHECK(damage.first >= first);
      CHECK(damage.end <= end);
      lost += damage.lost();
    }
    CHECK(whole + lost == 60);
    const bool is_damaged = !log->damage().empty();
    append_durable(*log, small_batch(60));
    REQUIRE(log->truncate_before(60));
    CHECK(bench.files.exists(file + ".damaged") == is_damaged);
    if (is_damaged) CHECK(*bench.files.read_file(file + ".damaged") == bytes);
  }
}

TEST_CASE("no segment is made of what is reserved of the disk") {
  Bench bench({.capacity_bytes = 8 << 20});
  bench.options.segment_bytes = 64 << 20;
  bench.options.reserve_bytes = 2 << 20;
  bench.options.spare_segments_max = 0;
  const auto log = bench.open();
  OwnedBatch batch = small_batch(0);
  batch.metadata[0].help.assign(50'000, 'x');
  Result<LogPosition> position = 0U;
  Result<void> durable;
  while (position && durable) {
    position = log->append(batch.view());
    if (position) durable = log->wait_durable(*position);
  }
  const core::Error error = position ? durable.error() : position.error();
  CHECK(error.code == ErrorCode::Unavailable);
  CHECK(error.message.find("reserved") != std::string::npos);
  CHECK(bench.files.disk_space("data")->available_bytes >= bench.options.reserve_bytes);
  bench.files.set_capacity(16 << 20);
  bench.clock.advance_ms(1000);
  append_durable(*log, small_batch(1));
}

}  // namespace
}  // namespace tsdb
