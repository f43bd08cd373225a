#include "alerting/notify/webhook.h"

#include "alerting/notify/label_pairs.h"
#include "core/json_writer.h"
#include "core/time.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace alerting {

using alertstore::AlertEvent;
using alertstore::Transition;

namespace {

// A receiver that asks for more is asked again after this all the same.
constexpr int64_t kRetryAfterMaxMs = 3'600'000;
// Go's zero time, which Alertmanager sends as the end of what has not ended.
constexpr const char* kNoEnd = "0001-01-01T00:00:00Z";

void write_pairs(core::JsonWriter& json, const Pairs& pairs) {
  json.object();
  for (const auto& [name, value] : pairs) json.key(name).value(std::string_view(value));
  json.end();
}

bool is_firing(const AlertEvent& alert) {
  return alert.transition == Transition::Firing;
}

void write_alert(core::JsonWriter& json, const AlertEvent& alert) {
  json.object().key("status").value(is_firing(alert) ? "firing" : "resolved");
  json.key("labels");
  write_pairs(json, pairs_of(alert.labels));
  json.key("annotations");
  write_pairs(json, pairs_of(alert.annotations));
  json.key("startsAt").value(std::string_view(core::format_rfc3339(alert.starts_at_ms)));
  json.key("endsAt").value(is_firing(alert) ? kNoEnd : core::format_rfc3339(alert.ends_at_ms));
  json.key("generatorURL").value(std::string_view(alert.generator_url));
  json.key("fingerprint").value(std::string_view(alertstore::fingerprint(alert.labels)));
  json.end();
}

// Seconds, or a date in the form of RFC 9110 5.6.7.
int64_t parse_retry_after(std::string_view text, int64_t now_ms) {
  int64_t seconds = 0;
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (code == std::errc() && rest == text.data() + text.size()) {
    return std::clamp<int64_t>(seconds, 0, kRetryAfterMaxMs / 1000) * 1000;
  }
  std::tm date{};
  const std::string copy(text);
  if (strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) return 0;
  return std::clamp<int64_t>(timegm(&date) * 1000 - now_ms, 0, kRetryAfterMaxMs);
}

}  // namespace

std::string webhook_body(const Notification& notification, uint64_t max_alerts) {
  const auto& all = notification.alerts;
  const size_t shown =
      max_alerts == 0 ? all.size() : std::min<size_t>(all.size(), static_cast<size_t>(max_alerts));
  const CommonPairs common = common_pairs(notification);
  const bool firing = std::ranges::any_of(all, is_firing);
  std::string body;
  core::JsonWriter json(body);
  json.object().key("version").value("4");
  json.key("groupKey").value(std::string_view(notification.group_key));
  json.key("truncatedAlerts").value(static_cast<uint64_t>(all.size() - shown));
  json.key("status").value(firing ? "firing" : "resolved");
  json.key("receiver").value(std::string_view(notification.receiver));
  json.key("groupLabels");
  write_pairs(json, pairs_of(notification.group_labels));
  json.key("commonLabels");
  write_pairs(json, common.labels);
  json.key("commonAnnotations");
  write_pairs(json, common.annotations);
  json.key("externalURL").value(std::string_view(notification.external_url));
  json.key("alerts").array();
  for (size_t i = 0; i < shown; ++i) write_alert(json, all[i]);
  json.end().end();
  return body;
}

net::OutgoingRequest webhook_request(WebhookAttempt attempt) {
  net::OutgoingRequest request;
  request.method = "POST";
  request.url = std::move(attempt.url);
  request.headers = {{"Content-Type", "application/json"},
                     {"Idempotency-Key", std::move(attempt.idempotency_key)},
                     {"X-Attempt", std::to_string(attempt.attempt)}};
  request.body = std::move(attempt.body);
  request.timeout_ms = attempt.timeout_ms;
  request.client = std::make_shared<const net::ClientConfig>(std::move(attempt.client));
  return request;
}

Verdict judge(const core::Result<net::Response>& response, int64_t now_ms) {
  // Transport errors name the address, which may hold a token: only their kind is kept.
  if (!response) {
    const bool timeout = response.error().code == core::ErrorCode::Timeout;
    return {.reason = timeout ? "timeout" : "cannot be reached"};
  }
  const int status = response->status;
  Verdict verdict{.reason = fmt::format("status {}", status)};
  if (status >= 200 && status < 300) verdict.outcome = Outcome::Delivered;
  const bool transient = status == 408 || status == 425 || status == 429;
  if (status >= 400 && status < 500 && !transient) verdict.outcome = Outcome::Permanent;
  if (const auto after = net::find_header(response->headers, "Retry-After")) {
    verdict.retry_after_ms = parse_retry_after(*after, now_ms);
  }
  return verdict;
}

}  // namespace alerting
