#include "objstore/local_object_store.h"

#include "core/testing/sim_file_system.h"

#include <doctest/doctest.h>

namespace objstore {

namespace {

using core::ErrorCode;
using core::testing::SimFileSystem;

std::string keys_of(const LocalObjectStore& store, const std::string& prefix) {
  std::string keys;
  const auto objects = store.list(prefix).value();
  for (const ObjectInfo& object : objects) {
    keys += object.key + ":" + std::to_string(object.size) + " ";
  }
  return keys;
}

}  // namespace

TEST_CASE("An object is what was last put under its key") {
  SimFileSystem files;
  LocalObjectStore store(files, "data/objects");
  CHECK(store.get("a/b").error().code == ErrorCode::NotFound);
  REQUIRE(store.put("a/b", "first"));
  REQUIRE(store.put("a/b", "second"));
  CHECK(store.get("a/b").value() == "second");
  CHECK(store.get_range("a/b", 2, 3).value() == "con");
  CHECK(store.get_range("a/b", 4, 100).value() == "nd");
  CHECK(store.get_range("a/b", 100, 1).value().empty());
  REQUIRE(store.put("empty", ""));
  CHECK(store.get("empty").value().empty());
}

TEST_CASE("Removing an object twice is fine") {
  SimFileSystem files;
  LocalObjectStore store(files, "data");
  REQUIRE(store.put("a", "x"));
  REQUIRE(store.remove("a"));
  CHECK(store.get("a").error().code == ErrorCode::NotFound);
  CHECK(store.remove("a"));
  CHECK(store.remove("never/was"));
}

TEST_CASE("Listing gives the keys with the prefix, sorted, with their sizes") {
  SimFileSystem files;
  LocalObjectStore store(files, "data");
  CHECK(keys_of(store, "").empty());
  for (const char* key : {"blocks/t2/1", "blocks/t1/2", "blocks/t1/10", "other", "blocks.txt"}) {
    REQUIRE(store.put(key, key));
  }
  CHECK(keys_of(store, "") ==
        "blocks.txt:10 blocks/t1/10:12 blocks/t1/2:11 blocks/t2/1:11 other:5 ");
  CHECK(keys_of(store, "blocks/") == "blocks/t1/10:12 blocks/t1/2:11 blocks/t2/1:11 ");
  CHECK(keys_of(store, "blocks/t1/1") == "blocks/t1/10:12 ");
  CHECK(keys_of(store, "bl") == keys_of(store, "blocks"));
  CHECK(keys_of(store, "nothing/here").empty());
}

TEST_CASE("A power failure anywhere in a put leaves the old object or the new one") {
  uint64_t fault_points = 0;
  {
    SimFileSystem files;
    LocalObjectStore store(files, "data");
    REQUIRE(store.put("a/b/c", "new"));
    fault_points = files.fault_points();
  }
  for (uint64_t point = 0; point <= fault_points; ++point) {
    CAPTURE(point);
    SimFileSystem files({.seed = point});
    LocalObjectStore store(files, "data");
    REQUIRE(store.put("kept", "old"));
    files.fail_at(files.fault_points() + point, core::testing::SimFault::PowerLoss);
    const bool stored = store.put("a/b/c", "new").has_value();
    const bool replaced = stored && store.put("kept", "newer").has_value();
    files.crash();
    const auto object = store.get("a/b/c");
    CHECK((object ? *object == "new" : !stored));
    const std::string kept = store.get("kept").value();
    CHECK((kept == "newer" || (kept == "old" && !replaced)));
  }
}

TEST_CASE("Keys that leave the folder or hide as unfinished files are refused") {
  SimFileSystem files;
  LocalObjectStore store(files, "data");
  for (const std::string& key :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"),
        std::string("../a"), std::string("a/../b"), std::string("a/."), std::string("a b"),
        std::string("a\0b", 3), std::string("caf\xc3\xa9"), std::string(1025, 'k'),
        std::string("a.tmp")}) {
    CAPTURE(key);
    CHECK(store.put(key, "x").error().code == ErrorCode::InvalidArgument);
    CHECK(store.get(key).error().code == ErrorCode::InvalidArgument);
    CHECK(store.remove(key).error().code == ErrorCode::InvalidArgument);
  }
  CHECK(check_key(std::string(1024, 'k')));
  CHECK(check_key("a..b/.hidden/-_"));
}

}  // namespace objstore
