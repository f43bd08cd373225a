#include "tsdb/manifest.h"

#include "core/crc32c.h"

#include <doctest/doctest.h>

namespace tsdb {

TEST_CASE("a manifest survives encoding") {
  Manifest manifest;
  manifest.next_number = 8;
  manifest.next_series_id = 77;
  manifest.snapshot_number = 5;
  manifest.closed["team-a"] = {.before_ms = -7'200'000, .log_before = 42};
  manifest.evicted["team-a"] = 41;
  manifest.blocks.push_back({.number = 3,
                             .tenant = "team-a",
                             .level = 2,
                             .order = 2,
                             .start_ms = 0,
                             .end_ms = 7'200'000,
                             .min_time_ms = 5,
                             .max_time_ms = 7'199'999,
                             .size_bytes = 100,
                             .series = 2,
                             .samples = 9});
  Tombstone tombstone{
      .tenant = "team-a", .matchers = {}, .range = {0, 100}, .blocks_before = 4, .log_before = 40};
  for (const auto& [type, name, value] :
       {std::tuple{model::MatchType::Equal, "job", ""},
        std::tuple{model::MatchType::NotEqual, "üml", "a b\n%\""},
        std::tuple{model::MatchType::Regex, "__name__", "up|down.*"},
        std::tuple{model::MatchType::NotRegex, "host", ""}}) {
    tombstone.matchers.push_back(*model::Matcher::create(type, name, value));
  }
  manifest.tombstones.push_back(tombstone);
  manifest.tombstones.push_back({.tenant = "other", .matchers = {}, .range = {1, 2}});

  const auto again = Manifest::decode(manifest.encode());
  REQUIRE(again.has_value());
  CHECK(again->encode() == manifest.encode());
  REQUIRE(again->tombstones.size() == 2);
  REQUIRE(again->tombstones[0].matchers.size() == 4);
  CHECK(again->tombstones[0].matchers[1].value() == "a b\n%\"");
  CHECK(again->tombstones[0].matchers[3].type() == model::MatchType::NotRegex);
  CHECK(again->blocks[0].order == 2);
  CHECK(again->closed.at("team-a").log_before == 42);
  CHECK(again->evicted.at("team-a") == 41);
}

TEST_CASE("manifests of version 1 are read, those of the future are not") {
  const auto sealed = [](std::string text) {
    text += fmt::format("crc {:08x}\n", core::crc32c(text));
    return text;
  };
  const auto old = Manifest::decode(
      sealed("petrel-manifest 1\nnext_number 4\nnext_series_id 9\nsnapshot 3\n"
             "closed default 7200000\nblock 2 default 0 7200000 7190000 512 3 40\n"));
  REQUIRE(old.has_value());
  CHECK(old->closed.at("default").log_before == Closed::kWholeLog);
  CHECK(old->blocks[0].level == 1);
  CHECK(old->blocks[0].order == 2);
  CHECK(old->blocks[0].max_time_ms == 7'190'000);

  CHECK(Manifest::decode(sealed("petrel-manifest 2\n")).has_value());
  CHECK_FALSE(Manifest::decode(sealed("petrel-manifest 2\nevicted default 7\n")).has_value());
  const auto future = Manifest::decode(sealed("petrel-manifest 4\n"));
  REQUIRE_FALSE(future.has_value());
  CHECK(future.error().message == "manifest has version 4, this program reads versions 1 to 3");
}

// Of docs/formats/manifest.md.
TEST_CASE("the example of the format is a manifest") {
  const auto example = Manifest::decode(
      "petrel-manifest 3\nnext_number 7\nnext_series_id 1042\nsnapshot 6\n"
      "closed default 1700006400000 8813\nevicted default 8790\n"
      "block 5 default 1 5 1699999200000 1700006400000 1699999205000 1700006395000 48212 1041 "
      "749520\n"
      "tombstone default 1700000000000 1700000600000 5 8200 __name__ = up instance =~ db%2E%2A\n"
      "crc a179f1f7\n");
  REQUIRE_MESSAGE(example.has_value(), example.error().message);
  CHECK(example->evicted.at("default") == 8790);
}

TEST_CASE("every damaged byte of a manifest is noticed") {
  Manifest manifest;
  manifest.closed["default"] = {.before_ms = 1, .log_before = 2};
  const std::string whole = manifest.encode();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    CHECK_FALSE(Manifest::decode(damaged).has_value());
    CHECK_FALSE(Manifest::decode(whole.substr(0, at)).has_value());
  }
}

}  // namespace tsdb
