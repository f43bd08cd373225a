// Limits on the push routes: what each refusal answers.

#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>

namespace api {
namespace {

using tenant::Limits;

struct Fixture {
  core::testing::FakeClock clock{1'435'781'451'781};
  tenant::LimitsTable limits;
  core::ByteBudget budget{size_t{64} << 20};
  tenant::PushGate gate{limits, clock, budget};
  testing::ApiFixture api{options()};

  ApiOptions options() {
    ApiOptions made;
    made.push_gate = &gate;
    return made;
  }
  void set(std::initializer_list<std::pair<size_t Limits::*, size_t>> values,
           tenant::InstanceLimits instance = {}) {
    tenant::LimitSettings settings;
    settings.values = values;
    limits.apply({.limits = settings, .overrides = {}, .instance = instance});
  }
  net::Response push(size_t points, std::string_view path = "/api/v1/push/line") {
    std::string body;
    for (size_t i = 0; i < points; ++i) body += "m i=" + std::to_string(i) + " 1000 1\n";
    return api.call("POST", path, {}, body);
  }
};

bool contains(const net::Response& response, std::string_view part) {
  return response.body.find(part) != std::string::npos;
}

std::string retry_after(const net::Response& response) {
  return std::string(net::find_header(response.headers, "Retry-After").value_or(""));
}

TEST_CASE("a push above the tenant's rate is a 429 that says when to come back") {
  Fixture fixture;
  fixture.set({{&Limits::sample_rate, 10}, {&Limits::sample_burst, 50}});
  CHECK(fixture.push(50).status == 204);
  const net::Response refused = fixture.push(25);
  CHECK(refused.status == 429);
  CHECK(retry_after(refused) == "3");
  CHECK(contains(refused, "too_many_requests"));
  CHECK(
      contains(refused, "limit of 10 samples per second reached (limits.ingestion_rate, tenant "));
  fixture.clock.advance_ms(3'000);
  CHECK(fixture.push(25).status == 204);
  fixture.set({});
  CHECK(fixture.push(500).status == 204);
}

TEST_CASE("a push above the rate of requests is refused before it is decoded") {
  Fixture fixture;
  fixture.set({{&Limits::request_rate, 1}, {&Limits::request_burst, 1}});
  CHECK(fixture.push(1).status == 204);
  const net::Response refused = fixture.api.call("POST", "/api/v1/write", {}, "no snappy");
  CHECK(refused.status == 429);
  CHECK(retry_after(refused) == "1");
  CHECK(contains(refused, "limits.request_rate"));
}

TEST_CASE("the rate of the instance is a 503: every sender repeats that") {
  Fixture fixture;
  fixture.set({}, {.sample_rate = 1});
  CHECK(fixture.push(10).status == 204);
  const net::Response refused = fixture.push(5);
  CHECK(refused.status == 503);
  CHECK(retry_after(refused) == "5");
  CHECK(contains(refused, "instance_limits.max_ingestion_rate"));
}

TEST_CASE("a body above the tenant's limit is a 413 without a Retry-After") {
  Fixture fixture;
  fixture.set({{&Limits::body_size_max, 1024}});
  const net::Response refused = fixture.push(200);
  CHECK(refused.status == 413);
  CHECK(retry_after(refused).empty());
  CHECK(contains(refused, "allowed are 1024 (limits.max_request_body_size, tenant "));
  CHECK(fixture.push(10).status == 204);
}

TEST_CASE("a body that memory is not there for is a 503 before it is decompressed") {
  Fixture fixture;
  fixture.budget.set_max(1'000);
  // A snappy block that says to be a million bytes and could be.
  const std::string body = std::string("\xc0\x84\x3d") + std::string(60'000, 'x');
  const net::Response refused = fixture.api.call("POST", "/api/v1/write", {}, body);
  CHECK(refused.status == 503);
  CHECK(retry_after(refused) == "1");
  CHECK(contains(refused,
                 "this one needs 1000000 more, allowed are 1000 "
                 "(instance_limits.max_inflight_push_requests_bytes)"));
  CHECK(fixture.budget.used() == 0);
}

TEST_CASE("what a push holds of memory is given back whatever its outcome") {
  Fixture fixture;
  CHECK(fixture.push(1'000).status == 204);
  CHECK(fixture.budget.used() == 0);
  fixture.api.store.fail_appends(core::Error{core::ErrorCode::Unavailable, "the disk failed"});
  CHECK(fixture.push(1'000).status == 503);
  CHECK(fixture.budget.used() == 0);
}

}  // namespace
}  // namespace api
