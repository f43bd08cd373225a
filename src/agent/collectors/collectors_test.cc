// Runs collectors over the fixture tree testdata/host and compares with
// testdata/expected/<collector>.txt. With PETREL_UPDATE_GOLDEN set those are written
// instead; read the difference before committing it.

#include "agent/collectors/mount_usage.h"
#include "agent/collectors/remote_statfs.h"
#include "agent/collectors/table.h"
#include "agent/collectors/timex.h"
#include "agent/testing/record.h"
#include "agent/text_file.h"
#include "core/testing/fake_clock.h"

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <mutex>
#include <sys/stat.h>
#include <sys/timex.h>
#include <thread>
#include <unistd.h>

namespace agent {
namespace {

Roots fixture() {
  const std::string base = TESTDATA_DIR "/host";
  return {.proc = base + "/proc",
          .sys = base + "/sys",
          .etc = base + "/etc",
          .usr_lib = base + "/usr/lib",
          .udev_data = base + "/udev",
          .run = base + "/run",
          .mounts_prefix = base + "/mounts"};
}

// A collector alone, with settings as on the command line.
std::unique_ptr<Collector> make_one(std::string_view name, const Roots& roots,
                                    std::map<std::string, std::string, std::less<>> settings = {}) {
  static const core::testing::FakeClock clock(1'700'000'000'500);
  CollectorOptions options{.roots = roots, .disable_defaults = true};
  options.chosen.emplace(name, true);
  options.settings = std::move(settings);
  auto made = make_collectors(options, clock);
  REQUIRE_MESSAGE(made, made.error().message);
  REQUIRE(made->size() == 1);
  return std::move(made->front());
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void check_golden(Collector& collector) {
  const std::string path = fmt::format(TESTDATA_DIR "/expected/{}.txt", collector.name());
  CAPTURE(path);
  testing::RecordingOutput output;
  const core::Result<void> result = collector.collect(output);
  REQUIRE_MESSAGE(result, result.error().message);
  if (std::getenv("PETREL_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << output.text();
  CHECK(output.text() == read_file(path));
}

TEST_CASE("collectors read the fixture tree to the expected samples") {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  const Roots roots = fixture();
  for (const CollectorInfo& collector : collector_table()) {
    // Of this host itself, or tested elsewhere.
    if (collector.name == "timex" || collector.name == "uname" || collector.name == "tcpstat" ||
        collector.name == "systemd" || collector.name == "filesystem" ||
        collector.name == "textfile") {
      continue;
    }
    if (collector.name == "sockstat" && ::getpagesize() != 4096) continue;
    const auto one = make_one(collector.name, roots, {{"cpu.info", "true"}});
    if (collector.name != "rapl") {
      check_golden(*one);
      continue;
    }
    // Its paths are in its labels.
    testing::RecordingOutput output;
    REQUIRE(one->collect(output));
    CHECK(output.text().find("node_rapl_package_joules_total{index=\"0\",path=\"" + roots.sys +
                             "/class/powercap/intel-rapl:0\"} 240422.366267\n") !=
          std::string::npos);
  }
}

TEST_CASE("mounts are listed once, unescaped, without the ignored ones; a lost one is an error") {
  testing::RecordingOutput output;
  REQUIRE(make_one("filesystem", fixture())->collect(output));
  const auto has = [&](std::string_view text) {
    return output.text().find(text) != std::string::npos;
  };
  const std::string disk = R"({device="/dev/sdb1",mountpoint="/data disk",fstype="xfs"})";
  CHECK(has("node_filesystem_device_error" + disk + " 0\n"));
  CHECK(has("node_filesystem_readonly" + disk + " 1\n"));
  CHECK(
      has("node_filesystem_readonly"
          R"({device="/dev/sda1",mountpoint="/root",fstype="ext4"} 0)"));
  CHECK(
      has("node_filesystem_device_error"
          R"({device="/dev/sdc1",mountpoint="/gone",fstype="ext4"} 1)"));
  CHECK(
      !has("node_filesystem_size_bytes"
           R"({device="/dev/sdc1")"));
  CHECK(!has("/proc"));
  CHECK(!has("/dev/shm"));
  CHECK(!has("docker"));
  CHECK(!has("cgroup"));
  CHECK(!has("credentials"));

  const MountUsage usage = read_mount_usage(fixture().mounts_prefix + "/root");
  CHECK(usage.size_bytes > 0);
  CHECK(usage.free_bytes <= usage.size_bytes);
  CHECK(
      has(fmt::format("node_filesystem_size_bytes"
                      R"({{device="/dev/sda1",mountpoint="/root",fstype="ext4"}} {})",
                      static_cast<uint64_t>(usage.size_bytes))));
}

TEST_CASE("a source that this host lacks is NotFound, an odd one names file and text") {
  testing::RecordingOutput output;
  Roots roots = fixture();
  roots.proc = TESTDATA_DIR "/nothing";
  roots.sys = roots.proc;
  for (const auto& collector :
       {make_one("pressure", roots), make_one("cpu", roots), make_one("netclass", roots),
        make_one("filesystem", roots), make_one("sockstat", roots)}) {
    const core::Result<void> result = collector->collect(output);
    REQUIRE(!result);
    CHECK(result.error().code == core::ErrorCode::NotFound);
  }
  CHECK(output.text().empty());
}

TEST_CASE("odd entries of a textfile folder do not hold up the others, large files are whole") {
  const std::string folder = fmt::format("/tmp/petrel_textfile_test.{}", ::getpid());
  REQUIRE(::system(("mkdir -p " + folder + "/folder.prom").c_str()) == 0);
  REQUIRE(::mkfifo((folder + "/pipe.prom").c_str(), 0600) == 0);
  REQUIRE(::symlink("/dev/zero", (folder + "/zero.prom").c_str()) == 0);
  std::ofstream(folder + "/good.prom") << "good 1\n";
  {
    std::ofstream large(folder + "/large.prom");
    for (int i = 0; i < 100'000; ++i) large << "large{number=\"" << i << "\"} 1\n";
  }
  const auto collector = make_one("textfile", Roots(), {{"textfile.directory", folder}});
  testing::RecordingOutput output;
  CHECK(collector->collect(output));
  CHECK(output.text().find("good 1") != std::string::npos);
  CHECK(output.text().find("large{number=\"99999\"} 1") != std::string::npos);
  CHECK(output.text().find("node_textfile_scrape_error 1") != std::string::npos);
  REQUIRE(::system(("rm -r " + folder).c_str()) == 0);
}

TEST_CASE("a cpu's counters do not step back, unless the cpu went and came back") {
  const std::string folder = fmt::format("/tmp/petrel_cpu_test.{}", ::getpid());
  REQUIRE(::system(("mkdir -p " + folder).c_str()) == 0);
  Roots roots;
  roots.proc = folder;
  const auto collector = make_one("cpu", roots);
  const auto iowait_after = [&](std::string_view line) {
    std::ofstream(folder + "/stat") << line << "\n";
    testing::RecordingOutput output;
    REQUIRE(collector->collect(output));
    const std::string key = "mode=\"iowait\"} ";
    const size_t at = output.text().find(key) + key.size();
    return output.text().substr(at, output.text().find('\n', at) - at);
  };
  CHECK(iowait_after("cpu0 1000 0 0 50000 300 0 0 0 0 0") == "3");
  CHECK(iowait_after("cpu0 1001 0 0 49990 290 0 0 0 0 0") == "3");
  CHECK(iowait_after("cpu0 1002 0 0 50100 310 0 0 0 0 0") == "3.1");
  CHECK(iowait_after("cpu0 1 0 0 100 2 0 0 0 0 0") == "0.02");
  REQUIRE(::system(("rm -r " + folder).c_str()) == 0);
}

TEST_CASE("timex values are scaled by the unit that the kernel names") {
  timex kernel{};
  kernel.offset = 1'500'000;
  kernel.status = STA_NANO | STA_PLL;
  kernel.maxerror = 2'000'000;
  kernel.freq = 65536;
  kernel.tai = 37;
  testing::RecordingOutput nano;
  add_timex(kernel, TIME_OK, nano);
  CHECK(nano.text().find("node_timex_offset_seconds 0.0015\n") != std::string::npos);
  CHECK(nano.text().find("node_timex_sync_status 1\n") != std::string::npos);
  CHECK(nano.text().find("node_timex_maxerror_seconds 2\n") != std::string::npos);
  CHECK(nano.text().find("node_timex_frequency_adjustment_ratio 1.000001\n") != std::string::npos);
  CHECK(nano.text().find("node_timex_tai_offset_seconds 37\n") != std::string::npos);
  kernel.status = 0;
  testing::RecordingOutput micro;
  add_timex(kernel, TIME_ERROR, micro);
  CHECK(micro.text().find("node_timex_offset_seconds 1.5\n") != std::string::npos);
  CHECK(micro.text().find("node_timex_sync_status 0\n") != std::string::npos);
}

// A file system whose server is gone, until released.
std::mutex hang_mutex;
std::atomic<int> calls = 0;

MountUsage call_that_may_hang(const std::string& mount_point) {
  ++calls;
  if (mount_point == "/dead") const std::lock_guard wait(hang_mutex);
  return {.failed = false, .size_bytes = 5};
}

TEST_CASE("a mount that hangs fails alone, is not asked twice, and comes back") {
  calls = 0;
  RemoteStatfs remote(&call_that_may_hang);
  std::unique_lock hang(hang_mutex);
  std::vector<MountUsage> usages = remote.ask({"/good", "/dead", "/late"}, 50);
  REQUIRE(usages.size() == 3);
  CHECK(usages[0].size_bytes == 5);
  CHECK(usages[1].failed);
  CHECK(usages[2].failed);  // behind the one that hangs
  usages = remote.ask({"/good", "/dead"}, 1);
  CHECK(!usages[0].failed);
  CHECK(usages[1].failed);
  CHECK(calls == 2);
  hang.unlock();
  // Patience far above what the thread needs to come back.
  remote.ask({"/good"}, 60'000);
  usages = remote.ask({"/good", "/dead"}, 60'000);
  CHECK(!usages[0].failed);
  CHECK(!usages[1].failed);
}

TEST_CASE("words, lines and numbers are taken as the kernel writes them") {
  std::string_view text = "a  b\n\nc";
  std::string_view line = take_line(text);
  CHECK(take_word(line) == "a");
  CHECK(take_word(line) == "b");
  CHECK(take_word(line) == "");
  CHECK(take_line(text) == "");
  CHECK(take_line(text) == "c");
  CHECK(text.empty());
  CHECK(*to_number("0x1303") == 4867);
  CHECK(*to_number("-1") == -1);
  CHECK(*to_number("18446744073709551615") == 18446744073709551615.0);
  CHECK(!to_number(""));
  CHECK(!to_number("12kB"));
  CHECK(!to_number("0x"));
}

}  // namespace
}  // namespace agent
