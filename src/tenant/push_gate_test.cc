#include "tenant/push_gate.h"

#include "core/testing/fake_clock.h"

#include <doctest/doctest.h>

using core::ErrorCode;
using tenant::Limits;
using tenant::LimitSettings;
using tenant::LimitsTable;
using tenant::PushGate;

namespace {

struct Fixture {
  core::testing::FakeClock clock;
  LimitsTable table;
  core::ByteBudget budget{1'000};
  PushGate gate{table, clock, budget};

  void set(std::initializer_list<std::pair<size_t Limits::*, size_t>> values,
           tenant::InstanceLimits instance = {}) {
    LimitSettings settings;
    settings.values = values;
    table.apply({.limits = settings, .overrides = {}, .instance = instance});
  }
  auto samples(std::string_view tenant, size_t count) {
    return gate.admit_samples(tenant, *gate.limits(tenant), count);
  }
  auto request(std::string_view tenant, size_t size) {
    return gate.admit_request(tenant, *gate.limits(tenant), size);
  }
};

}  // namespace

TEST_CASE("a body above the limit is refused by name, for ever") {
  Fixture fixture;
  fixture.set({{&Limits::body_size_max, 2'000}});
  CHECK_FALSE(fixture.request("a", 2'000));
  const auto refused = fixture.request("a", 2'001);
  REQUIRE(refused);
  CHECK(refused->error.code == ErrorCode::TooLarge);
  CHECK(refused->retry_after_ms == 0);
  CHECK(refused->error.message ==
        "the body has 2001 bytes, allowed are 2000 (limits.max_request_body_size, tenant \"a\")");
}

TEST_CASE("each tenant has its own rates") {
  Fixture fixture;
  fixture.set({{&Limits::sample_rate, 100}, {&Limits::sample_burst, 500}});
  CHECK_FALSE(fixture.samples("a", 500));
  const auto refused = fixture.samples("a", 100);
  REQUIRE(refused);
  CHECK(refused->error.code == ErrorCode::LimitExceeded);
  CHECK(refused->retry_after_ms == 1'000);
  CHECK(refused->error.message.find("100 samples per second reached (limits.ingestion_rate, tenant "
                                    "\"a\")") != std::string::npos);
  CHECK_FALSE(fixture.samples("b", 500));
  fixture.clock.advance_ms(1'000);
  CHECK_FALSE(fixture.samples("a", 100));
}

TEST_CASE("requests have a rate of their own") {
  Fixture fixture;
  fixture.set({{&Limits::request_rate, 1}, {&Limits::request_burst, 2}});
  CHECK_FALSE(fixture.request("a", 1));
  CHECK_FALSE(fixture.request("a", 1));
  const auto refused = fixture.request("a", 1);
  REQUIRE(refused);
  CHECK(refused->error.code == ErrorCode::LimitExceeded);
  CHECK(refused->retry_after_ms == 1'000);
}

TEST_CASE("the rate of the instance is that of all tenants, and not the sender's fault") {
  Fixture fixture;
  fixture.set({}, {.sample_rate = 10});
  CHECK_FALSE(fixture.samples("a", 60));
  CHECK_FALSE(fixture.samples("b", 40));
  const auto refused = fixture.samples("c", 10);
  REQUIRE(refused);
  CHECK(refused->error.code == ErrorCode::Unavailable);
  CHECK(refused->retry_after_ms == 1'000);
}

TEST_CASE("bytes beyond the budget are refused until others are done") {
  Fixture fixture;
  core::HeldBytes one = fixture.gate.hold();
  CHECK_FALSE(fixture.gate.admit_bytes("a", one, 700));
  core::HeldBytes two = fixture.gate.hold();
  const auto refused = fixture.gate.admit_bytes("a", two, 400);
  REQUIRE(refused);
  CHECK(refused->error.code == ErrorCode::Unavailable);
  CHECK(refused->error.message ==
        "push requests of 700 bytes are worked on and this one needs 400 more, allowed are 1000 "
        "(instance_limits.max_inflight_push_requests_bytes): try again");
  one.release();
  CHECK_FALSE(fixture.gate.admit_bytes("a", two, 400));
}
