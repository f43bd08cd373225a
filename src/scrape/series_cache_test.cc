#include "scrape/series_cache.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/core.h>
#include <map>
#include <set>

using scrape::RoundScratch;
using scrape::SeriesCache;
using scrape::SeriesKey;
using scrape::SeriesKeyHasher;

namespace {

struct Fixture {
  core::SeededRng rng{7};
  SeriesKeyHasher hasher{rng};
  RoundScratch scratch;
  SeriesCache cache;

  // A good round with these keys; labels are "L" and the key. Returns the stale ones.
  std::set<std::string> round(const std::vector<std::string>& keys, bool flush = true) {
    cache.begin(scratch);
    for (const std::string& key : keys) {
      const bool takes_expected = cache.expected_key() == key && rng.below(2) == 0;
      uint32_t entry = takes_expected ? cache.take_expected() : cache.find(hasher(key));
      if (entry == SeriesCache::kUnknown) entry = cache.add(hasher(key), key, "L" + key);
      cache.meet(entry);
      cache.track(entry);
    }
    cache.settle();
    std::set<std::string> stale;
    cache.for_each_stale([&](std::string_view labels) { stale.emplace(labels); });
    cache.end(flush);
    return stale;
  }
  std::set<std::string> live() const {
    std::set<std::string> live;
    cache.for_each_live([&](std::string_view labels) { live.emplace(labels); });
    return live;
  }
};

using Names = std::set<std::string>;

TEST_CASE_FIXTURE(Fixture, "a series that the next round has not is stale once") {
  CHECK(round({"a", "b", "c"}).empty());
  CHECK(round({"a", "b", "c"}).empty());
  CHECK(round({"a", "c"}) == Names{"Lb"});
  CHECK(round({"a", "c"}).empty());
  CHECK(cache.size() == 2);
  CHECK(live() == Names{"La", "Lc"});
}

TEST_CASE_FIXTURE(Fixture, "a round without anything makes all stale and keeps what is known") {
  round({"a", "b"});
  CHECK(round({}, false) == Names{"La", "Lb"});
  CHECK(round({}, false).empty());
  CHECK(cache.size() == 2);
  cache.begin(scratch);
  CHECK(cache.find(hasher("a")) != SeriesCache::kUnknown);
  cache.settle();
  cache.end(false);
}

TEST_CASE_FIXTURE(Fixture, "a series under another spelling is not stale") {
  cache.begin(scratch);
  const uint32_t first = cache.add(hasher("x{a,b}"), "x{a,b}", "labels");
  cache.meet(first);
  cache.track(first);
  cache.settle();
  cache.end(true);

  cache.begin(scratch);
  CHECK(cache.find(hasher("x{b,a}")) == SeriesCache::kUnknown);
  const uint32_t second = cache.add(hasher("x{b,a}"), "x{b,a}", "labels");
  cache.meet(second);
  cache.track(second);
  cache.settle();
  size_t stale = 0;
  cache.for_each_stale([&](std::string_view) { ++stale; });
  CHECK(stale == 0);
  cache.end(true);
  CHECK(cache.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a second line of a series in one round is seen") {
  cache.begin(scratch);
  const uint32_t entry = cache.add(hasher("a"), "a", "La");
  CHECK(cache.meet(entry));
  CHECK(cache.find(hasher("a")) == entry);
  CHECK_FALSE(cache.meet(entry));
  cache.settle();
  cache.end(true);
}

TEST_CASE_FIXTURE(Fixture, "the key that stood next is expected, also of dropped lines") {
  cache.begin(scratch);
  CHECK(cache.expected_key().empty());
  cache.meet(cache.add(hasher("a"), "a", "La"));
  cache.meet(cache.add(hasher("b"), "b", ""));
  cache.meet(cache.add(hasher("c"), "c", "Lc"));
  CHECK(cache.expected_key().empty());
  cache.settle();
  cache.end(true);

  cache.begin(scratch);
  CHECK(cache.expected_key() == "a");
  CHECK(cache.take_expected() == 0);
  CHECK(cache.expected_key() == "b");
  CHECK(cache.is_dropped(cache.take_expected()));
  CHECK(cache.expected_key() == "c");
  CHECK(cache.find(hasher("a")) == 0);
  CHECK(cache.expected_key() == "b");
  CHECK(cache.find(hasher("c")) == 2);
  CHECK(cache.expected_key().empty());
  cache.settle();
  cache.end(false);
}

TEST_CASE_FIXTURE(Fixture, "forgotten keys leave their series to be marked") {
  round({"a", "b"});
  cache.forget_keys();
  CHECK(live() == Names{"La", "Lb"});
  CHECK(cache.size() == 0);
  CHECK(round({"b", "c"}) == Names{"La"});
  CHECK(round({"b"}) == Names{"Lc"});
}

TEST_CASE_FIXTURE(Fixture, "failing rounds with ever new series do not fill the memory") {
  round({"a"});
  bool forced = false;
  for (int i = 0; i < 2000; ++i) {
    cache.begin(scratch);
    cache.meet(cache.add(hasher(std::to_string(i)), std::to_string(i), "labels"));
    cache.settle();
    forced |= cache.end(false);
    CHECK(cache.size() < 1100);
  }
  CHECK(forced);
}

TEST_CASE_FIXTURE(Fixture, "random rounds agree with a plain map") {
  core::SeededRng random(11);
  std::set<std::string> before;
  for (int step = 0; step < 300; ++step) {
    std::vector<std::string> keys;
    const uint64_t kind = random.below(4);
    for (int i = 0; i < 60; ++i) {
      if (random.below(10) > 0 || kind == 0) keys.push_back(fmt::format("series_{}", i));
    }
    if (kind == 2) {
      for (size_t i = keys.size(); i > 1; --i) std::swap(keys[i - 1], keys[random.below(i)]);
    }
    if (kind == 3) keys.push_back(fmt::format("once_{}", step));
    std::set<std::string> now;
    for (const std::string& key : keys) now.insert("L" + key);
    std::set<std::string> want;
    std::set_difference(before.begin(), before.end(), now.begin(), now.end(),
                        std::inserter(want, want.end()));
    REQUIRE(round(keys) == want);
    REQUIRE(live() == now);
    REQUIRE(cache.size() == now.size());
    before = std::move(now);
  }
}

TEST_CASE_FIXTURE(Fixture, "a target's series cost little more than their labels and keys") {
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back(fmt::format("{:0>119}", i));
  round(keys);
  round(keys);
  // 120 bytes of labels, 119 of the key, 12 of the note and a byte for its place, 48 of the entry.
  CHECK(cache.memory_bytes() <= 305 * keys.size());
}

}  // namespace
