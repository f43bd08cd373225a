// How alerts stand in the store: one record per alert, under a key that says whose it
// is, and one record per group that has active alerts: the last slot it evaluated.

#pragma once

#include "alertstore/alert_event.h"
#include "core/result.h"
#include "model/labels.h"
#include "rules/rule_view.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rules {

struct Alert {
  model::Labels labels;
  alertstore::Annotations annotations;
  AlertState state = AlertState::Pending;
  double value = 0;
  int64_t active_at_ms = 0;
  int64_t fired_at_ms = 0;
  int64_t keep_firing_since_ms = 0;
  int64_t resolved_at_ms = 0;
  // What notifications are told instead of `labels`, decided when it fires and the same
  // when it ends: external labels added, relabelled. Empty: nobody is told.
  std::optional<model::Labels> sent_labels = {};

  AlertView view() const;
};

// The n-th of the rules of a group that have the same name and labels.
struct RuleId {
  std::string file;
  std::string group;
  std::string rule;
  std::string label_bytes;  // the rule's labels as written
  uint64_t nth = 0;

  bool operator==(const RuleId&) const = default;
  auto operator<=>(const RuleId&) const = default;
};

std::string alert_prefix(std::string_view tenant);
std::string alert_prefix(std::string_view tenant, std::string_view file, std::string_view group);
std::string alert_key(std::string_view tenant, const RuleId& rule, model::LabelsView labels);
struct AlertKey {
  RuleId rule;
  model::Labels labels;
};
// Corruption when alert_key() did not make it.
core::Result<AlertKey> parse_alert_key(std::string_view key, std::string_view tenant);

// What outlives the rule, so that an alert whose rule is gone can still be resolved.
struct AlertRecord {
  Alert alert;
  std::string generator_url;
};
std::string encode_alert(const Alert& alert, std::string_view generator_url);
core::Result<AlertRecord> decode_alert(std::string_view bytes, model::Labels labels);

std::string slot_prefix(std::string_view tenant);
std::string slot_key(std::string_view tenant, std::string_view file, std::string_view group);
std::string encode_slot(int64_t slot_ms);
core::Result<int64_t> decode_slot(std::string_view bytes);

// The transition as an outbox row. Its id is the same however often it is recorded.
alertstore::AlertEvent make_event(std::string_view tenant, const RuleId& rule, const Alert& alert,
                                  std::string_view generator_url, std::string_view reason = "");

}  // namespace rules
