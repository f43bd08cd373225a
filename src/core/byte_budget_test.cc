#include "core/byte_budget.h"

#include <doctest/doctest.h>
#include <thread>
#include <vector>

using core::ByteBudget;
using core::HeldBytes;

TEST_CASE("a budget gives what it has and gets it back") {
  ByteBudget budget(100);
  {
    HeldBytes one(&budget);
    CHECK(one.try_grow(60));
    HeldBytes other(&budget);
    CHECK_FALSE(other.try_grow(41));
    CHECK(other.try_grow(40));
    CHECK(budget.used() == 100);
    const HeldBytes moved = std::move(one);
    CHECK(budget.used() == 100);
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("what is there already is counted beyond the budget, and others are refused") {
  ByteBudget budget(100);
  HeldBytes one(&budget);
  one.grow(150);
  CHECK(budget.used() == 150);
  HeldBytes other(&budget);
  CHECK_FALSE(other.try_grow(1));
  one.release();
  CHECK(other.try_grow(1));
}

TEST_CASE("a smaller budget refuses until enough is given back") {
  ByteBudget budget(100);
  HeldBytes one(&budget);
  CHECK(one.try_grow(80));
  budget.set_max(50);
  HeldBytes other(&budget);
  CHECK_FALSE(other.try_grow(1));
  one.release();
  CHECK(other.try_grow(50));
}

TEST_CASE("threads never hold more than the budget together") {
  ByteBudget budget(1'000);
  std::atomic<bool> was_exceeded = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2'000; ++round) {
        HeldBytes held(&budget);
        if (held.try_grow(400) && budget.used() > 1'000) was_exceeded = true;
      }
    });
  }
  threads.clear();
  CHECK_FALSE(was_exceeded);
  CHECK(budget.used() == 0);
}
