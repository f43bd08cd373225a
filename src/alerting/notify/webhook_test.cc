#include "alerting/notify/webhook.h"

#include "core/json.h"

#include <doctest/doctest.h>

using namespace alerting;
using alertstore::AlertEvent;
using alertstore::Transition;

namespace {

AlertEvent alert(const std::string& instance, Transition transition) {
  AlertEvent event;
  event.transition = transition;
  event.labels = model::Labels::of({{"alertname", "Down"}, {"instance", instance}, {"job", "n"}});
  event.annotations = {{"summary", "\"" + instance + "\" is down"}, {"runbook", "r"}};
  event.starts_at_ms = 1'700'000'000'123;
  event.ends_at_ms = transition == Transition::Resolved ? 1'700'000'060'000 : 0;
  event.generator_url = "http://petrel/graph";
  return event;
}

Notification example() {
  Notification notification;
  notification.receiver = "team";
  notification.group_key = "{}:{alertname=\"Down\"}";
  notification.group_labels = model::Labels::of({{"alertname", "Down"}});
  notification.external_url = "http://petrel";
  notification.alerts = {alert("a", Transition::Firing), alert("b", Transition::Resolved)};
  return notification;
}

core::Result<net::Response> answer(int status, net::Headers headers = {}) {
  net::Response response;
  response.status = status;
  response.headers = std::move(headers);
  return response;
}

}  // namespace

TEST_CASE("the message is Alertmanager's version 4") {
  CHECK(webhook_body(example(), 0) ==
        R"({"version":"4","groupKey":"{}:{alertname=\"Down\"}","truncatedAlerts":0,)"
        R"("status":"firing","receiver":"team","groupLabels":{"alertname":"Down"},)"
        R"("commonLabels":{"alertname":"Down","job":"n"},"commonAnnotations":{"runbook":"r"},)"
        R"("externalURL":"http://petrel","alerts":[)"
        R"({"status":"firing","labels":{"alertname":"Down","instance":"a","job":"n"},)"
        R"("annotations":{"runbook":"r","summary":"\"a\" is down"},)"
        R"("startsAt":"2023-11-14T22:13:20.123Z","endsAt":"0001-01-01T00:00:00Z",)"
        R"("generatorURL":"http://petrel/graph","fingerprint":")" +
            alertstore::fingerprint(example().alerts[0].labels) +
            R"("},{"status":"resolved","labels":{"alertname":"Down","instance":"b","job":"n"},)"
            R"("annotations":{"runbook":"r","summary":"\"b\" is down"},)"
            R"("startsAt":"2023-11-14T22:13:20.123Z","endsAt":"2023-11-14T22:14:20Z",)"
            R"("generatorURL":"http://petrel/graph","fingerprint":")" +
            alertstore::fingerprint(example().alerts[1].labels) + R"("}]})");
}

TEST_CASE("max_alerts cuts the list and says how much") {
  const auto json = core::parse_json(webhook_body(example(), 1));
  REQUIRE(json);
  CHECK(json->find("alerts")->as_array()->size() == 1);
  CHECK(*json->find("truncatedAlerts")->as_int() == 1);
}

TEST_CASE("when all alerts ended the message is resolved") {
  Notification notification = example();
  notification.alerts.erase(notification.alerts.begin());
  const auto json = core::parse_json(webhook_body(notification, 0));
  REQUIRE(json);
  CHECK(*json->find("status")->as_string() == "resolved");
}

TEST_CASE("requests carry the key, the attempt and the credentials") {
  const net::OutgoingRequest request = webhook_request(
      {.url = "http://h/", .idempotency_key = "k", .attempt = 3, .body = "{}", .timeout_ms = 5});
  CHECK(request.method == "POST");
  CHECK(net::find_header(request.headers, "idempotency-key") == "k");
  CHECK(net::find_header(request.headers, "x-attempt") == "3");
  REQUIRE(request.client != nullptr);
  CHECK(net::find_header(request.headers, "content-type") == "application/json");
  CHECK(request.timeout_ms == 5);
}

TEST_CASE("answers are delivered, to be tried again, or refused for good") {
  CHECK(judge(answer(200), 0).outcome == Outcome::Delivered);
  CHECK(judge(answer(204), 0).outcome == Outcome::Delivered);
  for (const int status : {301, 408, 425, 429, 500, 503}) {
    CAPTURE(status);
    CHECK(judge(answer(status), 0).outcome == Outcome::Retry);
  }
  for (const int status : {400, 401, 404, 410, 422}) {
    CAPTURE(status);
    CHECK(judge(answer(status), 0).outcome == Outcome::Permanent);
  }
  const core::Result<net::Response> refused =
      core::fail(core::ErrorCode::Unavailable, "connect http://h/?token=secret");
  CHECK(judge(refused, 0).outcome == Outcome::Retry);
  CHECK(judge(refused, 0).reason == "cannot be reached");
}

TEST_CASE("Retry-After is read in both forms and bounded") {
  CHECK(judge(answer(429, {{"retry-after", "7"}}), 0).retry_after_ms == 7'000);
  CHECK(judge(answer(503, {{"Retry-After", "99999999"}}), 0).retry_after_ms == 3'600'000);
  CHECK(judge(answer(503, {{"Retry-After", "-5"}}), 0).retry_after_ms == 0);
  CHECK(judge(answer(503, {{"Retry-After", "soon"}}), 0).retry_after_ms == 0);
  CHECK(judge(answer(503, {{"Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"}}), 1'445'412'450'000)
            .retry_after_ms == 30'000);
}
