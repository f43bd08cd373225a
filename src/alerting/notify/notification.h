// What the channels have in common: what a message tells, and what became of an attempt.

#pragma once

#include "alertstore/alert_event.h"
#include "model/labels.h"

#include <cstdint>
#include <optional>
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

enum class Outcome {
  Delivered,
  Retry,
  Permanent,  // the receiver will never take this message
};

struct Verdict {
  Outcome outcome = Outcome::Retry;
  int64_t retry_after_ms = 0;  // 0: not said
  std::string reason{};        // "status 503"; holds nothing secret
  // For petrel_notifications_failed_total: "auth", "tls"; empty: by the outcome.
  std::string failure{};
  // What is still to be sent, when a part has arrived.
  std::optional<std::string> rest{};
  // Delivered, but not to everyone: who refused it.
  std::string refused{};
};

}  // namespace alerting
