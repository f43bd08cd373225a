#include "core/file_system.h"

#include "core/testing/sim_file_system.h"

#include <csignal>
#include <cstdlib>
#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace core {
namespace {

using testing::SimFault;
using testing::SimFileSystem;

std::string make_temporary_folder() {
  std::string path = "/tmp/petrel_file_system_test.XXXXXX";
  REQUIRE(::mkdtemp(path.data()) != nullptr);
  return path;
}

// Runs the same test on the host's files and on simulated ones.
void on_both(const std::function<void(FileSystem&, const std::string&)>& test) {
  SUBCASE("on the host") {
    PosixFileSystem files;
    const std::string dir = make_temporary_folder();
    test(files, dir);
    CHECK(files.remove_all(dir));
    CHECK(!files.exists(dir));
  }
  SUBCASE("simulated") {
    SimFileSystem files;
    REQUIRE(files.create_dirs("data"));
    test(files, "data");
  }
}

bool mentions(const Error& error, std::string_view text) {
  CAPTURE(error.message);
  return error.message.find(text) != std::string::npos;
}

TEST_CASE("bytes written at an offset are read back, and a gap reads as zeros") {
  on_both([](FileSystem& files, const std::string& dir) {
    const auto file = files.open(dir + "/a", OpenMode::CreateNew);
    REQUIRE(file);
    REQUIRE((*file)->write_at(4, "four"));
    REQUIRE((*file)->write_at(0, "1"));
    CHECK(*(*file)->size() == 8);
    CHECK(*(*file)->read_at(0, 100) == std::string("1\0\0\0four", 8));
    CHECK(*(*file)->read_at(6, 1) == "u");
    const std::string long_text = "twenty-six characters long" + std::string(40, '.');
    REQUIRE((*file)->write_at(8, long_text));
    for (size_t n = 1; n < 40; ++n) CHECK(*(*file)->read_at(8, n) == long_text.substr(0, n));
    REQUIRE((*file)->truncate(8));
    CHECK(*(*file)->read_at(8, 1) == "");
    CHECK(*(*file)->read_at(1000, 1) == "");
    CHECK((*file)->sync());
    REQUIRE((*file)->truncate(2));
    CHECK(*files.read_file(dir + "/a") == std::string("1\0", 2));
  });
}

TEST_CASE("advice about a file changes nothing of what is read and written") {
  on_both([](FileSystem& files, const std::string& dir) {
    const auto file = files.open(dir + "/a", OpenMode::CreateNew);
    REQUIRE(file);
    const std::string bytes((3U << 20U) + 7, 'x');
    REQUIRE((*file)->write_at(0, bytes));
    (*file)->advise(FileUse::Soon);
    (*file)->advise(FileUse::NoMore);  // not written to the disk yet
    CHECK(*(*file)->read_at(0, bytes.size()) == bytes);
    REQUIRE((*file)->sync());
    (*file)->advise(FileUse::NoMore);
    CHECK(*(*file)->read_at(0, bytes.size()) == bytes);
    REQUIRE((*file)->write_at(1, "y"));
    CHECK(*(*file)->read_at(0, 3) == "xyx");
  });
}

TEST_CASE("allocated space reads as zeros and keeps what was there") {
  on_both([](FileSystem& files, const std::string& dir) {
    const auto file = files.open(dir + "/a", OpenMode::CreateNew);
    REQUIRE(file);
    REQUIRE((*file)->write_at(0, "kept"));
    REQUIRE((*file)->allocate(4096));
    CHECK(*(*file)->size() == 4096);
    CHECK((*file)->read_at(0, 8)->substr(0, 5) == std::string("kept\0", 5));
    REQUIRE((*file)->allocate(8));
    CHECK(*(*file)->size() == 4096);
  });
}

TEST_CASE("errors say what was tried, where, and what the system answered") {
  on_both([](FileSystem& files, const std::string& dir) {
    const std::string missing = dir + "/missing";
    const auto opened = files.open(missing, OpenMode::Read);
    REQUIRE(!opened);
    CHECK(opened.error().code == ErrorCode::NotFound);
    CHECK(mentions(opened.error(), "open " + missing + ": No such file or directory"));
    CHECK(files.open(missing, OpenMode::ReadWrite).error().code == ErrorCode::NotFound);
    CHECK(files.remove(missing).error().code == ErrorCode::NotFound);
    CHECK(files.list(missing).error().code == ErrorCode::NotFound);
    CHECK(files.sync_dir(missing).error().code == ErrorCode::NotFound);
    CHECK(files.read_file(missing).error().code == ErrorCode::NotFound);
    CHECK(files.open(missing + "/a", OpenMode::CreateNew).error().code == ErrorCode::NotFound);
    const auto renamed = files.rename(missing, dir + "/b");
    REQUIRE(!renamed);
    CHECK(renamed.error().code == ErrorCode::NotFound);
    CHECK(mentions(renamed.error(), missing));
    CHECK(mentions(renamed.error(), dir + "/b"));
  });
}

TEST_CASE("a new file cannot take the name of an existing one") {
  on_both([](FileSystem& files, const std::string& dir) {
    REQUIRE(files.open(dir + "/a", OpenMode::CreateNew));
    const auto second = files.open(dir + "/a", OpenMode::CreateNew);
    REQUIRE(!second);
    CHECK(second.error().code == ErrorCode::Conflict);
    CHECK(mentions(second.error(), dir + "/a"));
    CHECK(files.create_dirs(dir + "/a").error().code == ErrorCode::Conflict);
  });
}

TEST_CASE("folders list their names in order and are removed whole") {
  on_both([](FileSystem& files, const std::string& dir) {
    REQUIRE(files.create_dirs(dir + "/x/y"));
    REQUIRE(files.create_dirs(dir + "/x/y"));
    REQUIRE(files.open(dir + "/x/b", OpenMode::CreateNew));
    REQUIRE(files.open(dir + "/x/a", OpenMode::CreateOrTruncate));
    REQUIRE(files.open(dir + "/x/y/deep", OpenMode::CreateNew));
    CHECK(*files.list(dir + "/x") == std::vector<std::string>{"a", "b", "y"});
    REQUIRE(files.rename(dir + "/x/b", dir + "/x/a"));
    CHECK(*files.list(dir + "/x") == std::vector<std::string>{"a", "y"});
    REQUIRE(files.remove(dir + "/x/a"));
    REQUIRE(files.remove_all(dir + "/x"));
    REQUIRE(files.remove_all(dir + "/x"));
    CHECK(!files.exists(dir + "/x/y/deep"));
    CHECK(*files.list(dir) == std::vector<std::string>{});
  });
}

TEST_CASE("an atomic write replaces the old content and leaves no other file") {
  on_both([](FileSystem& files, const std::string& dir) {
    REQUIRE(files.write_file_atomically(dir + "/a", "old and longer"));
    REQUIRE(files.write_file_atomically(dir + "/a", "new"));
    CHECK(*files.read_file(dir + "/a") == "new");
    CHECK(*files.list(dir) == std::vector<std::string>{"a"});
  });
}

TEST_CASE("a lock is held once, names its holder, and is free after its release") {
  on_both([](FileSystem& files, const std::string& dir) {
    auto lock = files.lock(dir + "/lock");
    REQUIRE(lock);
    const auto second = files.lock(dir + "/lock");
    REQUIRE(!second);
    CHECK(second.error().code == ErrorCode::Conflict);
    CHECK(mentions(second.error(), dir + "/lock is in use by process "));
    lock->reset();
    CHECK(files.lock(dir + "/lock"));
  });
}

TEST_CASE("a lock of another process is refused with its pid and name, and ends with it") {
  PosixFileSystem files;
  const std::string dir = make_temporary_folder();
  int ready[2];
  int done[2];
  REQUIRE(::pipe(ready) == 0);
  REQUIRE(::pipe(done) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto lock = files.lock(dir + "/lock");
    char byte = lock ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    if (::read(done[0], &byte, 1) != 1) ::_exit(1);
    ::_exit(0);  // without releasing it
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  REQUIRE(byte == 'y');
  const auto refused = files.lock(dir + "/lock");
  REQUIRE(!refused);
  CHECK(mentions(refused.error(), fmt::format("is in use by process {} (core_test)", child)));
  REQUIRE(::write(done[1], "x", 1) == 1);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(files.lock(dir + "/lock"));
  for (const int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
  CHECK(files.remove_all(dir));
}

TEST_CASE("a full disk is LimitExceeded, in allocating and in writing") {
  // In a child, because the limit on the size of files holds for the whole process.
  const std::string dir = make_temporary_folder();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 4096, .rlim_max = 4096};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(2);
    PosixFileSystem files;
    const auto file = files.open(dir + "/a", OpenMode::CreateNew);
    if (!file) ::_exit(3);
    const auto written = (*file)->write_at(4000, std::string(1000, 'x'));
    if (written || written.error().code != ErrorCode::LimitExceeded) ::_exit(4);
    if (written.error().message.find(dir + "/a: ") == std::string::npos) ::_exit(5);
    const auto allocated = (*file)->allocate(8192);
    if (allocated || allocated.error().code != ErrorCode::LimitExceeded) ::_exit(6);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(PosixFileSystem().remove_all(dir));

  SimFileSystem files({.capacity_bytes = 4096});
  const auto file = files.open("./a", OpenMode::CreateNew);
  REQUIRE(file);
  CHECK((*file)->allocate(4097).error().code == ErrorCode::LimitExceeded);
  CHECK((*file)->write_at(4000, std::string(97, 'x')).error().code == ErrorCode::LimitExceeded);
  CHECK((*file)->write_at(4000, std::string(96, 'x')));
  CHECK(files.disk_space(".")->available_bytes == 0);
}

TEST_CASE("a pipe is refused at once, not taken for an empty file") {
  core::PosixFileSystem files;
  const std::string path = fmt::format("/tmp/petrel_pipe_test.{}", ::getpid());
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const auto text = files.read_file(path);
  REQUIRE(::unlink(path.c_str()) == 0);
  REQUIRE(!text);
  CHECK(text.error().message == "open " + path + ": a pipe, expected a file");
}

TEST_CASE("the host's disk has a size") {
  PosixFileSystem files;
  const auto space = files.disk_space("/tmp");
  REQUIRE(space);
  CHECK(space->total_bytes > 0);
  CHECK(space->available_bytes <= space->total_bytes);
}

// ---- what only the simulation can show

TEST_CASE("synced bytes under a synced name survive every crash") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    SimFileSystem files({.seed = seed});
    auto file = files.open("./a", OpenMode::CreateNew);
    REQUIRE(file);
    REQUIRE((*file)->write_at(0, std::string(2000, 'a')));
    REQUIRE((*file)->sync());
    REQUIRE(files.sync_dir("."));
    REQUIRE((*file)->write_at(2000, std::string(2000, 'b')));
    files.crash();
    const auto content = files.read_file("./a");
    REQUIRE(content);
    CHECK(content->substr(0, 2000) == std::string(2000, 'a'));
    CHECK((*file)->write_at(0, "x").error().code == ErrorCode::Io);
  }
}

TEST_CASE("a killed process loses nothing that it wrote, until the power goes too") {
  int lost = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimFileSystem files({.seed = seed});
    const auto file = files.open("./a", OpenMode::CreateNew);
    REQUIRE(file);
    REQUIRE((*file)->write_at(0, "bytes"));
    files.kill();
    CHECK(!(*file)->write_at(0, "x"));
    CHECK(*files.read_file("./a") == "bytes");
    files.crash();
    if (!files.exists("./a")) ++lost;
  }
  CHECK(lost > 0);
}

TEST_CASE("crashes lose unsynced bytes and names whole, in part, and not at all") {
  int lost_name = 0;
  int lost_bytes = 0;
  int torn = 0;
  int whole = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimFileSystem files({.seed = seed});
    auto file = files.open("./a", OpenMode::CreateNew);
    REQUIRE(file);
    REQUIRE((*file)->write_at(0, std::string(2000, 'a')));
    files.crash();
    const auto content = files.read_file("./a");
    if (!content) {
      ++lost_name;
    } else if (content->find('a') == std::string::npos) {
      ++lost_bytes;
    } else if (*content == std::string(2000, 'a')) {
      ++whole;
    } else {
      ++torn;
    }
  }
  CHECK(lost_name > 0);
  CHECK(lost_bytes > 0);
  CHECK(torn > 0);
  CHECK(whole > 0);
}

TEST_CASE("an atomic write survives every crash at every point as the old or the new content") {
  for (uint64_t point = 0; point < 6; ++point) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      CAPTURE(point);
      CAPTURE(seed);
      SimFileSystem files({.seed = seed});
      REQUIRE(files.write_file_atomically("./a", "old"));
      files.fail_at(files.fault_points() + point, SimFault::PowerLoss);
      const auto written = files.write_file_atomically("./a", "new");
      files.crash();
      const auto content = files.read_file("./a");
      REQUIRE(content);
      if (written) {
        CHECK(*content == "new");
      } else {
        CHECK((*content == "old" || *content == "new"));
      }
    }
  }
}

TEST_CASE("bytes of a failed sync are not covered by a later one") {
  SimFileSystem files;
  auto file = files.open("./a", OpenMode::CreateNew);
  REQUIRE(file);
  REQUIRE(files.sync_dir("."));
  REQUIRE((*file)->write_at(0, "lost"));
  files.fail_at(files.fault_points(), SimFault::Io);
  CHECK((*file)->sync().error().code == ErrorCode::Io);
  CHECK((*file)->sync());
  files.crash();
  CHECK(*files.read_file("./a") == "");
}

TEST_CASE("each injected fault hits exactly one operation") {
  SimFileSystem files;
  auto file = files.open("./a", OpenMode::CreateNew);
  REQUIRE(file);
  files.fail_at(files.fault_points() + 1, SimFault::NoSpace);
  CHECK((*file)->write_at(0, "a"));
  const auto refused = (*file)->write_at(1, "b");
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::LimitExceeded);
  CHECK((*file)->write_at(1, "b"));
  CHECK(*files.read_file("./a") == "ab");
}

TEST_CASE("a disk that ignores syncs loses synced bytes") {
  int lost = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimFileSystem files({.seed = seed, .ignore_sync = true});
    REQUIRE(files.write_file_atomically("./a", "bytes"));
    files.crash();
    const auto content = files.read_file("./a");
    REQUIRE(content);
    if (*content != "bytes") ++lost;
  }
  CHECK(lost > 0);
}

}  // namespace
}  // namespace core
