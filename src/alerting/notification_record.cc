#include "alerting/notification_record.h"

#include "core/varint.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace alerting {

using alertstore::AlertEvent;
using core::ErrorCode;
using core::Result;

namespace {

constexpr char kVersion = 1;
// Groups with a public_key. Written only when there is one, so that an older program can
// read what has none.
constexpr char kGroupVersion2 = 2;
constexpr uint64_t kChannelsPerKind = 1000;

template <typename Add>
bool take_events(std::string_view& bytes, Add add) {
  uint64_t count = 0;
  if (!core::take_varint(bytes, count) || count > bytes.size()) return false;
  for (uint64_t i = 0; i < count; ++i) {
    AlertEvent event;
    if (!alertstore::take_event(bytes, event)) return false;
    add(std::move(event));
  }
  return true;
}

bool take_texts(std::string_view& bytes, std::vector<std::string>& texts) {
  uint64_t count = 0;
  if (!core::take_varint(bytes, count) || count > bytes.size()) return false;
  for (uint64_t i = 0; i < count; ++i) {
    if (!core::take_string(bytes, texts.emplace_back())) return false;
  }
  return true;
}

bool take_version(std::string_view& bytes) {
  if (bytes.empty() || bytes[0] != kVersion) return false;
  bytes.remove_prefix(1);
  return true;
}

bool take_group_version(std::string_view& bytes, std::string& public_key) {
  if (bytes.empty() || bytes[0] != kGroupVersion2) return take_version(bytes);
  bytes.remove_prefix(1);
  return core::take_string(bytes, public_key);
}

// Off the end of the receiver's name.
bool take_route(Group& group) {
  const size_t end = group.receiver.find('\0');
  if (end == std::string::npos) return true;
  const std::string number = group.receiver.substr(end + 1);
  group.receiver.resize(end);
  const auto [at, error] =
      std::from_chars(number.data(), number.data() + number.size(), group.route);
  return error == std::errc() && at == number.data() + number.size() && group.route > 0;
}

}  // namespace

uint64_t integration_of(ChannelType type, size_t index) {
  return static_cast<uint64_t>(type) * kChannelsPerKind + std::min(index, kChannelsPerKind - 1);
}

ChannelType channel_type(uint64_t integration) {
  return integration < kChannelsPerKind ? ChannelType::Webhook : ChannelType::Email;
}

size_t channel_index(uint64_t integration) {
  return integration % kChannelsPerKind;
}

std::string group_key(std::string_view tenant, std::string_view receiver, uint32_t route,
                      model::LabelsView labels) {
  std::string key(kGroupPrefix);
  core::append_string(key, tenant);
  if (route == 0) {
    core::append_string(key, receiver);
  } else {
    core::append_string(key, fmt::format("{}{}{}", receiver, '\0', route));
  }
  key.append(labels.bytes());
  return key;
}

std::string Group::key() const {
  return group_key(tenant, receiver, route, labels);
}

std::string encode_group(const Group& group) {
  std::string out(1, group.public_key.empty() ? kVersion : kGroupVersion2);
  if (!group.public_key.empty()) core::append_string(out, group.public_key);
  core::append_varint(out, group.members.size());
  for (const auto& [labels, event] : group.members) alertstore::append_event(out, event);
  core::append_varint(out, group.pending.size());
  for (const AlertEvent& event : group.pending) alertstore::append_event(out, event);
  core::append_varint(out, group.informed.size());
  for (const std::string& integration : group.informed) core::append_string(out, integration);
  core::append_varint(out, group.next_sequence);
  core::append_zigzag(out, group.flush_at_ms);
  core::append_zigzag(out, group.last_flush_ms);
  core::append_zigzag(out, group.last_notified_ms);
  return out;
}

Result<Group> decode_group(std::string_view key, std::string_view bytes) {
  Group group;
  std::string_view name = key;
  if (name.starts_with(kGroupPrefix)) {
    name.remove_prefix(kGroupPrefix.size());
    const bool named =
        core::take_string(name, group.tenant) && core::take_string(name, group.receiver);
    group.labels = model::Labels::from_canonical(name);
    const bool route_known = !named || take_route(group);
    const auto add_member = [&group](AlertEvent event) {
      model::Labels labels = event.labels;
      group.members.emplace(std::move(labels), std::move(event));
    };
    const auto add_pending = [&group](AlertEvent event) {
      group.pending.push_back(std::move(event));
    };
    if (named && route_known && take_group_version(bytes, group.public_key) &&
        take_events(bytes, add_member) && take_events(bytes, add_pending) &&
        take_texts(bytes, group.informed) && core::take_varint(bytes, group.next_sequence) &&
        core::take_zigzag(bytes, group.flush_at_ms) &&
        core::take_zigzag(bytes, group.last_flush_ms) &&
        core::take_zigzag(bytes, group.last_notified_ms) && bytes.empty()) {
      return group;
    }
  }
  return core::fail(ErrorCode::Corruption, "alert store: malformed notification group");
}

std::string Delivery::key() const {
  // Fixed-width numbers: keys of a group sort in the order of its messages.
  return fmt::format("{}{}/{:020}/{:04}", kDeliveryPrefix, group, sequence, integration);
}

std::string encode_delivery(const Delivery& delivery) {
  std::string out(1, kVersion);
  core::append_string(out, delivery.group);
  core::append_varint(out, delivery.sequence);
  core::append_varint(out, delivery.integration);
  core::append_string(out, delivery.id);
  core::append_string(out, delivery.receiver);
  out.push_back(static_cast<char>(delivery.state));
  core::append_varint(out, delivery.attempt);
  core::append_zigzag(out, delivery.due_ms);
  core::append_zigzag(out, delivery.created_ms);
  core::append_string(out, delivery.last_error);
  core::append_string(out, delivery.body);
  return out;
}

Result<Delivery> decode_delivery(std::string_view bytes) {
  Delivery one;
  if (take_version(bytes) && core::take_string(bytes, one.group) &&
      core::take_varint(bytes, one.sequence) && core::take_varint(bytes, one.integration) &&
      core::take_string(bytes, one.id) && core::take_string(bytes, one.receiver) &&
      !bytes.empty() && (bytes[0] == 1 || bytes[0] == 2)) {
    one.state = static_cast<DeliveryState>(bytes[0]);
    bytes.remove_prefix(1);
    if (core::take_varint(bytes, one.attempt) && core::take_zigzag(bytes, one.due_ms) &&
        core::take_zigzag(bytes, one.created_ms) && core::take_string(bytes, one.last_error) &&
        core::take_string(bytes, one.body) && bytes.empty()) {
      return one;
    }
  }
  return core::fail(ErrorCode::Corruption, "alert store: malformed delivery");
}

std::string dead_letter_key(int64_t time_ms, std::string_view id) {
  return fmt::format("{}{:020}/{}", kDeadLetterPrefix, time_ms, id);
}

}  // namespace alerting
