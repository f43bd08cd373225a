#include "agent/host_collector.h"

#include "core/testing/fake_clock.h"
#include "core/testing/sim_scheduler.h"
#include "core/thread_pool.h"
#include "core/timer_thread.h"
#include "storage/testing/memory_store.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <doctest/doctest.h>
#include <fstream>
#include <map>
#include <mutex>
#include <unistd.h>

namespace agent {
namespace {

using core::testing::FakeClock;
using core::testing::SimScheduler;

constexpr int64_t kStartMs = 1'700'000'000'300;

struct World {
  FakeClock clock{kStartMs};
  SimScheduler scheduler{clock};
  storage::testing::MemoryStore store;

  HostCollectorOptions options() const {
    HostCollectorOptions options;
    options.instance = "host1:9090";
    options.collectors.roots.proc = TESTDATA_DIR "/host/proc";
    options.collectors.roots.sys = TESTDATA_DIR "/host/sys";
    options.collectors.roots.etc = TESTDATA_DIR "/host/etc";
    options.collectors.roots.udev_data = TESTDATA_DIR "/host/udev";
    options.collectors.roots.mounts_prefix = TESTDATA_DIR "/host/mounts";
    return options;
  }

  // The samples of the series that match name (and one label), by series.
  std::map<std::string, std::map<int64_t, double>> samples(const std::string& metric) const {
    storage::SelectRequest request;
    request.matchers = {model::Matcher::equal("__name__", metric)};
    request.range = {0, INT64_MAX};
    std::map<std::string, std::map<int64_t, double>> found;
    auto set = store.select(request);
    REQUIRE(set);
    storage::SeriesBatch batch;
    while (*(*set)->next(batch)) {
      for (size_t i = 0; i < batch.size(); ++i) {
        auto& series = found[batch.labels[i].to_string()];
        for (size_t k = 0; k < batch.values_of(i).size(); ++k) {
          series[batch.timestamps_of(i)[k]] = batch.values_of(i)[k];
        }
      }
    }
    return found;
  }
  std::vector<int64_t> up_times() const {
    std::vector<int64_t> times;
    for (const auto& [labels, values] : samples("up")) {
      for (const auto& [time_ms, value] : values) times.push_back(time_ms - 1'700'000'000'000);
    }
    return times;
  }
};

std::unique_ptr<HostCollector> make_collector(HostCollectorOptions options,
                                              storage::SampleSink& sink, core::Scheduler& scheduler,
                                              core::Executor& executor, const core::Clock& clock) {
  auto made = HostCollector::create(std::move(options), sink, scheduler, executor, clock);
  REQUIRE(made);
  return std::move(*made);
}

TEST_CASE("rounds stand on whole seconds for a minute, then on every fifth second") {
  World world;
  const auto collector =
      make_collector(world.options(), world.store, world.scheduler, world.scheduler, world.clock);
  collector->start();
  world.scheduler.run_for(80'000);
  const std::vector<int64_t> times = world.up_times();
  REQUIRE(times.size() > 60);
  CHECK(times.front() == 1'000);
  CHECK(times[58] == 59'000);
  CHECK(times[59] == 60'000);
  std::vector<int64_t> later(times.begin() + 60, times.end());
  CHECK(later == std::vector<int64_t>{61'000, 65'000, 70'000, 75'000, 80'000});
}

TEST_CASE("after a jump of the wall clock rounds stand on the new time at once") {
  World world;
  const auto collector =
      make_collector(world.options(), world.store, world.scheduler, world.scheduler, world.clock);
  collector->start();
  world.scheduler.run_for(1'000);
  world.clock.jump_to_ms(world.clock.now_ms() - 3'600'000);
  world.scheduler.run_for(2'000);
  CHECK(world.up_times() == std::vector<int64_t>{-3'598'000, -3'597'000, 1'000});
}

TEST_CASE("every series carries job and instance, and metadata goes along") {
  World world;
  const auto collector =
      make_collector(world.options(), world.store, world.scheduler, world.scheduler, world.clock);
  collector->start();
  world.scheduler.run_for(1'000);
  CHECK(world.samples("node_load1") ==
        std::map<std::string, std::map<int64_t, double>>{
            {R"(node_load1{instance="host1:9090", job="node"})", {{1'700'000'001'000, 0.21}}}});
  CHECK(world.samples("up").begin()->second.begin()->second == 1);
  CHECK(world.samples("scrape_samples_scraped").begin()->second.begin()->second > 100);
  CHECK(world.samples("node_scrape_collector_success").size() ==
        make_collectors({}, world.clock)->size());

  const auto metadata = world.store.metadata("default", "node_context_switches_total");
  REQUIRE(metadata);
  REQUIRE(metadata->size() == 1);
  CHECK(metadata->front().type == model::MetricType::Counter);
  CHECK(metadata->front().help == "Total number of context switches.");
}

TEST_CASE("a series that is gone gets one stale marker") {
  const std::string folder = fmt::format("/tmp/petrel_agent_test.{}", ::getpid());
  REQUIRE(::system(("rm -rf " + folder + " && cp -r " TESTDATA_DIR "/host " + folder).c_str()) ==
          0);
  World world;
  HostCollectorOptions options = world.options();
  options.collectors.roots.proc = folder + "/proc";
  const auto collector =
      make_collector(options, world.store, world.scheduler, world.scheduler, world.clock);
  collector->start();
  world.scheduler.run_for(1'000);
  REQUIRE(::system(("sed -i '/eth0/d' " + folder + "/proc/net/dev").c_str()) == 0);
  world.scheduler.run_for(2'000);
  const auto series = world.samples("node_network_receive_bytes_total");
  REQUIRE(series.size() == 2);
  const auto& eth0 = series.begin()->second;
  REQUIRE(eth0.size() == 2);
  CHECK(!model::is_stale_nan(eth0.at(1'700'000'001'000)));
  CHECK(model::is_stale_nan(eth0.at(1'700'000'002'000)));
  CHECK(std::next(series.begin())->second.size() == 3);  // lo goes on
  REQUIRE(::system(("rm -r " + folder).c_str()) == 0);
}

TEST_CASE("rounds wait while the store is unavailable, and the oldest go when there are too many") {
  World world;
  HostCollectorOptions options = world.options();
  options.buffered_rounds_max = 3;
  const auto collector =
      make_collector(options, world.store, world.scheduler, world.scheduler, world.clock);
  collector->start();
  world.store.fail_appends(core::Error{core::ErrorCode::Unavailable, "the disk is away"});
  world.scheduler.run_for(5'000);
  CHECK(world.up_times().empty());
  world.store.fail_appends(std::nullopt);
  world.scheduler.run_for(1'000);
  CHECK(world.up_times() == std::vector<int64_t>{3'000, 4'000, 5'000, 6'000});
  // The metadata of the rounds that went is sent again.
  CHECK(world.store.metadata("default", "node_load1")->size() == 1);
}

TEST_CASE("stop() writes what waits and starts no further round") {
  World world;
  const auto collector =
      make_collector(world.options(), world.store, world.scheduler, world.scheduler, world.clock);
  collector->start();
  world.store.fail_appends(core::Error{core::ErrorCode::Unavailable, "the disk is away"});
  world.scheduler.run_for(2'000);
  world.store.fail_appends(std::nullopt);
  collector->stop();
  CHECK(world.up_times() == std::vector<int64_t>{1'000, 2'000});
  world.scheduler.run_for(10'000);
  CHECK(world.up_times().size() == 2);
}

// Keeps tasks until told to run them, as a busy pool does.
class SlowExecutor final : public core::Executor {
 public:
  bool post(core::Task task) override {
    if (full) return false;
    tasks.push_back(std::move(task));
    return true;
  }
  void run_all() {
    for (const core::Task& task : std::exchange(tasks, {})) task();
  }

  std::vector<core::Task> tasks;
  bool full = false;
};

TEST_CASE("a round that overruns its slot makes the next ones be skipped, never two at once") {
  World world;
  SlowExecutor executor;
  const auto collector =
      make_collector(world.options(), world.store, world.scheduler, executor, world.clock);
  collector->start();
  world.scheduler.run_for(3'000);
  CHECK(executor.tasks.size() == 1);
  executor.run_all();
  world.scheduler.run_for(1'000);
  executor.run_all();
  executor.full = true;
  world.scheduler.run_for(1'000);
  executor.full = false;
  world.scheduler.run_for(1'000);
  executor.run_all();
  CHECK(world.up_times() == std::vector<int64_t>{1'000, 4'000, 6'000});
}

TEST_CASE("a task that outlives the collector does nothing") {
  World world;
  SlowExecutor executor;
  {
    const auto collector =
        make_collector(world.options(), world.store, world.scheduler, executor, world.clock);
    collector->start();
    world.scheduler.run_for(1'000);
  }
  executor.run_all();
  world.scheduler.run_for(5'000);
  CHECK(world.up_times().empty());
}

// Counts rounds, and finds two at once.
class CountingSink final : public storage::SampleSink {
 public:
  core::Result<storage::AppendSummary> append(const storage::WriteBatch& batch) override {
    CHECK(!inside_.exchange(true));
    for (const storage::BatchSeries& series : batch.series) {
      CHECK(!model::LabelsView(series.labels).metric_name().empty());
    }
    inside_ = false;
    const std::lock_guard lock(mutex_);
    ++rounds_;
    changed_.notify_all();
    return storage::AppendSummary{};
  }
  bool wait_for_rounds(int wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return rounds_ >= wanted; });
  }
  int rounds() {
    const std::lock_guard lock(mutex_);
    return rounds_;
  }

 private:
  std::atomic<bool> inside_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  int rounds_ = 0;
};

TEST_CASE("on real threads rounds never overlap, and none starts after stop()") {
  const core::SystemClock clock;
  core::TimerThread timers;
  core::ThreadPool pool({.name = "test", .threads = 2, .queue_max = 16});
  CountingSink sink;
  HostCollectorOptions options = World().options();
  options.first_interval_ms = 1;
  options.interval_ms = 1;
  const auto collector = make_collector(options, sink, timers, pool, clock);
  collector->start();
  CHECK(sink.wait_for_rounds(20));
  collector->stop();
  const int rounds = sink.rounds();
  pool.stop();
  timers.stop();
  CHECK(sink.rounds() == rounds);
}

TEST_CASE("this host has one node_cpu_seconds_total series per cpu and mode") {
  World world;
  HostCollectorOptions options;
  options.instance = "here";
  const auto collector =
      make_collector(options, world.store, world.scheduler, world.scheduler, world.clock);
  collector->start();
  world.scheduler.run_for(1'000);
  const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  CHECK(world.samples("node_cpu_seconds_total").size() == static_cast<size_t>(8 * cpus));
  CHECK(world.samples("node_memory_MemTotal_bytes").size() == 1);
  CHECK(world.samples("node_uname_info").size() == 1);
  CHECK(world.samples("node_boot_time_seconds").size() == 1);
}

}  // namespace
}  // namespace agent
