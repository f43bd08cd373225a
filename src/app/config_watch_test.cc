#include "app/config_watch.h"

#include "core/testing/sim_file_system.h"

#include <doctest/doctest.h>

TEST_CASE("A change of content, a new file and a removed one change the fingerprint") {
  core::testing::SimFileSystem files;
  REQUIRE(files.create_dirs("etc"));
  const std::vector<std::string> paths = {"etc/a.yml", "etc/b.yml"};
  const uint32_t none = app::files_fingerprint(files, paths);
  REQUIRE(files.write_file_atomically("etc/a.yml", ""));
  const uint32_t empty = app::files_fingerprint(files, paths);
  CHECK(empty != none);
  REQUIRE(files.write_file_atomically("etc/a.yml", "global:"));
  const uint32_t filled = app::files_fingerprint(files, paths);
  CHECK(filled != empty);
  CHECK(app::files_fingerprint(files, paths) == filled);
  CHECK(app::files_fingerprint(files, {"etc/a.yml"}) != filled);
}

TEST_CASE("A change while the files are read shows afterwards, a bad file only when it changes") {
  app::WatchedFiles watched;
  CHECK(watched.differ_from(1));
  watched.begin_reading(1);
  watched.end_reading(1, true);
  CHECK_FALSE(watched.differ_from(1));
  CHECK(watched.differ_from(2));

  watched.begin_reading(2);
  watched.end_reading(3, true);
  CHECK(watched.differ_from(3));

  watched.begin_reading(3);
  watched.end_reading(3, false);
  CHECK_FALSE(watched.differ_from(3));
  CHECK(watched.differ_from(4));
}
