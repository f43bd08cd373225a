#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>
#include <map>
#include <thread>

namespace api {

namespace {

using net::find_header;
using testing::ApiFixture;
using testing::failure;
using testing::success;

constexpr StaticAsset kAssets[] = {
    {.path = "/",
     .content_type = "text/html; charset=utf-8",
     .etag = "\"page\"",
     .identity = "<html>",
     .gzip = "gz",
     .brotli = "br"},
    {.path = "/assets/app-3f2a91bc.js",
     .content_type = "text/javascript; charset=utf-8",
     .etag = "\"app\"",
     .immutable = true,
     .identity = "code",
     .gzip = {},
     .brotli = {}},
};

std::string header(const net::Response& response, std::string_view name) {
  return std::string(find_header(response.headers, name).value_or("-"));
}

}  // namespace

TEST_CASE("Until the services are there, queries and readiness answer 503 and health 200") {
  ApiFixture fixture;
  fixture.api.clear_services();
  CHECK_FALSE(fixture.api.is_ready());
  CHECK(fixture.get("/-/ready").status == 503);
  CHECK(fixture.get("/-/healthy").status == 200);
  CHECK(fixture.get("/metrics").status == 200);
  CHECK(fixture.get("/api/v1/status/buildinfo").status == 200);
  const net::Response query = fixture.get("/api/v1/query?query=1");
  CHECK(query.status == 503);
  CHECK(
      query.body ==
      R"({"status":"error","errorType":"unavailable","error":"Service Unavailable: not ready yet"})");
  CHECK(header(query, "Retry-After") == "1");
  CHECK(fixture.call("POST", "/api/v1/write").status == 503);
  fixture.make_ready();
  CHECK(fixture.get("/-/ready").status == 200);
  CHECK(fixture.get("/api/v1/query?query=1").status == 200);
}

TEST_CASE("A server that takes no samples is ready for queries and says what is wrong") {
  ApiOptions options;
  options.trouble = [] {
    return std::vector<Trouble>{
        {.part = "storage", .reason = "manifest", .text = "read-only: why", .stops_writes = true},
        {.part = "alerting", .reason = "alert_store", .text = "no pages"}};
  };
  options.corruption_count = [] { return uint64_t{3}; };
  ApiFixture fixture(options);
  CHECK(fixture.text("/-/ready") ==
        "200 Petrel is Ready.\nDegraded: storage: read-only: why\n"
        "Degraded: alerting: no pages\n");
  const std::string runtime = fixture.text("/api/v1/status/runtimeinfo");
  CHECK(runtime.find(R"("degraded":[{"part":"storage","reason":"manifest",)"
                     R"("text":"read-only: why","stopsWrites":true},)"
                     R"({"part":"alerting","reason":"alert_store","text":"no pages",)"
                     R"("stopsWrites":false}])") != std::string::npos);
  CHECK(runtime.find("\"corruptionCount\":3,") != std::string::npos);
  fixture.api.clear_services();
  CHECK(fixture.get("/-/ready").status == 503);
  CHECK(fixture.text("/api/v1/status/runtimeinfo").find("\"degraded\":[]") != std::string::npos);
}

TEST_CASE("Clearing the services waits for the requests that use them") {
  ApiFixture fixture;
  std::atomic<bool> in_use = false;
  std::atomic<bool> cleared = false;
  std::atomic<bool> leave = false;
  fixture.api.set_services(
      {.sink = &fixture.store, .source = &fixture.store, .engine = &fixture.engine, .rules = [&] {
         in_use = true;
         while (!leave) std::this_thread::yield();
         CHECK_FALSE(cleared);
         return rules::RulesView{};
       }});
  std::thread request([&] { fixture.get("/api/v1/rules"); });
  while (!in_use) std::this_thread::yield();
  std::thread clearing([&] {
    fixture.api.clear_services();
    cleared = true;
  });
  while (fixture.api.is_ready()) std::this_thread::yield();
  CHECK(fixture.get("/api/v1/rules").status == 503);  // new requests do not wait
  leave = true;
  request.join();
  clearing.join();
  CHECK(cleared);
}

TEST_CASE("Unknown endpoints are a JSON 404, known ones with another method a 405") {
  ApiFixture fixture;
  CHECK(fixture.text("/api/v1/nothing") ==
        failure(404, "not_found", "no such endpoint: /api/v1/nothing"));
  CHECK(fixture.text("/api/v2/status").starts_with("404 {"));
  CHECK(fixture.get("/-/nothing").status == 404);
  for (const auto& [method, path] :
       {std::pair("DELETE", "/api/v1/query"), std::pair("PUT", "/api/v1/series"),
        std::pair("POST", "/api/v1/status/flags"), std::pair("GET", "/api/v1/write"),
        std::pair("GET", "/-/reload"), std::pair("POST", "/")}) {
    CAPTURE(path);
    const net::Response response = fixture.call(method, path);
    CHECK(response.status == 405);
    CHECK(header(response, "Allow") != "-");
  }
  CHECK(fixture.call("HEAD", "/-/healthy").status == 200);
}

TEST_CASE("Other origins may read as --web.cors.origin says") {
  ApiFixture any;
  const net::Response open = any.get("/api/v1/query?query=1", {{"Origin", "http://grafana"}});
  CHECK(header(open, "Access-Control-Allow-Origin") == "*");
  CHECK(any.call("OPTIONS", "/api/v1/query", {{"Origin", "http://grafana"}}).status == 204);
  CHECK(header(any.get("/api/v1/query?query=1"), "Access-Control-Allow-Origin") == "-");

  ApiOptions options;
  options.cors_origin = "https?://(grafana|other)";
  ApiFixture some(options);
  CHECK(header(some.get("/api/v1/labels", {{"Origin", "http://grafana"}}),
               "Access-Control-Allow-Origin") == "http://grafana");
  CHECK(header(some.get("/api/v1/labels", {{"Origin", "http://grafana.evil"}}),
               "Access-Control-Allow-Origin") == "-");
}

TEST_CASE("Reload runs the callback and tells how it went") {
  int reloads = 0;
  bool good = true;
  ApiOptions options;
  options.reload = [&]() -> core::Result<void> {
    ++reloads;
    if (good) return {};
    return core::fail(core::ErrorCode::InvalidArgument, "rules.yml:3:1: no");
  };
  ApiFixture fixture(options);
  CHECK(fixture.call("POST", "/-/reload").status == 200);
  CHECK(fixture.call("PUT", "/-/reload").status == 200);
  good = false;
  const net::Response bad = fixture.call("POST", "/-/reload");
  CHECK(bad.status == 500);
  CHECK(bad.body.find("rules.yml:3:1: no") != std::string::npos);
  CHECK(reloads == 3);

  options.enable_lifecycle = false;
  ApiFixture closed(options);
  CHECK(closed.call("POST", "/-/reload").status == 403);
  CHECK(reloads == 3);
}

TEST_CASE("Status endpoints tell what the server was started with") {
  ApiOptions options;
  options.build.petrel_version = "0.1.0";
  options.flags = {{"web.listen-address", "127.0.0.1:9090"}};
  options.config_state = [] {
    return ConfigState{.yaml = "global: {}\n",
                       .warnings = {"remote_write (prometheus.yml:7:1) has no effect yet"},
                       .reload_succeeded = false,
                       .reloaded_at_ms = 1'000};
  };
  options.replay_progress = [] { return ReplayProgress{.min = 1, .max = 9, .current = 4}; };
  ApiFixture fixture(options);
  CHECK(fixture.text("/api/v1/status/buildinfo")
            .starts_with(
                R"(200 {"status":"success","data":{"version":"3.5.0","petrel_version":"0.1.0",)"));
  CHECK(fixture.text("/api/v1/status/flags") ==
        success(R"({"web.listen-address":"127.0.0.1:9090"})"));
  CHECK(fixture.text("/api/v1/status/config") ==
        R"(200 {"status":"success","data":{"yaml":"global: {}\n"},)"
        R"("warnings":["remote_write (prometheus.yml:7:1) has no effect yet"]})");
  const std::string runtime = fixture.text("/api/v1/status/runtimeinfo");
  CHECK(runtime.find("\"reloadConfigSuccess\":false") != std::string::npos);
  CHECK(runtime.find("\"lastConfigTime\":\"1970-01-01T00:00:01Z\"") != std::string::npos);
  CHECK(fixture.text("/api/v1/status/walreplay") == success(R"({"min":1,"max":9,"current":4})"));
  CHECK(fixture.get("/api/v1/status/tsdb").status == 501);
  CHECK(fixture.text("/api/v1/targets") ==
        success(R"({"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{},)"
                R"("invalidTargets":[]})"));
  CHECK(fixture.text("/api/v1/alertmanagers") ==
        success(R"({"activeAlertmanagers":[],"droppedAlertmanagers":[]})"));
}

TEST_CASE("Reads of series are told from what is short") {
  ApiFixture fixture;
  const auto is_query = [&](std::string path) {
    net::Request request;
    request.path = std::move(path);
    return fixture.api.is_query(request);
  };
  CHECK(is_query("/api/v1/query_range"));
  CHECK(is_query("/api/v1/label/job/values"));
  CHECK(is_query("/api/v1/series"));
  CHECK(is_query("/api/v1/status/tsdb"));  // walks over all label pairs
  CHECK_FALSE(is_query("/api/v1/write"));
  CHECK_FALSE(is_query("/-/healthy"));
  CHECK_FALSE(is_query("/api/v1/rules"));
  CHECK_FALSE(is_query("/"));
}

TEST_CASE("Requests are counted by route and code") {
  ApiFixture fixture;
  fixture.get("/api/v1/label/a/values");
  fixture.get("/api/v1/label/b/values");
  fixture.get("/api/v1/query?query=(");
  const net::Response metrics = fixture.get("/metrics");
  CHECK(header(metrics, "Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  for (const std::string_view line :
       {"petrel_http_requests_total{code=\"200\",handler=\"/api/v1/label/*/values\"} ",
        "petrel_http_requests_total{code=\"400\",handler=\"/api/v1/query\"} ",
        "petrel_http_request_duration_seconds_count{handler=\"/api/v1/query\"} "}) {
    CAPTURE(line);
    CHECK(metrics.body.find(line) != std::string::npos);
  }
}

TEST_CASE("Files of the UI come in the best encoding, with a tag, and safe headers") {
  ApiFixture fixture({}, kAssets);
  const net::Response page = fixture.get("/", {{"Accept-Encoding", "gzip, br"}});
  CHECK(page.body == "br");
  CHECK(header(page, "Content-Encoding") == "br");
  CHECK(header(page, "ETag") == "\"page\"");
  CHECK(header(page, "Cache-Control") == "no-cache");
  CHECK(header(page, "Vary") == "Accept-Encoding");
  CHECK(header(page, "X-Content-Type-Options") == "nosniff");
  CHECK(header(page, "X-Frame-Options") == "DENY");
  CHECK(header(page, "Content-Security-Policy").find("script-src 'self';") != std::string::npos);
  CHECK(header(page, "Content-Security-Policy").find("unsafe") == std::string::npos);
  CHECK(fixture.get("/", {{"Accept-Encoding", "gzip"}}).body == "gz");
  CHECK(fixture.get("/").body == "<html>");

  const net::Response code = fixture.get("/assets/app-3f2a91bc.js", {{"Accept-Encoding", "br"}});
  CHECK(code.body == "code");
  CHECK(header(code, "Cache-Control") == "public, max-age=31536000, immutable");
}

TEST_CASE("A file the browser has is not sent again") {
  ApiFixture fixture({}, kAssets);
  for (const char* const tags : {"\"page\"", "W/\"page\"", "\"x\", \"page\"", "*"}) {
    CAPTURE(tags);
    const net::Response response = fixture.get("/", {{"If-None-Match", tags}});
    CHECK(response.status == 304);
    CHECK(response.body.empty());
  }
  CHECK(fixture.get("/", {{"If-None-Match", "\"other\""}}).status == 200);
}

TEST_CASE("Prometheus's addresses of pages get the page, what is not there a 404") {
  ApiFixture fixture({}, kAssets);
  CHECK(fixture.get("/graph").body == "<html>");
  CHECK(fixture.get("/alerts").body == "<html>");
  CHECK(fixture.get("/federate").status == 404);
  CHECK(fixture.get("/metrics/job/x").status == 404);
  CHECK(fixture.get("/assets/gone-00000000.js").status == 404);
  CHECK(fixture.get("/favicon.ico").status == 404);
  ApiFixture bare;
  CHECK(bare.get("/").status == 404);
}

}  // namespace api
