// Scraping and Alertmanager peers. This server has neither yet: samples are pushed or
// come from its own collectors, and alerts are delivered by itself. Clients ask all the
// same, and an empty list is the true answer.

#include "api/answer.h"
#include "api/params.h"
#include "api/route.h"

namespace api {

namespace {

using core::Result;
using net::Response;

Result<Response> targets(const Call&) {
  Answer answer;
  core::JsonWriter& json = answer.json().object();
  json.key("activeTargets").array().end();
  json.key("droppedTargets").array().end();
  json.key("droppedTargetCounts").object().end().end();
  return std::move(answer).finish();
}

Result<Response> scrape_pools(const Call&) {
  Answer answer;
  answer.json().object().key("scrapePools").array().end().end();
  return std::move(answer).finish();
}

Result<Response> targets_metadata(const Call& call) {
  TRY(match_params(call, "match_target"));
  Answer answer;
  answer.json().array().end();
  return std::move(answer).finish();
}

Result<Response> alertmanagers(const Call&) {
  Answer answer;
  core::JsonWriter& json = answer.json().object();
  json.key("activeAlertmanagers").array().end();
  json.key("droppedAlertmanagers").array().end().end();
  return std::move(answer).finish();
}

Result<Response> notifications(const Call&) {
  Answer answer;
  answer.json().array().end();
  return std::move(answer).finish();
}

constexpr Route kRoutes[] = {
    {"/api/v1/targets", "GET", targets, Needs::Nothing},
    {"/api/v1/targets/metadata", "GET", targets_metadata, Needs::Nothing},
    {"/api/v1/scrape_pools", "GET", scrape_pools, Needs::Nothing},
    {"/api/v1/alertmanagers", "GET", alertmanagers, Needs::Nothing},
    {"/api/v1/notifications", "GET", notifications, Needs::Nothing},
};

}  // namespace

std::span<const Route> target_routes() {
  return kRoutes;
}

}  // namespace api
