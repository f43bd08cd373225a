#include "core/thread_pool.h"

#include <atomic>
#include <doctest/doctest.h>
#include <latch>
#include <stdexcept>

namespace core {

TEST_CASE("A thread pool runs every task it accepted, also those that wait when it stops") {
  std::atomic<int> ran = 0;
  ThreadPool pool({.name = "test", .threads = 3, .queue_max = 1000});
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(pool.post([&ran] { ++ran; }));
  }
  pool.stop();
  CHECK(ran == 1000);
  CHECK_FALSE(pool.post([] {}));
}

TEST_CASE("A thread pool refuses tasks while its queue is full and takes them again later") {
  ThreadPool pool({.name = "test", .threads = 1, .queue_max = 2});
  std::latch started(1);
  std::latch release(1);
  std::latch drained(3);
  REQUIRE(pool.post([&] {
    started.count_down();
    release.wait();
    drained.count_down();
  }));
  started.wait();  // the only thread is busy, the queue empty
  CHECK(pool.post([&] { drained.count_down(); }));
  CHECK(pool.post([&] { drained.count_down(); }));
  CHECK(pool.waiting() == 2);
  CHECK_FALSE(pool.post([] {}));
  release.count_down();
  drained.wait();
  CHECK(pool.post([] {}));
}

TEST_CASE(
    "A thread pool that spins loses no task, whether it comes while one thread spins or later") {
  std::atomic<int> ran = 0;
  ThreadPool pool({.name = "test", .threads = 3, .queue_max = 1000, .spin_us = 20});
  for (int round = 0; round < 2000; ++round) {
    const int tasks = 1 + round % 3;
    std::latch done(tasks);
    for (int i = 0; i < tasks; ++i) {
      REQUIRE(pool.post([&] {
        ++ran;
        done.count_down();
      }));
    }
    done.wait();
  }
  pool.stop();
  CHECK(ran == 3999);
}

TEST_CASE("A task that throws does not take its thread with it") {
  ThreadPool pool({.name = "test", .threads = 1, .queue_max = 10});
  std::atomic<bool> ran = false;
  REQUIRE(pool.post([] { throw std::runtime_error("a bug"); }));
  REQUIRE(pool.post([&ran] { ran = true; }));
  pool.stop();
  CHECK(ran);
}

}  // namespace core
