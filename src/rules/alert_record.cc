#include "rules/alert_record.h"

#include "core/bytes.h"
#include "core/varint.h"

#include <fmt/format.h>

namespace rules {

using core::ErrorCode;
using core::Result;

namespace {

constexpr char kVersion = 1;
constexpr std::string_view kAlerts = "alert/";
constexpr std::string_view kSlots = "slot/";

// Two FNV-1a streams; an id has to differ between transitions, not to resist attack.
std::string hash_hex(std::string_view bytes) {
  uint64_t a = 14695981039346656037ULL;
  uint64_t b = 0x9ae16a3b2f90404fULL;
  for (const char c : bytes) {
    a = (a ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
    b = (b + static_cast<uint8_t>(c) + 1) * 0xff51afd7ed558ccdULL;
    b ^= b >> 29;
  }
  return fmt::format("{:016x}{:016x}", a, b);
}

}  // namespace

AlertView Alert::view() const {
  return {.labels = labels,
          .annotations = annotations,
          .state = state,
          .value = value,
          .active_at_ms = active_at_ms,
          .fired_at_ms = fired_at_ms,
          .keep_firing_since_ms = keep_firing_since_ms,
          .resolved_at_ms = resolved_at_ms};
}

std::string alert_prefix(std::string_view tenant) {
  std::string key(kAlerts);
  core::append_string(key, tenant);
  return key;
}

std::string alert_prefix(std::string_view tenant, std::string_view file, std::string_view group) {
  std::string key = alert_prefix(tenant);
  core::append_string(key, file);
  core::append_string(key, group);
  return key;
}

std::string alert_key(std::string_view tenant, const RuleId& rule, model::LabelsView labels) {
  std::string key = alert_prefix(tenant, rule.file, rule.group);
  core::append_string(key, rule.rule);
  core::append_string(key, rule.label_bytes);
  core::append_varint(key, rule.nth);
  key.append(labels.bytes());
  return key;
}

Result<AlertKey> parse_alert_key(std::string_view key, std::string_view tenant) {
  const std::string prefix = alert_prefix(tenant);
  AlertKey result;
  if (key.starts_with(prefix)) {
    std::string_view rest = key.substr(prefix.size());
    RuleId& rule = result.rule;
    if (core::take_string(rest, rule.file) && core::take_string(rest, rule.group) &&
        core::take_string(rest, rule.rule) && core::take_string(rest, rule.label_bytes) &&
        core::take_varint(rest, rule.nth)) {
      result.labels = model::Labels::from_canonical(rest);
      return result;
    }
  }
  return core::fail(ErrorCode::Corruption, "alert store: malformed key of an alert");
}

std::string encode_alert(const Alert& alert, std::string_view generator_url) {
  std::string out(1, kVersion);
  out.push_back(static_cast<char>(alert.state));
  core::append_le(out, alert.value);
  for (const int64_t time_ms :
       {alert.active_at_ms, alert.fired_at_ms, alert.keep_firing_since_ms, alert.resolved_at_ms}) {
    core::append_zigzag(out, time_ms);
  }
  alertstore::append_annotations(out, alert.annotations);
  core::append_string(out, generator_url);
  if (alert.sent_labels) core::append_string(out, alert.sent_labels->bytes());
  return out;
}

Result<AlertRecord> decode_alert(std::string_view bytes, model::Labels labels) {
  constexpr size_t kFixedSize = 2 + sizeof(double);
  AlertRecord record;
  Alert& alert = record.alert;
  if (bytes.size() >= kFixedSize && bytes[0] == kVersion && bytes[1] >= 1 && bytes[1] <= 3) {
    alert.labels = std::move(labels);
    alert.state = static_cast<AlertState>(bytes[1]);
    alert.value = core::load_le<double>(bytes.substr(2));
    std::string_view rest = bytes.substr(kFixedSize);
    if (core::take_zigzag(rest, alert.active_at_ms) && core::take_zigzag(rest, alert.fired_at_ms) &&
        core::take_zigzag(rest, alert.keep_firing_since_ms) &&
        core::take_zigzag(rest, alert.resolved_at_ms) &&
        alertstore::take_annotations(rest, alert.annotations) &&
        core::take_string(rest, record.generator_url)) {
      // Records of alerts that did not fire yet end here.
      std::string sent;
      if (rest.empty()) return record;
      if (core::take_string(rest, sent) && rest.empty()) {
        alert.sent_labels = model::Labels::from_canonical(sent);
        return record;
      }
    }
  }
  return core::fail(ErrorCode::Corruption, "alert store: malformed record of an alert");
}

std::string slot_prefix(std::string_view tenant) {
  std::string key(kSlots);
  core::append_string(key, tenant);
  return key;
}

std::string slot_key(std::string_view tenant, std::string_view file, std::string_view group) {
  std::string key = slot_prefix(tenant);
  core::append_string(key, file);
  core::append_string(key, group);
  return key;
}

std::string encode_slot(int64_t slot_ms) {
  std::string out(1, kVersion);
  core::append_zigzag(out, slot_ms);
  return out;
}

Result<int64_t> decode_slot(std::string_view bytes) {
  int64_t slot_ms = 0;
  if (!bytes.empty() && bytes[0] == kVersion) {
    bytes.remove_prefix(1);
    if (core::take_zigzag(bytes, slot_ms) && bytes.empty()) return slot_ms;
  }
  return core::fail(ErrorCode::Corruption, "alert store: malformed record of a slot");
}

alertstore::AlertEvent make_event(std::string_view tenant, const RuleId& rule, const Alert& alert,
                                  std::string_view generator_url, std::string_view reason) {
  alertstore::AlertEvent event;
  event.tenant = tenant;
  event.transition = alert.state == AlertState::Firing ? alertstore::Transition::Firing
                                                       : alertstore::Transition::Resolved;
  event.rule_group = rule.file + ";" + rule.group;
  event.labels = alert.sent_labels.value_or(alert.labels);
  event.annotations = alert.annotations;
  event.value = alert.value;
  event.starts_at_ms = alert.fired_at_ms;
  event.ends_at_ms = alert.resolved_at_ms;
  event.generator_url = generator_url;
  event.reason = reason;
  std::string identity = alert_key(tenant, rule, alert.labels);
  core::append_zigzag(identity, alert.active_at_ms);
  core::append_zigzag(identity, alert.fired_at_ms);
  identity.push_back(static_cast<char>(event.transition));
  event.id = hash_hex(identity);
  return event;
}

}  // namespace rules
