// One suite over both stores, then what only the file on disk can do.

#include "alertstore/alert_store.h"

#include "alertstore/sqlite_store.h"
#include "alertstore/testing/memory_store.h"

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>
#include <unistd.h>

using alertstore::AlertStore;
using alertstore::Condition;
using alertstore::Entry;
using alertstore::Mutation;
using alertstore::SqliteStore;
using alertstore::testing::Fault;
using alertstore::testing::MemoryStore;
using core::ErrorCode;

namespace {

class TempDir {
 public:
  TempDir() {
    std::string pattern = "/tmp/petrel_alertstore_XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::unique_ptr<SqliteStore> open(const std::string& path) {
  auto store = SqliteStore::open(path);
  REQUIRE_MESSAGE(store, (store ? "" : store.error().message));
  return std::move(*store);
}

core::Result<void> put(AlertStore& store, std::vector<Mutation> mutations,
                       std::vector<Condition> conditions = {}) {
  return store.apply(mutations, conditions);
}

void both(const std::function<void(AlertStore&)>& test) {
  SUBCASE("in memory") {
    MemoryStore store;
    test(store);
  }
  SUBCASE("SQLite") {
    const TempDir dir;
    test(*open(dir.file("a.db")));
  }
}

}  // namespace

TEST_CASE("what was put is read back, byte for byte") {
  both([](AlertStore& store) {
    const std::string bytes("\0\xff'\"%;\n", 7);
    CHECK(put(store, {{"k" + bytes, "v" + bytes}, {"empty", ""}}));
    CHECK(store.get("k" + bytes).value() == "v" + bytes);
    CHECK(store.get("empty").value() == "");
    CHECK(store.get("absent").value() == std::nullopt);
    CHECK(put(store, {{"empty", "full"}}));
    CHECK(store.get("empty").value() == "full");
    CHECK(put(store, {{"empty", std::nullopt}, {"never there", std::nullopt}}));
    CHECK(store.get("empty").value() == std::nullopt);
  });
}

TEST_CASE("a batch applies wholly or not at all") {
  both([](AlertStore& store) {
    CHECK(put(store, {{"a", "1"}}));
    const auto refused = put(store, {{"a", "2"}, {"b", "2"}}, {{"a", "7"}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::Conflict);
    CHECK(store.get("a").value() == "1");
    CHECK(store.get("b").value() == std::nullopt);
    CHECK_FALSE(put(store, {{"b", "2"}}, {{"a", std::nullopt}}));
    CHECK(put(store, {{"b", "2"}}, {{"a", "1"}, {"c", std::nullopt}}));
    CHECK(store.get("b").value() == "2");
  });
}

TEST_CASE("later mutations of a batch win over earlier ones of the same key") {
  both([](AlertStore& store) {
    CHECK(put(store, {{"a", "1"}, {"a", std::nullopt}, {"b", "1"}, {"b", "2"}}));
    CHECK(store.get("a").value() == std::nullopt);
    CHECK(store.get("b").value() == "2");
  });
}

TEST_CASE("a scan gives the keys of a prefix in order, page by page") {
  both([](AlertStore& store) {
    const std::string high("p\xff\xff", 3);
    CHECK(put(store, {{"p2", "b"}, {"p1", "a"}, {high, "c"}, {"o", "x"}, {"q", "y"}}));
    CHECK(store.scan("p", 10).value() == std::vector<Entry>{{"p1", "a"}, {"p2", "b"}, {high, "c"}});
    CHECK(store.scan("p", 2).value() == std::vector<Entry>{{"p1", "a"}, {"p2", "b"}});
    CHECK(store.scan("p", 2, "p2").value() == std::vector<Entry>{{high, "c"}});
    CHECK(store.scan("p\xff", 2).value() == std::vector<Entry>{{high, "c"}});
    CHECK(store.scan("", 10).value().size() == 5);
    CHECK(store.scan("r", 10).value().empty());
  });
}

TEST_CASE("SQLite keeps what was applied across close and open") {
  const TempDir dir;
  CHECK(put(*open(dir.file("a.db")), {{"a", "1"}}));
  CHECK(open(dir.file("a.db"))->get("a").value() == "1");
}

TEST_CASE("SQLite is readable by its owner only") {
  const TempDir dir;
  const auto store = open(dir.file("a.db"));
  CHECK(put(*store, {{"a", "1"}}));
  for (const char* name : {"a.db", "a.db-wal"}) {
    const auto mode = std::filesystem::status(dir.file(name)).permissions();
    CHECK((mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
          std::filesystem::perms::none);
  }
}

TEST_CASE("a damaged or foreign file is a clear error and is left alone") {
  const TempDir dir;
  SUBCASE("not a database") {
    std::ofstream(dir.file("a.db")) << "this is a shopping list, not a database at all\n";
    const auto store = SqliteStore::open(dir.file("a.db"));
    REQUIRE_FALSE(store);
    CHECK(store.error().code == ErrorCode::Corruption);
    CHECK(store.error().message.find(dir.file("a.db")) != std::string::npos);
  }
  SUBCASE("a page overwritten") {
    {
      const auto store = open(dir.file("a.db"));
      for (int i = 0; i < 200; ++i) {
        CHECK(put(*store, {{"key" + std::to_string(i), std::string(500, 'x')}}));
      }
    }
    std::fstream file(dir.file("a.db"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(8192, '\x5a');
    file.close();
    const auto store = SqliteStore::open(dir.file("a.db"));
    REQUIRE_FALSE(store);
    CHECK(store.error().code == ErrorCode::Corruption);
  }
  SUBCASE("a folder that does not exist") {
    const auto store = SqliteStore::open(dir.file("no/such/a.db"));
    REQUIRE_FALSE(store);
    CHECK(store.error().message.find("no/such/a.db") != std::string::npos);
  }
}

TEST_CASE("a store of a newer version is refused") {
  const TempDir dir;
  open(dir.file("a.db"));
  {
    // Byte 60 of the header is user_version, big-endian (sqlite.org/fileformat2.html).
    std::fstream file(dir.file("a.db"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(63);
    file.put(9);
  }
  const auto store = SqliteStore::open(dir.file("a.db"));
  REQUIRE_FALSE(store);
  CHECK(store.error().code == ErrorCode::Unsupported);
  CHECK(store.error().message.find("version 9") != std::string::npos);
}

TEST_CASE("threads take turns at one SQLite store") {
  const TempDir dir;
  const auto store = open(dir.file("a.db"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        if (!put(*store, {{key, key}})) std::abort();
        if (store->get(key).value() != key) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(store->scan("", 1000).value().size() == 100);
}

TEST_CASE("injected failures apply nothing, or apply and hide it") {
  MemoryStore store;
  store.fail_write(0, Fault::Unavailable);
  CHECK_FALSE(put(store, {{"a", "1"}}));
  CHECK(store.get("a").value() == std::nullopt);
  store.fail_write(0, Fault::UnknownButApplied);
  CHECK_FALSE(put(store, {{"a", "1"}}));
  CHECK(store.get("a").value() == "1");
  store.fail_write(1, Fault::CrashAfter);
  CHECK(put(store, {{"b", "1"}}));
  CHECK_FALSE(put(store, {{"c", "1"}}));
  CHECK_FALSE(store.get("c"));
  CHECK(store.crashed());
  store.restart();
  CHECK(store.get("c").value() == "1");
  store.fail_write(0, Fault::CrashBefore);
  CHECK_FALSE(put(store, {{"d", "1"}}));
  store.restart();
  CHECK(store.get("d").value() == std::nullopt);
}
