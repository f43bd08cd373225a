#include "discovery/http_provider.h"

#include "core/metrics.h"
#include "core/testing/quiet_log.h"
#include "discovery/static_provider.h"
#include "discovery/testing/provider_run.h"

#include <deque>
#include <doctest/doctest.h>

namespace discovery {
namespace {

// Answers what the test has put there; keeps a request while there is nothing.
class ScriptedClient final : public net::HttpClient {
 public:
  struct Script {
    std::deque<core::Result<net::FetchResponse>> answers;
    std::vector<net::FetchRequest> requests;
    std::vector<Done> waiting;
  };
  explicit ScriptedClient(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~ScriptedClient() override {
    for (const Done& done : script_->waiting) {
      done(core::fail(core::ErrorCode::Unavailable, "closed"));
    }
  }
  void fetch(net::FetchRequest request, Done done) override {
    script_->requests.push_back(std::move(request));
    if (script_->answers.empty()) {
      script_->waiting.push_back(std::move(done));
      return;
    }
    auto answer = std::move(script_->answers.front());
    script_->answers.pop_front();
    done(std::move(answer));
  }

 private:
  std::shared_ptr<Script> script_;
};

net::FetchResponse answer(int status, std::string content_type, std::string body) {
  net::FetchResponse response;
  response.status = status;
  response.headers = {{"content-type", std::move(content_type)}};
  response.body = std::move(body);
  return response;
}

using core::testing::QuietLog;

struct HttpRun : testing::ProviderRun {
  std::shared_ptr<ScriptedClient::Script> script = std::make_shared<ScriptedClient::Script>();
  std::string url = "http://sd/targets";

  void begin() {
    config::HttpDiscovery config;
    config.url = url;
    config.refresh_interval_ms = 1'500;
    start(make_http_provider(config, "job/1", parts, std::make_unique<ScriptedClient>(script)));
    scheduler.run_due();
  }
};

TEST_CASE("a server's list becomes groups that know its URL") {
  HttpRun run;
  run.script->answers.emplace_back(
      answer(200, "application/json; charset=utf-8",
             R"([{"targets": ["a:1"], "labels": {"x": "y"}}, {"targets": ["b:1"]}])"));
  run.begin();
  REQUIRE(run.script->requests.size() == 1);
  const net::FetchRequest& request = run.script->requests[0];
  CHECK(request.url == "http://sd/targets");
  CHECK(request.timeout_ms == 1'500);
  CHECK(net::find_header(request.headers, "X-Prometheus-Refresh-Interval-Seconds") == "1.5");
  CHECK(net::find_header(request.headers, "Accept") == "application/json");
  REQUIRE(run.updates.size() == 1);
  CHECK(run.addresses("http://sd/targets:0") == "a:1");
  CHECK(run.addresses("http://sd/targets:1") == "b:1");
  CHECK(run.groups["http://sd/targets:0"].labels ==
        model::Labels::of({{"__meta_url", "http://sd/targets"}, {"x", "y"}}));
}

TEST_CASE("errors keep the list, and what is gone from it goes") {
  const QuietLog quiet;
  HttpRun run;
  auto& answers = run.script->answers;
  const std::string good = R"([{"targets": ["a:1"]}, {"targets": ["b:1"]}])";
  answers.emplace_back(answer(200, "Application/JSON", good));
  answers.emplace_back(answer(200, "application/json", good));
  answers.emplace_back(answer(500, "application/json", "[]"));
  answers.emplace_back(answer(200, "text/html", "[]"));
  answers.emplace_back(answer(200, "application/json", "[{]"));
  answers.emplace_back(core::fail(core::ErrorCode::Timeout, "context deadline exceeded"));
  answers.emplace_back(answer(200, "application/json", R"([{"targets": ["c:1"]}])"));
  run.begin();
  const auto error_after = [&run] {
    run.scheduler.run_for(1'500);
    CHECK(run.updates.size() == 1);
    return run.provider->status().last_error;
  };
  CHECK(error_after().empty());  // the same list is not told twice
  CHECK(error_after() == "server returned HTTP status 500 Internal Server Error");
  CHECK(error_after() == "unsupported content type \"text/html\", expected application/json");
  CHECK(error_after().starts_with("http://sd/targets: "));
  CHECK(error_after() == "context deadline exceeded");
  CHECK(run.addresses("http://sd/targets:1") == "b:1");
  const std::string metrics = core::expose_metrics();
  CHECK(metrics.find(R"(petrel_sd_refresh_failures_total{config="job/1",mechanism="http"} 4)") !=
        std::string::npos);
  CHECK(metrics.find(R"(petrel_sd_stale_seconds{config="job/1",mechanism="http"} 4.5)") !=
        std::string::npos);
  run.scheduler.run_for(1'500);
  CHECK(run.provider->status().last_error.empty());
  CHECK(run.addresses("http://sd/targets:0") == "c:1");
  CHECK(run.addresses("http://sd/targets:1") == "none");
}

TEST_CASE("errors show neither the URL's password nor its query") {
  const QuietLog quiet;
  HttpRun run;
  run.url = "http://u:pw@sd/targets?token=pw";
  auto& answers = run.script->answers;
  answers.emplace_back(answer(200, "application/json", "junk"));
  answers.emplace_back(core::fail(core::ErrorCode::Unavailable,
                                  "Get \"http://u:***@sd/targets?token=pw\": refused"));
  answers.emplace_back(answer(200, "application/json", R"([{"targets": ["a:1"]}])"));
  run.begin();
  CHECK(run.provider->status().last_error.starts_with("http://u:***@sd/targets?***: "));
  run.scheduler.run_for(1'500);
  CHECK(run.provider->status().last_error == "Get \"http://u:***@sd/targets?***\": refused");
  run.scheduler.run_for(1'500);
  CHECK(run.script->requests.back().url == run.url);
  CHECK(run.groups["http://u:***@sd/targets?***:0"].labels ==
        model::Labels::of({{"__meta_url", run.url}}));
}

TEST_CASE("a provider goes while its request is in flight") {
  HttpRun run;
  run.begin();
  CHECK(run.script->waiting.size() == 1);
  run.scheduler.run_for(60'000);
  CHECK(run.script->requests.size() == 1);  // never two at once
  run.provider.reset();
  run.scheduler.run_for(60'000);
  CHECK(run.updates.empty());
}

TEST_CASE("static targets are told once") {
  testing::ProviderRun run;
  config::StaticDiscovery config;
  config.groups.resize(2);
  config.groups[0].targets = {model::Labels::of({{"__address__", "a:1"}})};
  config.groups[1].targets = {model::Labels::of({{"__address__", "b:1"}})};
  run.start(std::move(*make_static_provider(config, "job/0", run.parts)));
  CHECK(run.updates.empty());
  run.scheduler.run_for(3'600'000);
  CHECK(run.updates.size() == 1);
  CHECK(run.addresses("0") == "a:1");
  CHECK(run.addresses("1") == "b:1");
}

}  // namespace
}  // namespace discovery
