// What of notifications stands in the store.
//
//   group/<tenant><receiver><group labels>      who is in the group, what waits for a page
//     Several routes may lead to one receiver: from the second on "\0" and the number of
//     the route (Route::ordinal) stand behind the receiver's name.
//   delivery/<group key><sequence><integration> a message that is owed
//   deadletter/<time><id>                       a message that its receiver refused for good

#pragma once

#include "alertstore/alert_event.h"
#include "core/result.h"
#include "model/labels.h"

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace alerting {

inline constexpr std::string_view kGroupPrefix = "group/";
inline constexpr std::string_view kDeliveryPrefix = "delivery/";
inline constexpr std::string_view kDeadLetterPrefix = "deadletter/";

struct Group {
  std::string tenant;
  std::string receiver;
  uint32_t route = 0;  // Route::ordinal
  model::Labels labels;

  // As the receiver was last told: those that fire, with their newest text.
  std::map<model::Labels, alertstore::AlertEvent> members;
  // Transitions that no message tells yet, in order.
  std::deque<alertstore::AlertEvent> pending;
  // The integrations that the messages so far went to.
  std::vector<std::string> informed;
  uint64_t next_sequence = 1;
  int64_t flush_at_ms = 0;       // 0: nothing to tell
  int64_t last_flush_ms = 0;     // 0: never
  int64_t last_notified_ms = 0;  // a repeat is due an interval after this
  // groupKey of messages: that of the first one, while the group has members, whatever
  // becomes of the routes. Empty before it.
  std::string public_key;

  std::string key() const;
};
std::string group_key(std::string_view tenant, std::string_view receiver, uint32_t route,
                      model::LabelsView labels);
std::string encode_group(const Group& group);
core::Result<Group> decode_group(std::string_view key, std::string_view bytes);

enum class DeliveryState : uint8_t { Pending = 1, Sending = 2 };

struct Delivery {
  std::string group;  // its key
  uint64_t sequence = 0;
  uint64_t integration = 0;  // which channel of the receiver: see integration_of()
  std::string id;            // Idempotency-Key
  std::string receiver;
  DeliveryState state = DeliveryState::Pending;
  uint64_t attempt = 0;  // the newest one begun
  // Pending: when to try; Sending: when an answer is no longer waited for.
  int64_t due_ms = 0;
  int64_t created_ms = 0;
  std::string last_error;
  std::string body;

  std::string key() const;
};
// Channels of a receiver by kind and place, so that one more of a kind moves no other.
enum class ChannelType : uint8_t { Webhook = 0, Email = 1 };
uint64_t integration_of(ChannelType type, size_t index);
ChannelType channel_type(uint64_t integration);
size_t channel_index(uint64_t integration);

std::string encode_delivery(const Delivery& delivery);
core::Result<Delivery> decode_delivery(std::string_view bytes);

std::string dead_letter_key(int64_t time_ms, std::string_view id);

}  // namespace alerting
