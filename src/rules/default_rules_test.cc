// The default rules against data of hosts: silent where all is well, loud where not.

#include "rules/default_rules.h"

#include "core/testing/fake_clock.h"
#include "promql/engine.h"
#include "rules/engine_query.h"
#include "rules/rule_file.h"
#include "storage/testing/memory_store.h"

#include <doctest/doctest.h>
#include <functional>
#include <map>
#include <set>

namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kNow = 1'700'000'040'000;
constexpr int64_t kHours = 26;

using Labels = std::vector<std::pair<std::string, std::string>>;
// The value so many minutes ago; nothing when there is no sample.
using Shape = std::function<std::optional<double>(int64_t minutes_ago)>;

Shape constant(double value) {
  return [value](int64_t) { return std::optional(value); };
}

struct Host {
  std::map<std::pair<std::string, Labels>, Shape> series;

  void set(const std::string& metric, Shape shape, Labels labels = {}) {
    labels.emplace_back("instance", "h");
    labels.emplace_back("job", "node");
    series[{metric, labels}] = std::move(shape);
  }

  // Names of the rules that find something now.
  std::set<std::string> loud() const {
    storage::testing::MemoryStore store;
    storage::WriteBatch batch;
    for (const auto& [id, shape] : series) {
      Labels labels = id.second;
      labels.emplace_back("__name__", id.first);
      batch.begin_series(batch.keep(model::Labels::of(labels).bytes()));
      for (int64_t ago = kHours * 60; ago >= 0; --ago) {
        if (const auto value = shape(ago)) batch.add_sample(kNow - ago * kMinute, *value);
      }
    }
    REQUIRE(store.append(batch));
    const core::testing::FakeClock clock(kNow);
    const promql::Engine engine(store, clock, {});
    const rules::Query query = rules::engine_query(engine, "default");
    const rules::RuleFile file =
        rules::read_rule_file(rules::default_rules(), rules::engine_check(engine), true);
    REQUIRE(file.errors.empty());
    std::set<std::string> names;
    for (const rules::RuleSpec& rule : file.groups.at(0).rules) {
      const auto value = query(rule.expression, kNow);
      REQUIRE_MESSAGE(value, (rule.name + ": " + (value ? "" : value.error().message)));
      if (std::get<promql::Vector>(*value).empty()) continue;
      names.insert(rule.name);
      for (const promql::VectorSample& sample : std::get<promql::Vector>(*value)) {
        templates::Data data;
        data.labels = sample.labels;
        data.value = sample.point.value;
        for (const auto& text : rule.annotation_templates) CHECK(text.expand(data));
      }
    }
    return names;
  }
};

const Labels kRoot = {{"device", "/dev/sda1"}, {"fstype", "ext4"}, {"mountpoint", "/"}};

void add_filesystem(Host& host, const Labels& labels, double size, Shape available) {
  host.set("node_filesystem_size_bytes", constant(size), labels);
  host.set("node_filesystem_avail_bytes", std::move(available), labels);
  host.set("node_filesystem_files", constant(1e6), labels);
  host.set("node_filesystem_files_free", constant(9e5), labels);
  host.set("node_filesystem_readonly", constant(0), labels);
}

// A machine that idles: two processors, half a disk, a clock daemon.
Host idle() {
  Host host;
  host.set("up", constant(1));
  add_filesystem(host, kRoot, 100e9, [](int64_t ago) {
    return std::optional(50e9 + 1e6 * static_cast<double>(ago % 7));
  });
  host.set("node_memory_MemTotal_bytes", constant(8e9));
  host.set("node_memory_MemAvailable_bytes", constant(6e9));
  host.set("node_pressure_memory_stalled_seconds_total", constant(1));
  host.set("node_load15", constant(0.1));
  for (const char* cpu : {"0", "1"}) {
    host.set("node_cpu_seconds_total", constant(1e5), {{"cpu", cpu}, {"mode", "idle"}});
    host.set("node_cpu_seconds_total", constant(1e3), {{"cpu", cpu}, {"mode", "user"}});
  }
  host.set("node_timex_sync_status", constant(1));
  host.set("node_timex_offset_seconds", constant(0.0002));
  host.set("node_timex_maxerror_seconds", constant(0.01));
  return host;
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("an idle host is silent") {
  CHECK(idle().loud() == Names{});
}

TEST_CASE("a container without a clock daemon, with full read-only images, is silent") {
  Host host = idle();
  host.set("node_timex_sync_status", constant(0));
  host.set("node_timex_maxerror_seconds", constant(16));
  host.set("node_timex_offset_seconds", constant(0.4));
  const Labels snap = {{"device", "/dev/loop1"}, {"fstype", "squashfs"}, {"mountpoint", "/snap/x"}};
  add_filesystem(host, snap, 1e8, constant(0));
  host.set("node_filesystem_readonly", constant(1), snap);
  const Labels empty = {{"device", "none"}, {"fstype", "ext4"}, {"mountpoint", "/empty"}};
  add_filesystem(host, empty, 0, constant(0));
  host.set("node_filesystem_files", constant(0), empty);
  host.set("node_filesystem_files_free", constant(0), empty);
  CHECK(host.loud() == Names{});
}

TEST_CASE("a host that has just started is silent") {
  Host host = idle();
  for (auto& [id, shape] : host.series) {
    shape = [before = shape](int64_t ago) { return ago < 3 ? before(ago) : std::nullopt; };
  }
  // Its disk shrank by a gigabyte in these minutes: an installation, not a trend.
  add_filesystem(host, kRoot, 100e9, [](int64_t ago) {
    return ago < 3 ? std::optional(30e9 + 1e9 * static_cast<double>(ago)) : std::nullopt;
  });
  CHECK(host.loud() == Names{});
}

TEST_CASE("a disk that fills within a day is told, one that fills within a month is not") {
  Host host = idle();
  add_filesystem(host, kRoot, 100e9, [](int64_t ago) {
    return std::optional(20e9 + 1.5e9 / 60 * static_cast<double>(ago));
  });
  CHECK(host.loud() == Names{"HostFilesystemFillsWithinADay"});
  add_filesystem(host, kRoot, 100e9, [](int64_t ago) {
    return std::optional(20e9 + 3e7 / 60 * static_cast<double>(ago));
  });
  CHECK(host.loud() == Names{});
}

TEST_CASE("what is wrong with a host is told by its own rule and no other") {
  Host host = idle();
  SUBCASE("disk full") {
    add_filesystem(host, kRoot, 100e9, constant(2e9));
    CHECK(host.loud() == Names{"HostFilesystemAlmostFull"});
  }
  SUBCASE("inodes used up") {
    host.set("node_filesystem_files_free", constant(1e4), kRoot);
    CHECK(host.loud() == Names{"HostFilesystemInodesAlmostUsedUp"});
  }
  SUBCASE("memory") {
    host.set("node_memory_MemAvailable_bytes", constant(1e8));
    CHECK(host.loud() == Names{"HostMemoryPressure"});
  }
  SUBCASE("memory stalls") {
    host.set("node_pressure_memory_stalled_seconds_total",
             [](int64_t ago) { return std::optional(1e6 - 20.0 * static_cast<double>(ago)); });
    CHECK(host.loud() == Names{"HostMemoryStalls"});
  }
  SUBCASE("load") {
    host.set("node_load15", constant(5));
    CHECK(host.loud() == Names{"HostHighLoad"});
  }
  SUBCASE("clock off") {
    host.set("node_timex_offset_seconds", constant(-0.3));
    CHECK(host.loud() == Names{"HostClockSkew"});
  }
  SUBCASE("clock lost its source") {
    host.set("node_timex_sync_status",
             [](int64_t ago) { return std::optional(ago < 60 ? 0.0 : 1.0); });
    host.set("node_timex_maxerror_seconds", constant(16));
    CHECK(host.loud() == Names{"HostClockNotSynchronised"});
  }
  SUBCASE("collection fails") {
    host.set("up", constant(0));
    CHECK(host.loud() == Names{"HostDown"});
  }
  SUBCASE("no metrics at all") {
    CHECK(Host().loud() == Names{"HostMetricsMissing"});
  }
}
