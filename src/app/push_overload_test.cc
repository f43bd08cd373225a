// Many pushes against a log that does not get on: memory stays bounded, who is refused is
// told so, and what was acknowledged is there after a restart.
//
//   clients ─> HttpServer (budget) ─> Api ─> Engine ─> log that waits for the test

#include "api/api.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "core/thread_pool.h"
#include "model/matcher.h"
#include "net/http_server.h"
#include "net/testing/raw_client.h"
#include "promql/engine.h"
#include "tsdb/engine.h"
#include "tsdb/testing/memory_log.h"

#include <atomic>
#include <condition_variable>
#include <doctest/doctest.h>
#include <mutex>
#include <thread>
#include <vector>

namespace app {
namespace {

// Durable only when the test says so.
class StalledLog final : public storage::Log {
 public:
  core::Result<storage::LogPosition> append(const storage::LogBatch& batch) override {
    return log_.append(batch);
  }
  core::Result<void> wait_durable(storage::LogPosition position) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_moving_; });
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

  void move() {
    const std::lock_guard lock(mutex_);
    is_moving_ = true;
    changed_.notify_all();
  }

 private:
  tsdb::testing::MemoryLog log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_moving_ = false;  // guarded by mutex_
};

constexpr int64_t kNowMs = 1'700'000'000'000;
constexpr size_t kPoints = 10'000;

std::string request_of(size_t client) {
  std::string body;
  for (size_t i = 0; i < kPoints; ++i) {
    body += fmt::format("m client={},i={} {} 1\n", client, i, kNowMs);
  }
  return fmt::format("POST /api/v1/push/line HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}", body.size(),
                     body);
}

TEST_CASE("a stalled log costs bounded memory, and what was acknowledged survives it") {
  constexpr size_t kClients = 48;
  constexpr size_t kWorkers = 4;
  constexpr size_t kBudget = 4 << 20;
  core::testing::FakeClock clock(kNowMs);
  core::testing::SimFileSystem files({.seed = 1});
  core::SeededRng rng(1);
  StalledLog log;
  auto engine = tsdb::Engine::open({.data_dir = "data"}, {files, clock, rng, log});
  REQUIRE_MESSAGE(engine, engine.error().message);
  promql::Engine promql(**engine, clock, {});
  tenant::LimitsTable limits;
  core::ByteBudget budget(kBudget);
  tenant::PushGate gate(limits, clock, budget);
  api::ApiOptions options;
  options.push_gate = &gate;
  api::Api api(std::move(options), clock, {});
  api.set_services({.sink = engine->get(),
                    .source = engine->get(),
                    .engine = &promql,
                    .rules = {},
                    .cardinality = nullptr});
  core::ThreadPool workers({.name = "writes", .threads = kWorkers, .queue_max = 1024});
  auto server =
      net::HttpServer::start({.listen_address = "127.0.0.1:0", .body_budget = &budget}, workers,
                             [&api](const net::Request& request) { return api.handle(request); });
  REQUIRE_MESSAGE(server, server.error().message);

  std::vector<std::string> answers(kClients);
  std::atomic<size_t> done = 0;
  const size_t body_size = request_of(0).size();
  {
    std::vector<std::jthread> clients;
    for (size_t i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] {
        net::testing::RawClient client((*server)->port());
        client.send(request_of(i));
        answers[i] = client.read_response();
        ++done;
      });
    }
    // Everyone who does not fit has an answer; the others wait for the log.
    const size_t fitting = kBudget / body_size;
    while (done + fitting < kClients) {
      // What is decoded is counted when it is there.
      constexpr size_t kBatchBytes =
          kPoints * (sizeof(storage::BatchSeries) + sizeof(model::Sample));
      CHECK(budget.used() <= kBudget + kWorkers * kBatchBytes);
      std::this_thread::yield();
    }
    CHECK(budget.used() > 0);
    log.move();
  }
  CHECK(budget.used() == 0);

  (*server)->stop(1'000);
  workers.stop();
  api.clear_services();
  engine->reset();
  engine = tsdb::Engine::open({.data_dir = "data"}, {files, clock, rng, log});
  REQUIRE(engine.has_value());
  size_t acknowledged = 0;
  size_t refused = 0;
  for (size_t i = 0; i < kClients; ++i) {
    CAPTURE(i);
    if (answers[i].starts_with("HTTP/1.1 204")) {
      ++acknowledged;
      storage::LabelsRequest request;
      request.range = {kNowMs, kNowMs + 1};
      request.matchers = {{model::Matcher::equal("client", std::to_string(i))}};
      const auto series = (*engine)->series(request);
      REQUIRE(series.has_value());
      CHECK(series->size() == kPoints);
      continue;
    }
    ++refused;
    // A connection that was closed while the client still sent is a refusal as well.
    if (answers[i].empty()) continue;
    CHECK(answers[i].starts_with("HTTP/1.1 503"));
    CHECK(answers[i].find("Retry-After: 1") != std::string::npos);
  }
  CHECK(acknowledged > 0);
  CHECK(refused > 0);
}

}  // namespace
}  // namespace app
