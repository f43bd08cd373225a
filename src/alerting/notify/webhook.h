// The webhook channel: Alertmanager's version 4 message
// (prometheus.io/docs/alerting/latest/configuration/#webhook_config).

#pragma once

#include "alerting/notify/notification.h"
#include "net/client_config.h"
#include "net/transport.h"

#include <cstdint>
#include <string>

namespace alerting {

// `max_alerts` 0: all; what is cut off is counted in truncatedAlerts.
std::string webhook_body(const Notification& notification, uint64_t max_alerts);

struct WebhookAttempt {
  std::string url;
  std::string idempotency_key;  // the same for every attempt at one message
  uint64_t attempt = 1;
  std::string body;
  int64_t timeout_ms = 10'000;
  net::ClientConfig client{};  // secrets read already
};
net::OutgoingRequest webhook_request(WebhookAttempt attempt);

// Retried: nothing, 3xx, 408, 425, 429, 5xx. Refused for good: other 4xx.
Verdict judge(const core::Result<net::Response>& response, int64_t now_ms);

}  // namespace alerting
