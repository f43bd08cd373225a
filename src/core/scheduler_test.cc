#include "core/testing/sim_scheduler.h"
#include "core/timer_thread.h"

#include <doctest/doctest.h>
#include <future>
#include <string>

namespace core {

TEST_CASE("The simulated scheduler runs tasks by deadline, then in the order they were given") {
  testing::FakeClock clock;
  testing::SimScheduler scheduler(clock);
  std::string order;
  scheduler.after(20, [&] { order += 'c'; });
  scheduler.after(10, [&] { order += 'a'; });
  scheduler.after(10, [&] {
    order += 'b';
    scheduler.after(5, [&] { order += 'x'; });
  });
  const int64_t start_ms = clock.now_ms();
  scheduler.run_for(15);
  CHECK(order == "abx");
  CHECK(clock.now_ms() == start_ms + 15);
  scheduler.run_for(100);
  CHECK(order == "abxc");
  CHECK(clock.now_ms() == start_ms + 115);
  CHECK(scheduler.waiting() == 0);
}

TEST_CASE("The simulated clock stands at a task's deadline while the task runs") {
  testing::FakeClock clock(1000);
  testing::SimScheduler scheduler(clock);
  int64_t seen_ms = 0;
  scheduler.after(250, [&] { seen_ms = clock.now_ms(); });
  CHECK(scheduler.step());
  CHECK(seen_ms == 1250);
  CHECK_FALSE(scheduler.step());
}

TEST_CASE("A cancelled timer does not run; cancelling an unknown one is harmless") {
  testing::FakeClock clock;
  testing::SimScheduler scheduler(clock);
  bool ran = false;
  const TimerId id = scheduler.after(1, [&] { ran = true; });
  scheduler.cancel(id);
  scheduler.cancel(id);
  scheduler.cancel(9999);
  scheduler.run_for(10);
  CHECK_FALSE(ran);
}

TEST_CASE("Tasks posted to the simulated executor wait until they are run") {
  testing::FakeClock clock;
  testing::SimScheduler scheduler(clock);
  bool ran = false;
  REQUIRE(scheduler.post([&] { ran = true; }));
  CHECK_FALSE(ran);
  scheduler.run_due();
  CHECK(ran);
}

TEST_CASE("The timer thread runs tasks in the order of their deadlines") {
  TimerThread timers;
  std::string order;
  std::promise<void> last;
  // The blocker keeps the thread busy until all are registered, so that their
  // order cannot come from the order of the calls.
  std::promise<void> registered;
  timers.after(0, [&] { registered.get_future().wait(); });
  timers.after(3, [&] {
    order += 'c';
    last.set_value();
  });
  timers.after(1, [&] { order += 'a'; });
  const TimerId cancelled = timers.after(2, [&] { order += 'x'; });
  timers.after(2, [&] { order += 'b'; });
  timers.cancel(cancelled);
  registered.set_value();
  last.get_future().wait();
  CHECK(order == "abc");
}

TEST_CASE("A timer task may set the next timer; stop drops what still waits") {
  std::promise<void> second;
  bool dropped_ran = false;
  {
    TimerThread timers;
    timers.after(0, [&] { timers.after(0, [&] { second.set_value(); }); });
    timers.after(3'600'000, [&] { dropped_ran = true; });
    second.get_future().wait();
    timers.stop();
    timers.after(0, [&] { dropped_ran = true; });
  }
  CHECK_FALSE(dropped_ran);
}

}  // namespace core
