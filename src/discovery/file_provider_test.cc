#include "discovery/file_provider.h"

#include "core/metrics.h"
#include "core/testing/quiet_log.h"
#include "discovery/testing/provider_run.h"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

namespace discovery {
namespace {

struct Folder {
  std::string path = "/tmp/petrel_file_sd_XXXXXX";
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path + "/" + name) << text;
  }
};

using core::testing::QuietLog;

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kWatchMs = 1'000;

void start(testing::ProviderRun& run, const std::vector<std::string>& patterns,
           int64_t interval_ms = kHourMs) {
  config::FileDiscovery config;
  config.files = patterns;
  config.refresh_interval_ms = interval_ms;
  run.start(std::move(*make_file_provider(config, "job/0", run.parts)));
  run.scheduler.run_due();
}

TEST_CASE("files are found by pattern and their groups know the file") {
  const Folder folder;
  folder.write("a.json", R"([{"targets": ["a:1", "a:2"], "labels": {"x": "y"}}])");
  folder.write("b.yml", "- targets: [b:1]\n- targets: [b:2]\n");
  folder.write("c.txt", "not a list");
  folder.write("ab.json", "[]");
  testing::ProviderRun run;
  start(run, {folder.path + "/a*.json", folder.path + "/b.yml", folder.path + "/absent.yml"});
  REQUIRE(run.updates.size() == 1);
  CHECK(run.groups.size() == 3);
  const std::string a = folder.path + "/a.json";
  CHECK(run.addresses(a + ":0") == "a:1 a:2");
  CHECK(run.groups[a + ":0"].labels == model::Labels::of({{"__meta_filepath", a}, {"x", "y"}}));
  CHECK(run.addresses(folder.path + "/b.yml:1") == "b:2");
  CHECK(run.provider->status().kind == "file");
  CHECK(run.provider->status().last_error.empty());
}

TEST_CASE("no files are an answer, too") {
  const Folder folder;
  testing::ProviderRun run;
  start(run, {folder.path + "/*.json"});
  CHECK(run.updates.size() == 1);
  CHECK(run.groups.empty());
}

TEST_CASE("a change, a rename and a removal are seen by the watch") {
  const Folder folder;
  folder.write("t.json", R"([{"targets": ["old:1"]}, {"targets": ["old:2"]}])");
  testing::ProviderRun run;
  start(run, {folder.path + "/*.json"});
  const std::string source = folder.path + "/t.json:";
  run.scheduler.run_for(kWatchMs);
  const size_t before = run.updates.size();

  folder.write("t.json", R"([{"targets": ["new:1"]}])");
  run.scheduler.run_for(kWatchMs);
  CHECK(run.addresses(source + "0") == "new:1");
  CHECK(run.addresses(source + "1") == "none");
  CHECK(run.updates.size() == before + 1);

  folder.write("t.tmp", R"([{"targets": ["renamed:1"]}])");
  std::filesystem::rename(folder.path + "/t.tmp", folder.path + "/t.json");
  run.scheduler.run_for(kWatchMs);
  CHECK(run.addresses(source + "0") == "renamed:1");

  std::filesystem::remove(folder.path + "/t.json");
  run.scheduler.run_for(kWatchMs);
  CHECK(run.groups.empty());
}

TEST_CASE("a folder that comes later is found") {
  const Folder folder;
  testing::ProviderRun run;
  start(run, {folder.path + "/later/t.yml"});
  std::filesystem::create_directory(folder.path + "/later");
  folder.write("later/t.yml", "- targets: [a:1]\n");
  run.scheduler.run_for(10 * kWatchMs);
  CHECK(run.addresses(folder.path + "/later/t.yml:0") == "a:1");
  folder.write("later/t.yml", "- targets: [b:1]\n");
  run.scheduler.run_for(kWatchMs);
  CHECK(run.addresses(folder.path + "/later/t.yml:0") == "b:1");
}

TEST_CASE("a bad file keeps its groups, is reported, and recovers") {
  const QuietLog quiet;
  const Folder folder;
  folder.write("bad.yml", "- targets: [a:1]\n");
  folder.write("good.yml", "- targets: [g:1]\n");
  testing::ProviderRun run;
  start(run, {folder.path + "/*.yml"});
  folder.write("bad.yml", "- target: [a:2]\n");
  folder.write("good.yml", "- targets: [g:2]\n");
  run.scheduler.run_for(kWatchMs);
  const std::string bad = folder.path + "/bad.yml";
  CHECK(run.addresses(bad + ":0") == "a:1");
  CHECK(run.addresses(folder.path + "/good.yml:0") == "g:2");
  REQUIRE(run.provider->status().invalid.size() == 1);
  CHECK(run.provider->status().invalid[0] ==
        bad + ":1:3: unknown key \"target\", expected targets or labels");
  const std::string metrics = core::expose_metrics();
  CHECK(metrics.find(R"(petrel_sd_invalid_entries{config="job/0",mechanism="file"} 1)") !=
        std::string::npos);
  CHECK(metrics.find(R"(petrel_sd_discovered_targets{config="job/0",mechanism="file"} 2)") !=
        std::string::npos);

  folder.write("bad.yml", "- targets: [a:3]\n");
  run.scheduler.run_for(kWatchMs);
  CHECK(run.addresses(bad + ":0") == "a:3");
  CHECK(run.provider->status().invalid.empty());
}

TEST_CASE("files are read again at the refresh interval without a watch event") {
  const Folder real;
  const Folder link;
  real.write("t.json", R"([{"targets": ["a:1"]}])");
  std::filesystem::create_symlink(real.path + "/t.json", link.path + "/t.json");
  testing::ProviderRun run;
  start(run, {link.path + "/t.json"}, 30'000);
  real.write("t.json", R"([{"targets": ["b:1"]}])");
  run.scheduler.run_for(20'000);
  CHECK(run.addresses(link.path + "/t.json:0") == "a:1");
  run.scheduler.run_for(10'000);
  CHECK(run.addresses(link.path + "/t.json:0") == "b:1");
}

TEST_CASE("after stop nothing is told any more") {
  const Folder folder;
  testing::ProviderRun run;
  start(run, {folder.path + "/*.json"});
  run.provider->stop();
  folder.write("t.json", R"([{"targets": ["a:1"]}])");
  run.scheduler.run_for(2 * kHourMs);
  CHECK(run.updates.size() == 1);
  CHECK(run.scheduler.waiting() == 0);
}

}  // namespace
}  // namespace discovery
