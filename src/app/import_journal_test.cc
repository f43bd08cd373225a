#include "app/import_journal.h"

#include "core/crc32c.h"
#include "core/testing/sim_file_system.h"
#include "promql/parser.h"

#include <doctest/doctest.h>

using app::ImportJournal;
using core::testing::SimFileSystem;

namespace {

const std::string kTenant = "default";

ImportJournal load(SimFileSystem& files) {
  auto journal = ImportJournal::load(files, "data");
  REQUIRE_MESSAGE(journal, journal.error().message);
  return *std::move(journal);
}

model::Matchers selector(const std::string& text) {
  return *promql::parse_selector(text);
}

}  // namespace

TEST_CASE("what was noted is found again, also after a power loss") {
  SimFileSystem files;
  REQUIRE(files.create_dirs("data"));
  ImportJournal journal = load(files);
  CHECK(journal.find("range 1") == nullptr);
  REQUIRE(journal.add(files, "range 1 filter {a=\"b c\"};", {.bytes = 7, .samples = 9}));
  REQUIRE(journal.add(files, "range 2", {}));
  files.crash();
  journal = load(files);
  REQUIRE(journal.find("range 1 filter {a=\"b c\"};") != nullptr);
  CHECK(journal.find("range 1 filter {a=\"b c\"};")->bytes == 7);
  CHECK(journal.find("range 2") != nullptr);
  CHECK(journal.find("range") == nullptr);
}

TEST_CASE("a journal that is damaged anywhere is refused by name") {
  SimFileSystem files;
  REQUIRE(files.create_dirs("data"));
  ImportJournal journal = load(files);
  REQUIRE(journal.begin(files, "all 1"));
  REQUIRE(journal.add(files, "range 1", {.bytes = 7, .samples = 9}));
  REQUIRE(journal.note_deletion(files, kTenant, {selector("up")}, {1, 2}));
  const auto text = files.read_file("data/import_journal");
  REQUIRE(text);
  for (size_t at = 0; at < text->size(); ++at) {
    std::string damaged = *text;
    damaged[at] = static_cast<char>(damaged[at] ^ 2);
    REQUIRE(files.write_file_atomically("data/import_journal", damaged));
    const auto refused = ImportJournal::load(files, "data");
    REQUIRE(!refused);
    CHECK(refused.error().message.find("data/import_journal: damaged") != std::string::npos);
    REQUIRE(files.write_file_atomically("data/import_journal", text->substr(0, at)));
    CHECK(!ImportJournal::load(files, "data"));
  }
}

TEST_CASE("the journal of the first version is read") {
  SimFileSystem files;
  REQUIRE(files.create_dirs("data"));
  std::string text = "petrel import journal 1\n7 9 range 1 from A B\n0 0 all A B\n";
  text += fmt::format("crc {:08x}\n", core::crc32c(text));
  REQUIRE(files.write_file_atomically("data/import_journal", text));
  const ImportJournal journal = load(files);
  REQUIRE(journal.find("range 1 from A B") != nullptr);
  CHECK(journal.find("range 1 from A B")->samples == 9);
  CHECK(journal.find("all A B") != nullptr);
  CHECK(!journal.has_unfinished());
}

TEST_CASE("an import knows what was deleted since it was begun, until it is complete") {
  SimFileSystem files;
  REQUIRE(files.create_dirs("data"));
  ImportJournal journal = load(files);
  REQUIRE(journal.note_deletion(files, kTenant, {selector("before")}, {0, 10}));
  CHECK(!files.exists("data/import_journal"));

  REQUIRE(journal.begin(files, "all 1"));
  const std::string odd = R"({"odd.name"=~"a\"b\\\\c\n.*",b!=""})";
  REQUIRE(journal.note_deletion(files, kTenant, {selector(odd), selector("up")}, {-5, 10}));
  REQUIRE(journal.note_deletion(files, "other", {selector("up")}, {0, 20}));
  REQUIRE(journal.begin(files, "all 2"));
  REQUIRE(journal.begin(files, "all 1"));  // its second run
  REQUIRE(journal.note_deletion(files, kTenant, {selector("up")}, {0, 5}));
  files.crash();

  journal = load(files);
  const auto found = journal.deletions("all 1", kTenant);
  REQUIRE(found.size() == 3);
  CHECK(found[0].range.start_ms == -5);
  REQUIRE(found[0].matchers.size() == 2);
  CHECK(found[0].matchers[0].name() == selector(odd)[0].name());
  CHECK(found[0].matchers[0].value() == selector(odd)[0].value());
  CHECK(journal.deletions("all 2", kTenant).size() == 1);
  CHECK(journal.deletions("all 3", kTenant).empty());
  // A wider one stands for the others.
  REQUIRE(journal.note_deletion(files, kTenant, {selector("up")}, {-100, 100}));
  CHECK(journal.deletions("all 1", kTenant).size() == 2);
  CHECK(journal.deletions("all 2", kTenant).size() == 1);

  REQUIRE(journal.complete(files, "all 1"));
  journal = load(files);
  CHECK(journal.find("all 1") != nullptr);
  CHECK(journal.deletions("all 2", kTenant).size() == 1);
  REQUIRE(journal.complete(files, "all 2"));
  CHECK(!journal.has_unfinished());
  CHECK(files.read_file("data/import_journal")->find("deleted") == std::string::npos);
}
