#include "scrape/scrape_manager.h"

#include "core/testing/sim_file_system.h"
#include "core/testing/sim_scheduler.h"
#include "scrape/testing/fake_net.h"
#include "storage/testing/memory_store.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <set>

using config::ScrapeConfig;
using scrape::testing::FakeClient;
using scrape::testing::FakeProvider;
using scrape::testing::FakeProviders;
using scrape::testing::FakeServers;

namespace {

constexpr int64_t kStart = 1'700'000'000'000;

struct Point {
  int64_t time_ms;
  double value;  // NaN: stale
};

// Keeps every sample by series, as text, in the order in which it came.
class RecordingSink final : public storage::SampleSink {
 public:
  core::Result<storage::AppendSummary> append(const storage::WriteBatch& batch) override {
    if (!error.message.empty()) return tl::unexpected(error);
    ++batches;
    for (const storage::BatchSeries& one : batch.series) {
      std::string name = model::LabelsView(one.labels).to_string();
      std::erase(name, ' ');
      auto& points = series[name];
      CHECK(model::is_canonical(model::LabelsView(one.labels)));
      for (const model::Sample& sample : batch.samples_of(one)) {
        points.push_back({sample.timestamp_ms, sample.value});
      }
    }
    metadata.insert(metadata.end(), batch.metadata.begin(), batch.metadata.end());
    storage::AppendSummary summary;
    summary.stored = batch.samples.size();
    return summary;
  }
  core::Error error;
  size_t batches = 0;
  std::map<std::string, std::vector<Point>> series;
  std::vector<model::Metadata> metadata;
};

config::DiscoveryConfig fixed(const std::vector<std::string>& addresses) {
  config::TargetGroup group{.source = "0", .labels = {}, .targets = {}};
  for (const std::string& address : addresses) {
    group.targets.push_back(model::Labels::of({{"__address__", address}}));
  }
  return config::StaticDiscovery{{group}};
}

ScrapeConfig job(const std::string& name, const std::vector<std::string>& addresses) {
  ScrapeConfig config;
  config.job_name = name;
  config.interval_ms = 10'000;
  config.timeout_ms = 5'000;
  config.scrape_protocols = {"OpenMetricsText1.0.0", "PrometheusText0.0.4"};
  config.discoveries = {fixed(addresses)};
  return config;
}

model::RelabelRule rule(model::RelabelAction action, const std::string& source,
                        const std::string& regex) {
  model::RelabelConfig config;
  config.source_labels = {source};
  config.regex = regex;
  config.has_regex = true;
  config.action = action;
  return *model::RelabelRule::create(config, model::NameScheme::Utf8);
}

scrape::ScrapeManagerOptions with(const std::function<void(scrape::ScrapeManagerOptions&)>& set) {
  scrape::ScrapeManagerOptions options;
  set(options);
  return options;
}

struct Fixture {
  core::testing::FakeClock clock{kStart};
  core::testing::SimScheduler scheduler{clock};
  core::testing::SimFileSystem files;
  core::SeededRng rng{1};
  RecordingSink sink;
  scrape::testing::NoLoop loop;
  FakeProviders providers;
  std::string body = "a 1\n";
  FakeServers servers{
      scheduler, [this](const net::FetchRequest&) { return FakeServers::Answer{.body = body}; }};
  std::unique_ptr<scrape::ScrapeManager> manager;

  Fixture() { restart({}); }
  ~Fixture() {
    manager->stop();
    scheduler.run_for(60'000);
  }

  void restart(scrape::ScrapeManagerOptions options) {
    manager = scrape::ScrapeManager::create(
        std::move(options),
        {.sink = sink,
         .scheduler = scheduler,
         .executor = scheduler,
         .discovery = scheduler,
         .clock = clock,
         .files = files,
         .rng = rng,
         .loop = loop,
         .make_client =
             [this](const net::ClientConfig&) -> core::Result<std::unique_ptr<net::HttpClient>> {
           return std::make_unique<FakeClient>(servers);
         },
         .make_provider = [this](const config::DiscoveryConfig& config, const std::string& name,
                                 const discovery::ProviderParts&)
             -> core::Result<std::unique_ptr<discovery::Provider>> {
           if (name.starts_with("bad")) {
             return core::fail(core::ErrorCode::InvalidArgument, "no such certificate");
           }
           return std::make_unique<FakeProvider>(config, providers);
         }});
  }

  void apply(std::vector<ScrapeConfig> configs) {
    const auto done = manager->apply(std::move(configs), {});
    REQUIRE_MESSAGE(done, done.error().message);
  }
  // One slot, and what belongs to it.
  void interval() { scheduler.run_for(10'000); }

  // Values without report series, "stale" for stale markers.
  std::string values(const std::string& series) {
    std::string text;
    for (const Point& point : sink.series[series]) {
      if (!text.empty()) text += ' ';
      text += model::is_stale_nan(point.value) ? "stale" : fmt::format("{}", point.value);
    }
    return text;
  }
  std::string x(const std::string& metric) {  // of the target x:1 in job j
    return values(metric + R"({instance="x:1",job="j"})");
  }
  scrape::TargetView target() { return manager->active("").at(0); }
};

TEST_CASE_FIXTURE(Fixture, "a target is scraped in each slot, and the samples have its time") {
  apply({job("j", {"x:1"})});
  for (int i = 0; i < 3; ++i) interval();
  CHECK(x("a") == "1 1 1");
  CHECK(x("up") == "1 1 1");
  CHECK(x("scrape_samples_scraped") == "1 1 1");
  CHECK(x("scrape_samples_post_metric_relabeling") == "1 1 1");
  CHECK(x("scrape_series_added") == "1 0 0");
  const auto& points = sink.series[R"(a{instance="x:1",job="j"})"];
  CHECK(points[1].time_ms - points[0].time_ms == 10'000);
  CHECK(points[0].time_ms >= kStart);
  CHECK(points[0].time_ms < kStart + 10'000);
  CHECK(sink.series[R"(up{instance="x:1",job="j"})"][0].time_ms == points[0].time_ms);
  CHECK(sink.series.count(R"(scrape_timeout_seconds{instance="x:1",job="j"})") == 0);
}

TEST_CASE_FIXTURE(Fixture, "the request says what Prometheus's says") {
  ScrapeConfig config = job("j", {"x:1"});
  config.params = {{"module", {"a b"}}};
  apply({config});
  interval();
  const net::FetchRequest& request = servers.requests.at(0);
  CHECK(request.url == "http://x:1/metrics?module=a+b");
  CHECK(net::find_header(request.headers, "Accept") ==
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.4");
  CHECK(net::find_header(request.headers, "Accept-Encoding") == "gzip");
  CHECK(net::find_header(request.headers, "X-Prometheus-Scrape-Timeout-Seconds") == "5");
  CHECK(request.timeout_ms == 5'000);
  CHECK(request.body_size_max == 0);
}

TEST_CASE_FIXTURE(Fixture, "targets are spread over the interval") {
  std::vector<std::string> addresses;
  for (int i = 0; i < 200; ++i) addresses.push_back(fmt::format("x{}:1", i));
  apply({job("j", addresses)});
  size_t before = 0;
  for (int i = 0; i < 10; ++i) {
    scheduler.run_for(1'000);
    CHECK(servers.requests.size() - before < 60);
    before = servers.requests.size();
  }
  CHECK(servers.requests.size() == 200);
}

TEST_CASE_FIXTURE(Fixture, "a series that vanishes gets a stale marker at the next scrape") {
  apply({job("j", {"x:1"})});
  body = "a 1\nb 2\n";
  interval();
  body = "a 1\n";
  interval();
  interval();
  CHECK(x("b") == "2 stale");
  CHECK(x("a") == "1 1 1");
}

TEST_CASE_FIXTURE(Fixture, "a failed scrape makes everything stale but its report") {
  apply({job("j", {"x:1"})});
  interval();
  servers.answer = [](const net::FetchRequest&) { return FakeServers::Answer{.status = 404}; };
  interval();
  interval();
  CHECK(x("a") == "1 stale");
  CHECK(x("up") == "1 0 0");
  CHECK(x("scrape_samples_scraped") == "1 0 0");
  CHECK(target().health == "down");
  CHECK(target().last_error == "server returned HTTP status 404 Not Found");
  servers.answer = [](const net::FetchRequest&) { return FakeServers::Answer{.body = "a 5\n"}; };
  interval();
  CHECK(x("a") == "1 stale 5");
  CHECK(x("scrape_series_added") == "1 0 0 0");  // known all the time
  CHECK(target().health == "up");
}

TEST_CASE_FIXTURE(Fixture, "an empty body is a good scrape without series") {
  apply({job("j", {"x:1"})});
  interval();
  body = "";
  interval();
  CHECK(x("a") == "1 stale");
  CHECK(x("up") == "1 1");
}

TEST_CASE_FIXTURE(Fixture, "a body that does not parse stores nothing of it") {
  apply({job("j", {"x:1"})});
  body = "a 1\nb 1\n";
  interval();
  body = "a 2\n7&- nonsense\nb 2\n";
  interval();
  CHECK(x("up") == "1 0");
  // What was named before the error keeps its old value, as in Prometheus.
  CHECK(x("a") == "1");
  CHECK(x("b") == "1 stale");
  CHECK(x("scrape_samples_scraped") == "2 1");
  CHECK(target().last_error != "");
}

TEST_CASE_FIXTURE(Fixture, "a timeout is told as Prometheus tells it") {
  apply({job("j", {"x:1"})});
  servers.answer = [](const net::FetchRequest&) { return FakeServers::Answer{.never = true}; };
  scheduler.run_for(16'000);
  CHECK(target().last_error == "Get \"http://x:1/metrics\": context deadline exceeded");
  CHECK(x("up").starts_with("0"));
  CHECK(sink.series[R"(scrape_duration_seconds{instance="x:1",job="j"})"][0].value ==
        doctest::Approx(5.0));
}

TEST_CASE_FIXTURE(Fixture, "a target that is gone gets its markers two slots later") {
  ScrapeConfig config = job("j", {});
  config.discoveries = {config::FileDiscovery{.files = {"f"}}};
  apply({config});
  const auto group = [](std::vector<std::string> addresses) {
    config::TargetGroup one{.source = "f", .labels = {}, .targets = {}};
    for (auto& address : addresses) {
      one.targets.push_back(model::Labels::of({{"__address__", address}}));
    }
    return std::vector<config::TargetGroup>{one};
  };
  providers.updates["f"](group({"x:1", "y:1"}));
  interval();
  REQUIRE(x("a") == "1");
  const int64_t slot = sink.series[R"(a{instance="x:1",job="j"})"][0].time_ms;
  providers.updates["f"](group({"y:1"}));
  scheduler.run_for(slot + 20'900 - clock.now_ms());
  CHECK(x("a") == "1");
  scheduler.run_for(300);
  CHECK(x("a") == "1 stale");
  CHECK(x("up") == "1 stale");
  CHECK(x("scrape_series_added") == "1 stale");
  CHECK(sink.series[R"(a{instance="x:1",job="j"})"][1].time_ms == slot + 10'000);
  CHECK(manager->active("").size() == 1);

  // Back after its end: as new.
  providers.updates["f"](group({"x:1", "y:1"}));
  interval();
  interval();
  CHECK(x("a").starts_with("1 stale 1"));
}

TEST_CASE_FIXTURE(Fixture, "a target that comes back in time has no gap") {
  ScrapeConfig config = job("j", {});
  config.discoveries = {config::FileDiscovery{.files = {"f"}}};
  apply({config});
  const config::TargetGroup group{
      .source = "f", .labels = {}, .targets = {model::Labels::of({{"__address__", "x:1"}})}};
  providers.updates["f"]({group});
  interval();
  interval();
  providers.updates["f"]({{.source = "f", .labels = {}, .targets = {}}});
  scheduler.run_for(2'000);
  CHECK(manager->active("").empty());
  providers.updates["f"]({group});
  for (int i = 0; i < 5; ++i) interval();
  CHECK(x("a").find("stale") == std::string::npos);
  CHECK(x("scrape_series_added").substr(0, 5) == "1 0 0");
}

TEST_CASE_FIXTURE(Fixture, "a target that moves to another job under its labels lives on") {
  ScrapeConfig first = job("first", {});
  config::TargetGroup group{.source = "0",
                            .labels = model::Labels::of({{"job", "j"}}),
                            .targets = {model::Labels::of({{"__address__", "x:1"}})}};
  first.discoveries = {config::StaticDiscovery{{group}}};
  ScrapeConfig second = first;
  second.job_name = "second";
  body = "a 1\nb 1\n";
  apply({first});
  interval();
  interval();
  body = "a 1\n";
  second.metrics_path = "/other";
  apply({second});
  for (int i = 0; i < 5; ++i) interval();
  CHECK(x("a").find("stale") == std::string::npos);
  CHECK(x("up").find("stale") == std::string::npos);
  CHECK(x("b").find("stale") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "labels that a target exposes under the target's names get a prefix") {
  apply({job("j", {"x:1"})});
  body = "a{job=\"own\",exported_job=\"older\",instance=\"i\"} 1\n";
  interval();
  CHECK(values(R"(a{exported_exported_job="own",exported_instance="i",)"
               R"(exported_job="older",instance="x:1",job="j"})") == "1");
}

TEST_CASE_FIXTURE(Fixture, "honor_labels lets the target's own labels stand") {
  ScrapeConfig config = job("j", {"x:1"});
  config.honor_labels = true;
  apply({config});
  body = "a{job=\"own\"} 1\n";
  interval();
  CHECK(values(R"(a{instance="x:1",job="own"})") == "1");
}

TEST_CASE_FIXTURE(Fixture, "timestamps of the target count unless they are not to be honoured") {
  ScrapeConfig config = job("j", {"x:1"});
  apply({config});
  body = fmt::format("a 1 {}\nb 2\n", kStart - 5'000);
  interval();
  CHECK(sink.series[R"(a{instance="x:1",job="j"})"][0].time_ms == kStart - 5'000);
  body = "c 1\n";
  interval();
  CHECK(x("a") == "1");  // no stale marker for a series with times of its own
  CHECK(x("b") == "2 stale");

  config.honor_timestamps = false;
  apply({config});
  body = fmt::format("a 1 {}\n", kStart - 5'000);
  interval();
  interval();
  CHECK(sink.series[R"(a{instance="x:1",job="j"})"].back().time_ms > kStart);
}

TEST_CASE_FIXTURE(Fixture, "track_timestamps_staleness marks series with times of their own") {
  ScrapeConfig config = job("j", {"x:1"});
  config.track_timestamps_staleness = true;
  apply({config});
  body = fmt::format("a 1 {}\n", kStart - 5'000);
  interval();
  body = "b 1\n";
  interval();
  CHECK(x("a") == "1 stale");
}

TEST_CASE_FIXTURE(Fixture, "samples too far ahead are refused and not followed") {
  apply({job("j", {"x:1"})});
  body = fmt::format("a 1 {}\nb 1\n", kStart + 3'600'000);
  interval();
  CHECK(x("a") == "");
  CHECK(x("b") == "1");
  CHECK(x("scrape_samples_post_metric_relabeling") == "2");
  CHECK(x("scrape_series_added") == "1");
}

TEST_CASE_FIXTURE(Fixture, "of two lines of one series the first counts") {
  apply({job("j", {"x:1"})});
  body = "a 1\na 2\n";
  interval();
  CHECK(x("a") == "1");
  CHECK(x("up") == "1");
  CHECK(x("scrape_samples_scraped") == "2");
  CHECK(x("scrape_samples_post_metric_relabeling") == "2");
  CHECK(x("scrape_series_added") == "1");
}

TEST_CASE_FIXTURE(Fixture, "metric relabelling drops and renames") {
  ScrapeConfig config = job("j", {"x:1"});
  config.metric_relabel_rules = {rule(model::RelabelAction::Drop, "__name__", "b.*")};
  apply({config});
  body = "a 1\nb 2\nbb 3\nc 4\n";
  interval();
  interval();
  CHECK(x("a") == "1 1");
  CHECK(x("b") == "");
  CHECK(x("c") == "4 4");
  CHECK(x("scrape_samples_scraped") == "4 4");
  CHECK(x("scrape_samples_post_metric_relabeling") == "2 2");
  CHECK(x("scrape_series_added") == "2 0");
}

TEST_CASE_FIXTURE(Fixture, "sample_limit fails the scrape and counts what there was") {
  ScrapeConfig config = job("j", {"x:1"});
  config.sample_limit = 2;
  config.extra_scrape_metrics = true;
  apply({config});
  body = "a 1\nb 1\n";
  interval();
  body = "c 1\na 1\nb 1\n";
  interval();
  CHECK(target().last_error == "sample limit exceeded");
  CHECK(x("up") == "1 0");
  CHECK(x("c") == "");
  CHECK(x("b") == "1 stale");
  CHECK(x("scrape_samples_scraped") == "2 3");
  CHECK(x("scrape_samples_post_metric_relabeling") == "2 3");
  CHECK(x("scrape_sample_limit") == "2 2");
  CHECK(x("scrape_timeout_seconds") == "5 5");
  CHECK(x("scrape_body_size_bytes") == "8 12");
}

TEST_CASE_FIXTURE(Fixture, "label limits fail the scrape and say which") {
  ScrapeConfig config = job("j", {"x:1"});
  config.label_limit = 3;
  apply({config});
  body = "a{l=\"v\"} 1\n";
  interval();
  CHECK(target().last_error == "label_limit exceeded (metric: a, number of labels: 4, limit: 3)");
  config.label_limit = 0;
  config.label_name_length_limit = 8;
  body = "a{long_name=\"v\"} 1\n";
  apply({config});
  interval();
  CHECK(target().last_error ==
        "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, limit: "
        "8)");
  config.label_name_length_limit = 0;
  config.label_value_length_limit = 3;
  body = "a{l=\"value\"} 1\n";
  apply({config});
  interval();
  CHECK(target().last_error ==
        "label_value_length_limit exceeded (metric: a, label name: l, value: \"value\", length: "
        "5, limit: 3)");
}

TEST_CASE_FIXTURE(Fixture, "body_size_limit fails the scrape at the limit itself") {
  ScrapeConfig config = job("j", {"x:1"});
  config.body_size_limit = 5;
  config.extra_scrape_metrics = true;
  apply({config});
  interval();
  CHECK(x("up") == "1");
  CHECK(servers.requests.back().body_size_max == 4);
  body = "a 11\n";
  interval();
  CHECK(target().last_error == "body size limit exceeded");
  CHECK(x("scrape_body_size_bytes") == "4 -1");
  CHECK(x("a") == "1 stale");
}

TEST_CASE_FIXTURE(Fixture, "target_limit fails every target of the pool and asks none") {
  ScrapeConfig config = job("j", {"x:1", "y:1"});
  config.target_limit = 1;
  apply({config, job("k", {"z:1"})});
  interval();
  CHECK(servers.requests.size() == 1);
  CHECK(x("up") == "0");
  CHECK(target().last_error == "target_limit exceeded (number of targets: 2, limit: 1)");
  CHECK(manager->pool_views("j").at(0).error ==
        "target_limit exceeded (number of targets: 2, limit: 1)");
  CHECK(values(R"(up{instance="z:1",job="k"})") == "1");
}

TEST_CASE_FIXTURE(Fixture, "a body of unknown type fails without a fallback") {
  ScrapeConfig config = job("j", {"x:1"});
  apply({config});
  servers.answer = [](const net::FetchRequest&) {
    return FakeServers::Answer{.body = "a 1\n", .content_type = ""};
  };
  interval();
  CHECK(x("up") == "0");
  CHECK(target().last_error != "");
  config.fallback_scrape_protocol = "PrometheusText0.0.4";
  apply({config});
  interval();
  CHECK(x("up") == "0 1");
}

TEST_CASE_FIXTURE(Fixture, "metadata is told once and shown per target") {
  apply({job("j", {"x:1", "y:1"})});
  body = "# HELP a What a is.\n# TYPE a counter\na 1\n";
  interval();
  interval();
  REQUIRE(sink.metadata.size() == 1);
  CHECK(sink.metadata[0] == model::Metadata{"a", model::MetricType::Counter, "", "What a is."});
  CHECK(manager->metadata("a", {}, 0).size() == 2);
  CHECK(manager->metadata("b", {}, 0).empty());
  CHECK(manager->metadata("", {}, 1).size() == 1);
  body = "# HELP a Other.\n# TYPE a counter\na 1\n";
  interval();
  REQUIRE(sink.metadata.size() == 2);
  CHECK(sink.metadata[1].help == "Other.");
}

TEST_CASE_FIXTURE(Fixture, "a reload that changes nothing changes nothing") {
  apply({job("j", {"x:1"})});
  interval();
  const size_t made = providers.made;
  apply({job("j", {"x:1"})});
  interval();
  CHECK(providers.made == made);
  CHECK(x("a") == "1 1");
  CHECK(x("scrape_series_added") == "1 0");
}

TEST_CASE_FIXTURE(Fixture, "a reload keeps slots and series of targets that stay") {
  apply({job("j", {"x:1", "y:1"})});
  interval();
  apply({job("j", {"x:1", "z:1"}), job("k", {"w:1"})});
  for (int i = 0; i < 4; ++i) interval();
  CHECK(x("a") == "1 1 1 1 1");
  CHECK(x("scrape_series_added") == "1 0 0 0 0");
  CHECK(values(R"(a{instance="y:1",job="j"})") == "1 stale");
  CHECK(values(R"(a{instance="z:1",job="j"})").starts_with("1 1"));
  CHECK(values(R"(a{instance="w:1",job="k"})").starts_with("1 1"));
  CHECK(manager->pools() == std::vector<std::string>{"j", "k"});
}

TEST_CASE_FIXTURE(Fixture, "new metric relabelling ends the series that it drops") {
  ScrapeConfig config = job("j", {"x:1"});
  body = "a 1\nb 2\n";
  apply({config});
  interval();
  config.metric_relabel_rules = {rule(model::RelabelAction::Drop, "__name__", "b")};
  apply({config});
  interval();
  interval();
  CHECK(x("a") == "1 1 1");
  CHECK(x("b") == "2 stale");
}

TEST_CASE_FIXTURE(Fixture, "a configuration with an error leaves all as it was") {
  apply({job("j", {"x:1"})});
  interval();
  const auto failed = manager->apply({job("k", {"y:1"}), job("bad", {"z:1"})}, {});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message == "scrape_configs: job \"bad\": no such certificate");
  interval();
  CHECK(manager->pools() == std::vector<std::string>{"j"});
  CHECK(x("a") == "1 1");
}

TEST_CASE_FIXTURE(Fixture, "targets of a replaced provider stay until the new one answers") {
  apply({job("j", {"x:1"})});
  interval();
  ScrapeConfig config = job("j", {});
  config.discoveries = {config::FileDiscovery{.files = {"f"}}};
  apply({config});
  for (int i = 0; i < 4; ++i) interval();
  CHECK(x("a") == "1 1 1 1 1");
  providers.updates["f"]({});
  for (int i = 0; i < 4; ++i) interval();
  CHECK(x("a").ends_with("stale"));
}

TEST_CASE_FIXTURE(Fixture, "samples that storage does not take are kept and tried again") {
  apply({job("j", {"x:1"})});
  sink.error = {core::ErrorCode::Unavailable, "away"};
  for (int i = 0; i < 3; ++i) interval();
  CHECK(x("a") == "");
  sink.error = {};
  for (int i = 0; i < 3; ++i) interval();
  CHECK(x("a") == "1 1 1 1 1 1");
}

TEST_CASE("when storage is away for too long the oldest samples are dropped") {
  Fixture fixture;
  fixture.restart(with([](auto& options) { options.kept_samples_max = 20; }));
  fixture.body = "# TYPE a gauge\na 1\n";
  fixture.apply({job("j", {"x:1"})});
  fixture.sink.error = {core::ErrorCode::Unavailable, "away"};
  for (int i = 0; i < 10; ++i) fixture.interval();
  fixture.sink.error = {};
  for (int i = 0; i < 6; ++i) fixture.interval();
  const size_t stored = fixture.sink.series[R"(a{instance="x:1",job="j"})"].size();
  CHECK(stored >= 7);  // of three that were kept, and six new ones
  CHECK(stored <= 9);
  CHECK_FALSE(fixture.sink.metadata.empty());  // told again, as it had been lost
}

TEST_CASE_FIXTURE(Fixture, "a clock that jumps takes the slots with it") {
  apply({job("j", {"x:1"})});
  interval();
  clock.jump_to_ms(clock.now_ms() - 3'600'000);
  for (int i = 0; i < 3; ++i) interval();
  CHECK(sink.series[R"(up{instance="x:1",job="j"})"].size() >= 3);
  clock.jump_to_ms(clock.now_ms() + 7'200'000);
  for (int i = 0; i < 3; ++i) interval();
  CHECK(sink.series[R"(up{instance="x:1",job="j"})"].size() >= 6);
}

TEST_CASE("targets that hang do not hold up the others") {
  Fixture fixture;
  fixture.restart(with([](auto& options) { options.slow_in_flight_max = 5; }));
  std::vector<std::string> addresses;
  for (int i = 0; i < 60; ++i) addresses.push_back(fmt::format("slow{}:1", i));
  for (int i = 0; i < 40; ++i) addresses.push_back(fmt::format("good{}:1", i));
  ScrapeConfig config = job("j", addresses);
  config.timeout_ms = 10'000;
  fixture.servers.answer = [](const net::FetchRequest& request) {
    return FakeServers::Answer{.body = "a 1\n",
                               .never = request.url.find("slow") != std::string::npos};
  };
  fixture.apply({config});
  for (int i = 0; i < 8; ++i) fixture.interval();
  fixture.servers.in_flight_max = fixture.servers.in_flight;
  for (int i = 0; i < 4; ++i) fixture.interval();
  CHECK(fixture.servers.in_flight_max <= 10);
  for (int i = 0; i < 40; ++i) {
    CHECK(fixture.values(fmt::format(R"(up{{instance="good{}:1",job="j"}})", i)).size() >= 21);
  }
  // No slot without a verdict, also of those that were not asked.
  for (int i = 0; i < 60; ++i) {
    const auto text = fixture.values(fmt::format(R"(up{{instance="slow{}:1",job="j"}})", i));
    CHECK(text.size() >= 2 * 9);
    CHECK(text.find('1') == std::string::npos);
  }
  // And out of it again.
  fixture.servers.answer = [](const net::FetchRequest&) {
    return FakeServers::Answer{.body = "a 1\n"};
  };
  for (int i = 0; i < 10; ++i) fixture.interval();
  for (const auto& view : fixture.manager->active("")) CHECK_FALSE(view.slow_lane);
}

TEST_CASE_FIXTURE(Fixture, "a refused connection is tried again where the target says so") {
  ScrapeConfig config = job("j", {});
  config.discoveries = {config::StaticDiscovery{
      {{.source = "0",
        .labels = {},
        .targets = {model::Labels::of({{"__address__", "x:1"},
                                       {"__scrape_timeout__", "1s"},
                                       {"__scrape_retry_max__", "2"},
                                       {"__scrape_retry_backoff__", "200ms"}})}}}}};
  apply({config});
  int calls = 0;
  servers.answer = [&calls](const net::FetchRequest&) {
    if (++calls < 3) return FakeServers::Answer{.error = {core::ErrorCode::Unavailable, "refused"}};
    return FakeServers::Answer{.body = "a 1\n"};
  };
  scheduler.run_for(12'000);
  CHECK(x("up").starts_with("1"));
  CHECK(servers.requests.size() >= 3);
}

namespace {

ScrapeConfig retried_job(const std::string& address, const std::string& backoff) {
  ScrapeConfig config = job("j", {});
  config.discoveries = {config::StaticDiscovery{
      {{.source = "0",
        .labels = {},
        .targets = {model::Labels::of({{"__address__", address},
                                       {"__scrape_timeout__", "1s"},
                                       {"__scrape_retry_max__", "3"},
                                       {"__scrape_retry_backoff__", backoff}})}}}}};
  return config;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a clock that jumps does not lose a target that waits for its retry") {
  apply({retried_job("x:1", "2s")});
  servers.answer = [](const net::FetchRequest&) {
    return FakeServers::Answer{.error = {core::ErrorCode::Unavailable, "refused"}};
  };
  while (servers.requests.empty()) scheduler.run_for(100);
  scheduler.run_for(500);  // the first try has failed
  REQUIRE(servers.requests.size() == 1);
  clock.jump_to_ms(clock.now_ms() + 3'600'000);
  servers.answer = [](const net::FetchRequest&) { return FakeServers::Answer{.body = "a 1\n"}; };
  for (int i = 0; i < 4; ++i) interval();
  CHECK(x("up").ends_with("1 1 1"));
}

TEST_CASE_FIXTURE(Fixture, "a clock that jumps does not lose the ends of a removed job") {
  apply({job("j", {"x:1"})});
  for (int i = 0; i < 2; ++i) interval();
  apply({});
  clock.jump_to_ms(clock.now_ms() + 3'600'000);
  for (int i = 0; i < 3; ++i) interval();
  CHECK(x("up").ends_with("stale"));
  CHECK(x("a").ends_with("stale"));
}

// The memory checker tells.
TEST_CASE_FIXTURE(Fixture, "targets of a removed job are let go when scraping stops") {
  apply({job("j", {"x:1"})});
  interval();
  apply({});
  manager->stop();
  manager.reset();
  restart({});
}

TEST_CASE_FIXTURE(Fixture, "a target that goes while it waits for its retry gets its markers") {
  apply({retried_job("x:1", "2s")});
  for (int i = 0; i < 2; ++i) interval();
  servers.answer = [](const net::FetchRequest&) {
    return FakeServers::Answer{.error = {core::ErrorCode::Unavailable, "refused"}};
  };
  const size_t before = servers.requests.size();
  while (servers.requests.size() == before) scheduler.run_for(100);
  scheduler.run_for(500);
  apply({retried_job("y:1", "2s")});
  for (int i = 0; i < 4; ++i) interval();
  CHECK(x("up").ends_with("0 stale"));
  CHECK(x("a").ends_with("stale"));
  const std::vector<Point>& points = sink.series[R"(up{instance="x:1",job="j"})"];
  CHECK(points.back().time_ms - points.front().time_ms < 60'000);
}

TEST_CASE("a retry in the slow lane gives its place back") {
  Fixture fixture;
  fixture.restart(with([](auto& options) { options.slow_in_flight_max = 1; }));
  fixture.servers.answer = [](const net::FetchRequest&) {
    return FakeServers::Answer{.never = true};
  };
  fixture.apply({retried_job("x:1", "200ms")});
  for (int i = 0; i < 5; ++i) fixture.interval();
  REQUIRE(fixture.target().slow_lane);
  int calls = 0;
  fixture.servers.answer = [&calls](const net::FetchRequest&) {
    if (++calls == 1) return FakeServers::Answer{.status = 503};
    return FakeServers::Answer{.body = "a 1\n"};
  };
  for (int i = 0; i < 5; ++i) fixture.interval();
  CHECK(calls >= 5);
  CHECK(fixture.x("up").ends_with("1 1 1 1"));
}

TEST_CASE_FIXTURE(Fixture, "honor_scrape_time stamps with the beginning of the scrape") {
  restart(with([](auto& options) { options.honor_scrape_time = true; }));
  apply({job("j", {"x:1"})});
  interval();
  CHECK(sink.series[R"(a{instance="x:1",job="j"})"][0].time_ms % 10 == 0);  // of the tick
}

TEST_CASE_FIXTURE(Fixture, "relabel steps say what each rule does") {
  ScrapeConfig config = job("j", {"x:1"});
  model::RelabelConfig rename;
  rename.source_labels = {"__address__"};
  rename.target_label = "where";
  config.relabel_rules = {*model::RelabelRule::create(rename, model::NameScheme::Utf8),
                          rule(model::RelabelAction::Drop, "where", "y.*"),
                          rule(model::RelabelAction::Keep, "where", ".*")};
  apply({config});
  const auto steps = *manager->relabel_steps("j", model::Labels::of({{"__address__", "y:1"}}));
  REQUIRE(steps.size() == 3);
  CHECK(steps[0].keep);
  CHECK(steps[0].output.get("where") == "y:1");
  CHECK_FALSE(steps[1].keep);
  CHECK_FALSE(steps[2].keep);
  CHECK(steps[2].output.empty());
  CHECK_FALSE(manager->relabel_steps("nobody", {}));
}

TEST_CASE_FIXTURE(Fixture, "dropped targets are shown and counted") {
  ScrapeConfig config = job("j", {"x:1", "y:1", "z:1"});
  config.relabel_rules = {rule(model::RelabelAction::Keep, "__address__", "x.*")};
  config.keep_dropped_targets = 1;
  apply({config});
  CHECK(manager->active("").size() == 1);
  CHECK(manager->dropped("j").size() == 1);
  CHECK(manager->pool_views("j").at(0).dropped == 2);
  CHECK(manager->pool_views("nobody").empty());
}

TEST_CASE("a target on loopback is shown under this server's name") {
  Fixture fixture;
  fixture.restart(
      with([](auto& options) { options.external_url = "https://prom.example.com:9090/x"; }));
  fixture.apply({job("j", {"localhost:9100", "other:1"})});
  const auto views = fixture.manager->active("");
  CHECK(views[0].global_url == "http://prom.example.com:9100/metrics");
  CHECK(views[1].global_url == "http://other:1/metrics");
}

TEST_CASE_FIXTURE(Fixture, "what was received when the server stops is stored") {
  apply({job("j", {"x:1"})});
  while (servers.requests.empty()) scheduler.step();
  scheduler.run_for(5);  // answered, and not read yet
  CHECK(x("a") == "");
  manager->stop();
  CHECK(x("a") == "1");
  CHECK(x("up") == "1");
}

}  // namespace
