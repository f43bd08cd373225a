#include "discovery/refresh_loop.h"

#include "core/thread_pool.h"
#include "core/timer_thread.h"
#include "discovery/testing/provider_run.h"

#include <atomic>
#include <doctest/doctest.h>

namespace discovery {
namespace {

config::TargetGroup group(const std::string& source, const std::string& address) {
  return {source, model::Labels(), {model::Labels::of({{"__address__", address}})}};
}

// A loop in simulation whose answers the test gives.
struct LoopRun : testing::ProviderRun {
  std::shared_ptr<RefreshLoop> loop = RefreshLoop::create({"test", "job/0", 10'000}, parts);
  std::vector<RefreshLoop::Done> waiting;

  void begin() {
    loop->start([this](auto changes) { updates.push_back(std::move(changes)); },
                [this](RefreshLoop::Done done) { waiting.push_back(std::move(done)); });
    scheduler.run_due();
  }
  void answer(core::Result<Refreshed> result) {
    const RefreshLoop::Done done = std::move(waiting.back());
    waiting.pop_back();
    done(std::move(result));
  }
};

TEST_CASE("only what changed is told, and what is gone is told without targets") {
  LoopRun run;
  run.begin();
  run.answer(Refreshed{{group("a", "1"), group("b", "1")}, {}, {}});
  run.scheduler.run_for(10'000);
  run.answer(Refreshed{{group("a", "2"), group("b", "1")}, {}, {}});
  run.scheduler.run_for(10'000);
  run.answer(Refreshed{{group("a", "2")}, {}, {}});
  REQUIRE(run.updates.size() == 3);
  CHECK(run.updates[0].size() == 2);
  CHECK(run.updates[1] == std::vector{group("a", "2")});
  REQUIRE(run.updates[2].size() == 1);
  CHECK(run.updates[2][0].source == "b");
  CHECK(run.updates[2][0].targets.empty());
  CHECK(run.loop->sources() == std::vector<std::string>{"a"});
  run.loop->stop();
}

TEST_CASE("a trigger during a look asks for one more, whatever the number of triggers") {
  LoopRun run;
  run.begin();
  run.loop->trigger();
  run.loop->trigger();
  run.scheduler.run_for(5'000);
  CHECK(run.waiting.size() == 1);
  run.answer(Refreshed{});
  run.scheduler.run_due();
  CHECK(run.waiting.size() == 1);
  run.answer(Refreshed{});
  run.scheduler.run_for(9'999);
  CHECK(run.waiting.empty());
  run.scheduler.run_for(1);
  CHECK(run.waiting.size() == 1);
  run.loop->stop();
}

TEST_CASE("an answer after stop is not told") {
  LoopRun run;
  run.begin();
  run.loop->stop();
  run.answer(Refreshed{{group("a", "1")}, {}, {}});
  CHECK(run.updates.empty());
}

TEST_CASE("stop waits for an update that is running, on real threads") {
  core::TimerThread timers;
  core::ThreadPool pool({.name = "test"});
  testing::ProviderRun run;
  const ProviderParts parts{timers, pool, run.clock, run.files, run.rng, run.loop, ""};
  for (int i = 0; i < 300; ++i) {
    const auto loop = RefreshLoop::create({"test", "job/0", 1}, parts);
    std::atomic<bool> is_stopped = false;
    std::atomic<int> late = 0;
    std::atomic<int> looks = 0;
    loop->start([&](const auto&) { late += is_stopped ? 1 : 0; },
                [&](const RefreshLoop::Done& done) {
                  late += is_stopped ? 1 : 0;
                  const int look = ++looks;
                  done(Refreshed{{group("a", std::to_string(look))}, {}, {}});
                });
    while (looks < i % 3) loop->trigger();
    loop->stop();
    is_stopped = true;
    REQUIRE(late == 0);
  }
  timers.stop();
  pool.stop();
}

}  // namespace
}  // namespace discovery
