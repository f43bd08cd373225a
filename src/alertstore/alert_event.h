// The outbox: alert transitions that the rules have decided and nobody was told yet.
//
//   rules ──one batch: alert state + outbox rows──> store ──> alerting
//
// A row is removed in the batch that makes its consequence (a notification group's
// state) durable, so a transition is in the outbox or in a group, never in neither.
// Rows of one tenant are read in key order, which is the order they were decided in.

#pragma once

#include "core/result.h"
#include "model/labels.h"
#include "model/tenant.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alertstore {

enum class Transition : uint8_t { Firing = 1, Resolved = 2 };

// In the order of the rule file; a value may be empty, which model::Labels cannot keep.
using Annotations = std::vector<std::pair<std::string, std::string>>;

struct AlertEvent {
  // The same for every attempt to record this transition, different for every other:
  // hash of tenant, rule, labels, start of the incident and transition.
  std::string id;
  model::TenantId tenant{model::kDefaultTenant};
  Transition transition = Transition::Firing;
  std::string rule_group;  // "file;group", for people
  model::Labels labels;    // with alertname
  Annotations annotations;
  double value = 0;
  int64_t starts_at_ms = 0;  // when it began to fire; the same in its Resolved
  int64_t ends_at_ms = 0;    // 0 while it fires
  std::string generator_url;
  std::string reason;  // of a resolve that no query decided: "rule_removed"

  bool operator==(const AlertEvent&) const = default;
};

// Pieces of larger records: the take_ functions consume from the front of `bytes` and
// are false, with the output unspecified, when they are malformed.
void append_event(std::string& out, const AlertEvent& event);
bool take_event(std::string_view& bytes, AlertEvent& event);
void append_annotations(std::string& out, const Annotations& annotations);
bool take_annotations(std::string_view& bytes, Annotations& annotations);

std::string encode_event(const AlertEvent& event);
// Corruption when the bytes are not what encode_event() writes.
core::Result<AlertEvent> decode_event(std::string_view bytes);

inline constexpr std::string_view kOutboxPrefix = "outbox/";
std::string outbox_prefix(std::string_view tenant);
// Keys of one tenant sort by `sequence`.
std::string outbox_key(std::string_view tenant, uint64_t sequence);
// The sequence in an outbox key, or Corruption.
core::Result<uint64_t> outbox_sequence(std::string_view key);

// 16 hex digits over sorted name\xff value\xff (FNV-1a-64), as Prometheus's clients
// compute the fingerprint of a label set.
std::string fingerprint(model::LabelsView labels);

}  // namespace alertstore
