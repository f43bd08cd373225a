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
  batch.metadata.push_back({.metric = "m", .type = {}, .unit = {}, .help = {}});
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

}  // namespace
}  // namespace tsdb
