#include "tenant/rate.h"

#include <doctest/doctest.h>

using tenant::RateBucket;

namespace {
constexpr int64_t kSecond = 1'000'000'000;
}

TEST_CASE("a bucket gives its burst at once and then its rate") {
  RateBucket bucket;
  CHECK(bucket.take(50, 10, 50, 0) == 0);
  CHECK(bucket.take(1, 10, 50, 0) == 100);
  CHECK(bucket.take(1, 10, 50, kSecond / 10) == 0);
  CHECK(bucket.take(20, 10, 50, kSecond / 10) == 2'000);
  CHECK(bucket.take(20, 10, 50, kSecond / 10 + 2 * kSecond) == 0);
}

TEST_CASE("what was refused takes nothing from a bucket") {
  RateBucket bucket;
  CHECK(bucket.take(6, 10, 10, 0) == 0);
  for (int i = 0; i < 100; ++i) CHECK(bucket.take(5, 10, 10, 0) == 100);
  CHECK(bucket.take(4, 10, 10, 0) == 0);
}

TEST_CASE("more than the burst goes through a full bucket and is owed for") {
  RateBucket bucket;
  CHECK(bucket.take(30, 10, 10, 0) == 0);
  CHECK(bucket.take(1, 10, 10, 0) == 2'100);
  CHECK(bucket.take(1, 10, 10, 2 * kSecond + kSecond / 10) == 0);
}

TEST_CASE("a burst of zero is ten seconds of the rate") {
  RateBucket bucket;
  CHECK(bucket.take(1'000, 100, 0, 0) == 0);
  CHECK(bucket.take(1, 100, 0, 0) == 10);
}

TEST_CASE("a rate of zero is no limit, and one that comes later begins with a full bucket") {
  RateBucket bucket;
  CHECK(bucket.take(1'000'000, 0, 0, 0) == 0);
  CHECK(bucket.take(10, 1, 10, kSecond) == 0);
  CHECK(bucket.take(1, 1, 10, kSecond) == 1'000);
  CHECK(bucket.take(1'000, 0, 10, kSecond) == 0);
  CHECK(bucket.take(10, 1, 10, kSecond) == 0);
}

TEST_CASE("a clock that goes back fills no bucket") {
  RateBucket bucket;
  CHECK(bucket.take(10, 10, 10, 5 * kSecond) == 0);
  CHECK(bucket.take(1, 10, 10, 0) == 100);
  CHECK(bucket.take(1, 10, 10, 5 * kSecond) == 100);
}
