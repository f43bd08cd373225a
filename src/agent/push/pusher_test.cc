#include "agent/push/pusher.h"

#include "agent/push/write_request.h"
#include "core/metrics.h"
#include "core/rng.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "core/testing/sim_scheduler.h"
#include "ingest/decompress.h"
#include "ingest/remote_write.h"

#include <deque>
#include <doctest/doctest.h>

namespace agent {
namespace {

using core::testing::FakeClock;
using core::testing::SimFileSystem;
using core::testing::SimScheduler;

// Answers as it is told, a second after it was asked.
class Receiver final : public net::Transport {
 public:
  explicit Receiver(SimScheduler& scheduler) : scheduler_(scheduler) {}

  void send(net::OutgoingRequest request, Done done) override {
    times_ms.push_back(now_ms());
    last = request;
    CHECK(!is_asked_);
    is_asked_ = true;
    net::Response answer{.status = status};
    if (!retry_after.empty()) answer.headers.emplace_back("Retry-After", retry_after);
    if (status < 300 && status > 0) bodies.push_back(request.body);
    scheduler_.after(1'000, [this, answer, done = std::move(done)] {
      is_asked_ = false;
      if (answer.status == 0) {
        done(core::fail(core::ErrorCode::Unavailable, "connection refused"));
      } else {
        done(answer);
      }
    });
  }

  std::function<int64_t()> now_ms;
  int status = 200;  // 0: no answer
  std::string retry_after;
  std::vector<std::string> bodies;  // taken
  std::vector<int64_t> times_ms;    // of all requests
  net::OutgoingRequest last;

 private:
  SimScheduler& scheduler_;
  bool is_asked_ = false;
};

struct World {
  World() {
    receiver.now_ms = [this] { return clock.now_ms() - kStart; };
    options.url = "http://receiver/api/v1/write";
    restart();
  }

  void restart() {
    pusher.reset();
    buffer = std::move(*DiskBuffer::open({.path = "/buffer"}, files, clock));
    pusher =
        std::make_unique<Pusher>(options, PusherParts{.buffer = *buffer,
                                                      .transport = receiver,
                                                      .scheduler = scheduler,
                                                      .executor = scheduler,
                                                      .clock = clock,
                                                      .rng = rng,
                                                      .read_file = [this](const std::string& path) {
                                                        return files.read_file(path);
                                                      }});
    pusher->start();
  }

  void append(double value) {
    storage::WriteBatch batch;
    batch.add(model::Labels::of({{"__name__", "m"}}), clock.now_ms(), value);
    const auto summary = pusher->append(batch);
    REQUIRE(summary);
    CHECK(summary->stored == 1);
  }

  static constexpr int64_t kStart = 1'700'000'000'000;
  FakeClock clock{kStart};
  SimScheduler scheduler{clock};
  SimFileSystem files;
  core::SeededRng rng{7};
  Receiver receiver{scheduler};
  PusherOptions options;
  std::unique_ptr<DiskBuffer> buffer;
  std::unique_ptr<Pusher> pusher;
};

TEST_CASE("a batch is a remote write request that reads back to the same samples") {
  storage::WriteBatch batch;
  batch.add(model::Labels::of({{"__name__", "m"}, {"a", "1"}}), 1'000, 2.5);
  batch.add(model::Labels::of({{"__name__", "n"}}), 2'000, -1);
  batch.metadata.push_back(
      {.metric = "m", .type = model::MetricType::Counter, .unit = "", .help = "What m counts."});
  const WriteRequest request = encode_write_request(batch);
  CHECK(request.first_ms == 1'000);
  CHECK(request.last_ms == 2'000);
  CHECK(request.samples == 2);

  std::string message;
  REQUIRE(ingest::decompress(ingest::ContentEncoding::Snappy, request.body, {}, message));
  storage::WriteBatch read;
  storage::AppendSummary refused;
  REQUIRE(ingest::decode_remote_write(message, {}, read, refused));
  CHECK(refused.refused_total() == 0);
  REQUIRE(read.series.size() == 2);
  CHECK(model::LabelsView(read.series[0].labels).to_string() == R"(m{a="1"})");
  CHECK(read.samples_of(read.series[0])[0].value == 2.5);
  CHECK(read.samples_of(read.series[1])[0].timestamp_ms == 2'000);
  CHECK(read.metadata == batch.metadata);
}

TEST_CASE("batches go in order, one at a time, as soon as they come") {
  World world;
  for (int i = 0; i < 5; ++i) world.append(i);
  world.scheduler.run_for(10'000);
  CHECK(world.receiver.bodies.size() == 5);
  CHECK(world.receiver.times_ms == std::vector<int64_t>{0, 1'000, 2'000, 3'000, 4'000});
  CHECK(world.buffer->stats().records == 0);
  CHECK(net::find_header(world.receiver.last.headers, "Content-Encoding") == "snappy");
  CHECK(net::find_header(world.receiver.last.headers, "X-Prometheus-Remote-Write-Version") ==
        "0.1.0");
}

TEST_CASE("while the receiver is away the time between tries doubles, up to a minute") {
  World world;
  world.receiver.status = 0;
  world.append(1);
  world.scheduler.run_for(600'000);
  const std::vector<int64_t>& times = world.receiver.times_ms;
  REQUIRE(times.size() > 8);
  CHECK(times.size() < 25);
  int64_t expected = 1'000;
  for (size_t i = 1; i < times.size(); ++i) {
    const int64_t pause = times[i] - times[i - 1] - 1'000;
    CHECK(pause >= expected * 7 / 10);
    CHECK(pause <= expected * 13 / 10);
    expected = std::min<int64_t>(60'000, expected * 2);
  }
  world.receiver.status = 204;
  world.append(2);
  world.scheduler.run_for(120'000);
  CHECK(world.receiver.bodies.size() == 2);
  CHECK(world.buffer->stats().records == 0);
}

TEST_CASE("Retry-After is honoured, as seconds and as a date, and has a bound") {
  World world;
  world.receiver.status = 429;
  world.receiver.retry_after = "40";
  world.append(1);
  world.scheduler.run_for(50'000);
  CHECK(world.receiver.times_ms == std::vector<int64_t>{0, 41'000});
  world.receiver.retry_after = "100000";
  world.scheduler.run_for(700'000);
  REQUIRE(world.receiver.times_ms.size() == 4);
  CHECK(world.receiver.times_ms[3] - world.receiver.times_ms[2] == 601'000);
  CHECK(retry_after_ms("Tue, 14 Nov 2023 22:13:50 GMT", World::kStart) == 30'000);
  CHECK(retry_after_ms("Tue, 14 Nov 2000 22:13:50 GMT", World::kStart) == 0);
  CHECK(retry_after_ms("soon", World::kStart) == 0);
  CHECK(retry_after_ms("-5", World::kStart) == 0);
  CHECK(retry_after_ms("99999999999999999999", World::kStart) == 0);
}

TEST_CASE("what the receiver refuses for good is dropped and counted, the rest goes on") {
  World world;
  core::Counter& dropped =
      core::counter("petrel_agent_buffer_dropped_samples_total", "", {{"reason", "refused"}});
  const double before = dropped.value();
  world.receiver.status = 400;
  world.append(1);
  world.scheduler.run_for(500);
  world.receiver.status = 200;
  world.append(2);
  world.scheduler.run_for(5'000);
  CHECK(dropped.value() - before == 1);
  CHECK(world.receiver.bodies.size() == 1);
  CHECK(world.buffer->stats().records == 0);
}

TEST_CASE("what was not sent is sent after a restart") {
  World world;
  world.receiver.status = 503;
  for (int i = 0; i < 4; ++i) world.append(i);
  world.scheduler.run_for(3'000);
  world.files.kill();
  world.receiver.status = 200;
  world.scheduler.run_for(2'000);  // the answer under way comes to nobody
  world.receiver.bodies.clear();
  world.restart();
  world.scheduler.run_for(60'000);
  CHECK(world.receiver.bodies.size() == 4);
}

TEST_CASE("a token is read from its file before each request") {
  World world;
  REQUIRE(world.files.create_dirs("/secret"));
  REQUIRE(world.files.write_file_atomically("/secret/token", "first\n"));
  world.options.client.authorization.emplace().credentials.file = "/secret/token";
  world.restart();
  world.append(1);
  world.scheduler.run_for(2'000);
  CHECK(world.receiver.last.client->authorization->credentials.value.reveal() == "first");
  REQUIRE(world.files.write_file_atomically("/secret/token", "second\n"));
  world.append(2);
  world.scheduler.run_for(2'000);
  CHECK(world.receiver.last.client->authorization->credentials.value.reveal() == "second");
}

}  // namespace
}  // namespace agent
