#include "app/import_journal.h"

#include "core/testing/sim_file_system.h"

#include <doctest/doctest.h>

using app::ImportJournal;
using core::testing::SimFileSystem;

TEST_CASE("what was noted is found again, also after a power loss") {
  SimFileSystem files;
  REQUIRE(files.create_dirs("data"));
  ImportJournal journal = ImportJournal::load(files, "data");
  CHECK(journal.find("range 1") == nullptr);
  REQUIRE(journal.add(files, "range 1 filter {a=\"b c\"};", {.bytes = 7, .samples = 9}));
  REQUIRE(journal.add(files, "range 2", {}));
  files.crash();
  journal = ImportJournal::load(files, "data");
  REQUIRE(journal.find("range 1 filter {a=\"b c\"};") != nullptr);
  CHECK(journal.find("range 1 filter {a=\"b c\"};")->bytes == 7);
  CHECK(journal.find("range 2") != nullptr);
  CHECK(journal.find("range") == nullptr);
}

TEST_CASE("a journal that is damaged anywhere counts as none") {
  SimFileSystem files;
  REQUIRE(files.create_dirs("data"));
  ImportJournal journal = ImportJournal::load(files, "data");
  REQUIRE(journal.add(files, "range 1", {.bytes = 7, .samples = 9}));
  const auto text = files.read_file("data/import_journal");
  REQUIRE(text);
  for (size_t at = 0; at < text->size(); ++at) {
    std::string damaged = *text;
    damaged[at] = static_cast<char>(damaged[at] ^ 2);
    REQUIRE(files.write_file_atomically("data/import_journal", damaged));
    CHECK(ImportJournal::load(files, "data").find("range 1") == nullptr);
    REQUIRE(files.write_file_atomically("data/import_journal", text->substr(0, at)));
    CHECK(ImportJournal::load(files, "data").find("range 1") == nullptr);
  }
}
