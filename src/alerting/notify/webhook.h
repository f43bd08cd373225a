// The webhook channel: Alertmanager's version 4 message
// (prometheus.io/docs/alerting/latest/configuration/#webhook_config).

#pragma once

#include "alerting/config.h"
#include "alertstore/alert_event.h"
#include "net/transport.h"

#include <cstdint>
#include <string>
#include <vector>

namespace alerting {

// What one message tells. `alerts` are those that fire and those that just ended.
struct Notification {
  std::string receiver;
  std::string group_key;
  model::Labels group_labels;
  std::string external_url;
  std::vector<alertstore::AlertEvent> alerts;
};

// `max_alerts` 0: all; what is cut off is counted in truncatedAlerts.
std::string webhook_body(const Notification& notification, uint64_t max_alerts);

struct WebhookAttempt {
  std::string url;
  std::string authorization;    // "Bearer x"; "" for none
  std::string idempotency_key;  // the same for every attempt at one message
  uint64_t attempt = 1;
  std::string body;
  int64_t timeout_ms = 10'000;
};
net::OutgoingRequest webhook_request(WebhookAttempt attempt);

// What an answer means.
enum class Outcome {
  Delivered,
  Retry,      // nothing, 3xx, 408, 425, 429, 5xx
  Permanent,  // other 4xx: the receiver will never take this message
};
struct Verdict {
  Outcome outcome = Outcome::Retry;
  int64_t retry_after_ms = 0;  // 0: not said
  std::string reason;          // "status 503"; holds nothing secret
};
Verdict judge(const core::Result<net::Response>& response, int64_t now_ms);

}  // namespace alerting
