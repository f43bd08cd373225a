#include "alerting/notifier_core.h"

#include "alerting/notify/email.h"
#include "alerting/notify/webhook.h"
#include "core/log.h"
#include "core/metrics.h"
#include "templates/template_set.h"

#include <algorithm>
#include <fmt/format.h>
#include <openssl/sha.h>

namespace alerting {

using alertstore::AlertEvent;
using alertstore::Entry;
using alertstore::Transition;
using core::Result;

namespace {

constexpr size_t kScanPage = 500;
// Messages of one group that may wait for its receiver. Above it transitions wait in the
// group instead, where they are told together.
constexpr size_t kOwedPerGroupMax = 16;
// Transitions of one alert that wait in a group. Above it a resolve and the firing after
// it are dropped together: the receiver still hears of the first and the last.
constexpr size_t kPendingPerAlertMax = 6;
constexpr size_t kInFlightMax = 64;
constexpr size_t kDeadLettersMax = 1000;
constexpr int64_t kBackoffBaseMs = 1'000;
// Short, because it is also how late a page can be once its receiver is back.
constexpr int64_t kBackoffMaxMs = 15'000;
// A message whose receiver has no integration any more waits for a better configuration.
constexpr int64_t kNowhereMs = 60'000;
// Beyond the request's own timeout: an attempt whose end never came was lost.
constexpr int64_t kAnswerGraceMs = 5'000;
// Mail servers are asked again less often: they remember who hammers.
constexpr int64_t kEmailBackoffMaxMs = 60'000;

core::Counter& notifications(const char* integration) {
  return core::counter("petrel_notifications_total", "Attempts to send a notification.",
                       {{"integration", integration}});
}
core::Counter& failed(const char* integration, const std::string& reason) {
  return core::counter("petrel_notifications_failed_total",
                       "Attempts to send a notification that failed.",
                       {{"integration", integration}, {"reason", reason}});
}
const char* name_of(uint64_t integration) {
  return channel_type(integration) == ChannelType::Email ? "email" : "webhook";
}
core::Counter& coalesced() {
  static core::Counter& counter =
      core::counter("petrel_notifications_coalesced_total",
                    "Alert transitions that were not told one by one because their receiver was "
                    "too far behind.");
  return counter;
}
core::Counter& undeliverable() {
  static core::Counter& counter =
      core::counter("petrel_notifications_dead_letters_total",
                    "Notifications that their receiver refused for good.");
  return counter;
}

std::string hash_hex(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string out;
  for (size_t i = 0; i < 16; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

// Null in configurations that no file made.
const templates::TemplateSet& templates_of(const Config& config) {
  static const templates::TemplateSet kDefault;
  return config.templates ? *config.templates : kDefault;
}

}  // namespace

Result<NotifierCore> NotifierCore::load(CoreOptions options, Config config,
                                        const alertstore::AlertStore& store, core::Rng& rng,
                                        bool after_restart, int64_t now_ms) {
  NotifierCore core(std::move(options), std::move(config), rng);
  const auto scan = [&store](std::string_view prefix, auto take) -> Result<void> {
    std::string after;
    for (;;) {
      const std::vector<Entry> page = TRY(store.scan(std::string(prefix), kScanPage, after));
      for (const Entry& entry : page) TRY(take(entry));
      if (page.size() < kScanPage) return {};
      after = page.back().first;
    }
  };
  const auto take_group = [&core, now_ms](const Entry& entry) -> Result<void> {
    Group group = TRY(decode_group(entry.first, entry.second));
    // The clock may have been set back while we were down.
    const Route& route = core.route_of(group);
    // Of a store that was written before groups kept it.
    if (group.public_key.empty() && group.last_notified_ms != 0 && !group.members.empty()) {
      group.public_key = "{}:" + group.labels.to_string();
    }
    const int64_t latest_ms = now_ms + std::max(route.group_wait_ms, route.group_interval_ms);
    group.flush_at_ms = std::min(group.flush_at_ms, latest_ms);
    group.last_flush_ms = std::min(group.last_flush_ms, now_ms);
    group.last_notified_ms = std::min(group.last_notified_ms, now_ms);
    for (const auto& [labels, event] : group.members) {
      core.groups_of_[{group.tenant, labels}].insert(entry.first);
    }
    for (const AlertEvent& event : group.pending) {
      core.groups_of_[{group.tenant, event.labels}].insert(entry.first);
    }
    core.groups_.emplace(entry.first, std::move(group));
    return {};
  };
  const auto take_delivery = [&](const Entry& entry) -> Result<void> {
    Delivery delivery = TRY(decode_delivery(entry.second));
    if (after_restart) {
      delivery.state = DeliveryState::Pending;
      // What was to be retried later may be due: whoever restarts has often just mended it.
      delivery.due_ms = now_ms;
    }
    core.deliveries_.emplace(entry.first, std::move(delivery));
    return {};
  };
  const auto take_dead_letter = [&core](const Entry& entry) -> Result<void> {
    core.dead_letters_.insert(entry.first);
    return {};
  };
  TRY(scan(kGroupPrefix, take_group));
  TRY(scan(kDeliveryPrefix, take_delivery));
  TRY(scan(kDeadLetterPrefix, take_dead_letter));
  core.make_uninformed_due(now_ms);
  return core;
}

const Receiver& NotifierCore::receiver_of(const std::string& name) const {
  // What is owed to a receiver that is gone goes to the one that takes everything now.
  const Receiver* receiver = config_.find_receiver(name);
  if (receiver == nullptr) receiver = config_.find_receiver(config_.route.receiver);
  ENSURE(receiver != nullptr);
  return *receiver;
}

const Route& NotifierCore::route_of(const Group& group) const {
  const Route* route = find_route(config_.route, group.receiver, group.route);
  return route != nullptr ? *route : config_.route;
}

std::vector<NotifierCore::Channel> NotifierCore::channels_of(const Receiver& receiver) {
  std::vector<Channel> channels;
  for (size_t i = 0; i < receiver.webhooks.size(); ++i) {
    channels.push_back(
        {integration_of(ChannelType::Webhook, i), fmt::format("{}/webhook/{}", receiver.name, i)});
  }
  for (size_t i = 0; i < receiver.emails.size(); ++i) {
    channels.push_back(
        {integration_of(ChannelType::Email, i), fmt::format("{}/email/{}", receiver.name, i)});
  }
  return channels;
}

void NotifierCore::put(const Group& group, Effects& effects) const {
  effects.mutations.push_back({group.key(), encode_group(group)});
}

std::vector<Group*> NotifierCore::route(const AlertEvent& event) {
  std::vector<Group*> groups;
  for (const Route* route : find_routes(config_.route, event.labels)) {
    const model::Labels labels = group_labels(*route, event.labels);
    const std::string key = group_key(event.tenant, route->receiver, route->ordinal, labels);
    const auto [entry, is_new] = groups_.try_emplace(key);
    if (is_new) {
      entry->second.tenant = event.tenant;
      entry->second.receiver = route->receiver;
      entry->second.route = route->ordinal;
      entry->second.labels = labels;
    }
    groups.push_back(&entry->second);
  }
  return groups;
}

void NotifierCore::add(Group& group, AlertEvent event, int64_t now_ms) {
  groups_of_[{group.tenant, event.labels}].insert(group.key());
  std::vector<size_t> same;
  for (size_t i = 0; i < group.pending.size(); ++i) {
    if (group.pending[i].labels == event.labels) same.push_back(i);
  }
  if (same.size() >= kPendingPerAlertMax) {
    for (int i = 0; i < 2; ++i) {
      group.pending.erase(group.pending.begin() + static_cast<std::ptrdiff_t>(same.back()));
      same.pop_back();
    }
    coalesced().add(2);
  }
  group.pending.push_back(std::move(event));
  const Route& route = route_of(group);
  int64_t due_ms = now_ms + route.group_wait_ms;
  if (group.last_flush_ms != 0) {
    due_ms = std::max(due_ms, group.last_flush_ms + route.group_interval_ms);
  }
  group.flush_at_ms = group.flush_at_ms == 0 ? due_ms : std::min(group.flush_at_ms, due_ms);
}

void NotifierCore::take(std::span<const Entry> rows, int64_t now_ms, Effects& effects) {
  std::set<std::string> touched;
  for (const auto& [key, value] : rows) {
    effects.mutations.push_back({key, std::nullopt});
    const Result<AlertEvent> event = alertstore::decode_event(value);
    if (!event) {
      // Kept where people can look at it; it must not stop what comes behind it.
      core::log_error("alerting", "unreadable alert event", {{"error", event.error().message}});
      effects.mutations.push_back({dead_letter_key(now_ms, hash_hex(key)), value});
      undeliverable().add();
      continue;
    }
    std::set<std::string> targets;
    const auto known = groups_of_.find({event->tenant, event->labels});
    // The end goes to whoever heard of the beginning, also under an older configuration.
    if (event->transition == Transition::Resolved && known != groups_of_.end()) {
      targets = known->second;
    }
    if (targets.empty()) {
      for (const Group* group : route(*event)) targets.insert(group->key());
    }
    for (const std::string& target : targets) {
      add(groups_.at(target), *event, now_ms);
      touched.insert(target);
    }
  }
  for (const std::string& key : touched) put(groups_.at(key), effects);
}

// The first waiting transition of each alert, in order: what one message can tell. Moves
// the members on; gives those that ended.
NotifierCore::Round NotifierCore::take_round(Group& group) {
  Round round;
  std::set<model::Labels> seen;
  std::deque<AlertEvent> later;
  for (AlertEvent& event : group.pending) {
    if (!seen.insert(event.labels).second) {
      later.push_back(std::move(event));
      continue;
    }
    if (event.transition == Transition::Resolved) {
      group.members.erase(event.labels);
      round.ended.push_back(std::move(event));
    } else {
      round.any_fired = true;
      group.members.insert_or_assign(event.labels, std::move(event));
    }
  }
  group.pending = std::move(later);
  return round;
}

size_t NotifierCore::owed(const std::string& group) const {
  const std::string prefix = fmt::format("{}{}/", kDeliveryPrefix, group);
  size_t count = 0;
  for (auto one = deliveries_.lower_bound(prefix);
       one != deliveries_.end() && one->second.group == group && count < kOwedPerGroupMax; ++one) {
    ++count;
  }
  return count;
}

void NotifierCore::flush(Group& group, int64_t now_ms, Effects& effects) {
  const std::string key = group.key();
  if (owed(key) >= kOwedPerGroupMax) {
    group.flush_at_ms = now_ms + route_of(group).group_interval_ms;
    group.last_notified_ms = now_ms;  // no repeats on top
    return;
  }
  const Receiver& receiver = receiver_of(group.receiver);
  std::vector<uint64_t> all;
  std::vector<uint64_t> uninformed;
  std::vector<std::string> ids;
  for (const Channel& channel : channels_of(receiver)) {
    all.push_back(channel.integration);
    ids.push_back(channel.id);
    if (std::ranges::count(group.informed, channel.id) == 0) {
      uninformed.push_back(channel.integration);
    }
  }
  const Route& route = route_of(group);
  if (group.public_key.empty()) group.public_key = route.key + ":" + group.labels.to_string();
  const bool repeat =
      !group.members.empty() && now_ms - group.last_notified_ms >= route.repeat_interval_ms;
  if (group.pending.empty()) {
    const Round same{.ended = {}, .any_fired = true};
    if (!group.members.empty()) notify(group, same, repeat ? all : uninformed, now_ms, effects);
  }
  while (!group.pending.empty()) {
    const Round round = take_round(group);
    notify(group, round, all, now_ms, effects);
    for (const AlertEvent& event : round.ended) {
      const bool comes_back = std::ranges::any_of(
          group.pending, [&event](const AlertEvent& next) { return next.labels == event.labels; });
      if (comes_back) continue;
      const auto known = groups_of_.find({group.tenant, event.labels});
      if (known == groups_of_.end()) continue;
      known->second.erase(key);
      if (known->second.empty()) groups_of_.erase(known);
    }
  }
  group.informed = std::move(ids);
  if (group.members.empty()) group.public_key.clear();
  group.flush_at_ms = 0;
  group.last_flush_ms = now_ms;
  group.last_notified_ms = now_ms;
  put(group, effects);
}

void NotifierCore::notify(Group& group, const Round& round,
                          const std::vector<uint64_t>& integrations, int64_t now_ms,
                          Effects& effects) {
  const Receiver& receiver = receiver_of(group.receiver);
  Notification notification;
  notification.receiver = receiver.name;
  notification.group_key = group.public_key;
  notification.group_labels = group.labels;
  notification.external_url = options_.external_url;
  for (const auto& [labels, event] : group.members) notification.alerts.push_back(event);
  const size_t firing = notification.alerts.size();
  std::ranges::copy(round.ended, std::back_inserter(notification.alerts));

  const uint64_t sequence = group.next_sequence++;
  for (const uint64_t integration : integrations) {
    const size_t index = channel_index(integration);
    const bool send_resolved = channel_type(integration) == ChannelType::Email
                                   ? receiver.emails[index].send_resolved
                                   : receiver.webhooks[index].send_resolved;
    Notification told = notification;
    if (!send_resolved) {
      if (!round.any_fired) continue;
      told.alerts.resize(firing);
    }
    if (told.alerts.empty()) continue;
    Delivery delivery;
    delivery.group = group.key();
    delivery.sequence = sequence;
    delivery.integration = integration;
    delivery.receiver = receiver.name;
    delivery.created_ms = now_ms;
    delivery.due_ms = now_ms;
    std::string identity = delivery.key();
    for (const AlertEvent& event : told.alerts) identity += event.id;
    delivery.id = hash_hex(identity + std::to_string(now_ms));
    std::optional<std::string> body = body_of(receiver, integration, told, delivery.id, now_ms);
    if (!body) {
      bury(delivery, now_ms, effects);
      continue;
    }
    delivery.body = std::move(*body);
    effects.mutations.push_back({delivery.key(), encode_delivery(delivery)});
    deliveries_.emplace(delivery.key(), std::move(delivery));
  }
}

// Nothing when it cannot be made: a mail whose addresses are none.
std::optional<std::string> NotifierCore::body_of(const Receiver& receiver, uint64_t integration,
                                                 const Notification& told, const std::string& id,
                                                 int64_t now_ms) {
  const size_t index = channel_index(integration);
  if (channel_type(integration) == ChannelType::Webhook) {
    return webhook_body(told, receiver.webhooks[index].max_alerts);
  }
  const Result<EmailMessage> email =
      make_email(receiver.emails[index], told,
                 {.templates = templates_of(config_), .id = id, .now_ms = now_ms});
  if (email) return encode_email(*email);
  last_error_ = fmt::format("{}: {}", receiver.name, email.error().message);
  failed("email", "refused").add();
  core::log_error("alerting", "a mail cannot be made",
                  {{"receiver", receiver.name}, {"error", email.error().message}});
  return std::nullopt;
}

int64_t NotifierCore::backoff_ms(const Delivery& delivery, int64_t retry_after_ms) {
  const uint64_t doublings =
      std::min<uint64_t>(delivery.attempt > 0 ? delivery.attempt - 1 : 0, 10);
  const bool is_mail = channel_type(delivery.integration) == ChannelType::Email;
  const int64_t full_ms =
      std::min(is_mail ? kEmailBackoffMaxMs : kBackoffMaxMs, kBackoffBaseMs << doublings);
  // Half of it by chance, so that many deliveries do not come back in step.
  const int64_t half_ms = full_ms / 2;
  const auto jitter_ms = static_cast<int64_t>(rng_->below(static_cast<uint64_t>(half_ms) + 1));
  return std::max(retry_after_ms, half_ms + jitter_ms);
}

void NotifierCore::finished(const std::string& key, uint64_t attempt, const Verdict& verdict,
                            int64_t now_ms, Effects& effects) {
  const auto entry = deliveries_.find(key);
  if (entry == deliveries_.end()) return;
  Delivery& delivery = entry->second;
  if (delivery.state != DeliveryState::Sending || delivery.attempt != attempt) return;
  const char* const integration = name_of(delivery.integration);
  if (!verdict.refused.empty()) {
    failed(integration, "refused").add();
    core::log_error("alerting", "a notification was refused by some of its recipients",
                    {{"receiver", delivery.receiver},
                     {"recipients", verdict.refused},
                     {"notification", delivery.id}});
  }
  if (verdict.outcome == Outcome::Delivered) {
    last_error_.clear();
    effects.mutations.push_back({key, std::nullopt});
    deliveries_.erase(entry);
    return;
  }
  last_error_ = fmt::format("{}: {}", delivery.receiver, verdict.reason);
  if (verdict.outcome == Outcome::Permanent) {
    failed(integration, "refused").add();
    core::log_error("alerting", "the receiver refused a notification for good",
                    {{"receiver", delivery.receiver},
                     {"answer", verdict.reason},
                     {"notification", delivery.id}});
    delivery.last_error = verdict.reason;
    bury(delivery, now_ms, effects);
    deliveries_.erase(entry);
    return;
  }
  failed(integration, verdict.failure.empty() ? "retry" : verdict.failure).add();
  // Once, and again when something else is wrong.
  if (delivery.attempt == 1 || delivery.last_error != verdict.reason) {
    core::log_warn("alerting", "a notification failed and will be tried again",
                   {{"receiver", delivery.receiver},
                    {"answer", verdict.reason},
                    {"notification", delivery.id}});
  }
  delivery.state = DeliveryState::Pending;
  delivery.last_error = verdict.reason;
  if (verdict.rest) delivery.body = *verdict.rest;
  delivery.due_ms = now_ms + backoff_ms(delivery, verdict.retry_after_ms);
  effects.mutations.push_back({key, encode_delivery(delivery)});
}

void NotifierCore::bury(const Delivery& delivery, int64_t now_ms, Effects& effects) {
  undeliverable().add();
  effects.mutations.push_back({delivery.key(), std::nullopt});
  std::string letter = dead_letter_key(now_ms, delivery.id);
  effects.mutations.push_back({letter, encode_delivery(delivery)});
  dead_letters_.insert(std::move(letter));
  if (dead_letters_.size() <= kDeadLettersMax) return;
  effects.mutations.push_back({*dead_letters_.begin(), std::nullopt});
  dead_letters_.erase(dead_letters_.begin());
}

// Begins the next attempt. False when there is nowhere to send it.
bool NotifierCore::begin(Delivery& delivery, int64_t now_ms, Effects& effects) {
  const Receiver& receiver = receiver_of(delivery.receiver);
  const bool is_mail = channel_type(delivery.integration) == ChannelType::Email;
  const size_t count = is_mail ? receiver.emails.size() : receiver.webhooks.size();
  if (count == 0) {
    delivery.due_ms = now_ms + kNowhereMs;
    return false;
  }
  const size_t index = std::min(channel_index(delivery.integration), count - 1);
  Send send{delivery.key(), ++delivery.attempt, delivery.id, delivery.body, {}};
  int64_t timeout_ms = net::OutgoingMail().timeout_ms;
  if (is_mail) {
    send.channel = receiver.emails[index];
  } else {
    timeout_ms = receiver.webhooks[index].timeout_ms;
    send.channel = receiver.webhooks[index];
  }
  delivery.state = DeliveryState::Sending;
  delivery.due_ms = now_ms + timeout_ms + kAnswerGraceMs;
  notifications(name_of(delivery.integration)).add();
  effects.mutations.push_back({delivery.key(), encode_delivery(delivery)});
  effects.sends.push_back(std::move(send));
  return true;
}

void NotifierCore::tick(int64_t now_ms, Effects& effects) {
  for (auto entry = groups_.begin(); entry != groups_.end();) {
    Group& group = entry->second;
    const Route& route = route_of(group);
    const bool repeat = !group.members.empty() && group.last_notified_ms != 0 &&
                        now_ms - group.last_notified_ms >= route.repeat_interval_ms;
    const bool due = group.flush_at_ms != 0 && group.flush_at_ms <= now_ms;
    if (due || repeat) flush(group, now_ms, effects);
    // An empty group keeps the interval and the order of its messages for a while.
    const bool forgotten = group.members.empty() && group.pending.empty() &&
                           now_ms - group.last_flush_ms >= route.group_interval_ms &&
                           owed(entry->first) == 0;
    if (forgotten) {
      effects.mutations.push_back({entry->first, std::nullopt});
      entry = groups_.erase(entry);
    } else {
      ++entry;
    }
  }
  size_t in_flight = 0;
  for (auto& [key, delivery] : deliveries_) {
    if (delivery.state != DeliveryState::Sending) continue;
    if (delivery.due_ms > now_ms) {
      ++in_flight;
    } else {
      // Its outcome will never be known; the receiver can tell by the key.
      delivery.state = DeliveryState::Pending;
      failed(name_of(delivery.integration), "no_answer").add();
    }
  }
  // Strictly one after another within a group and integration: never the resolve first.
  std::set<std::pair<std::string, uint64_t>> busy;
  for (auto& [key, delivery] : deliveries_) {
    const bool is_first = busy.emplace(delivery.group, delivery.integration).second;
    if (!is_first || delivery.state == DeliveryState::Sending || delivery.due_ms > now_ms) continue;
    if (in_flight >= kInFlightMax) continue;
    if (begin(delivery, now_ms, effects)) ++in_flight;
  }
}

void NotifierCore::make_uninformed_due(int64_t now_ms) {
  for (auto& [key, group] : groups_) {
    if (group.members.empty()) continue;
    const Receiver& receiver = receiver_of(group.receiver);
    for (const Channel& channel : channels_of(receiver)) {
      if (std::ranges::count(group.informed, channel.id) > 0) continue;
      group.flush_at_ms = group.flush_at_ms == 0 ? now_ms : std::min(group.flush_at_ms, now_ms);
    }
  }
}

void NotifierCore::set_config(Config config, int64_t now_ms, Effects& effects) {
  config_ = std::move(config);
  move_members(now_ms, effects);
  make_uninformed_due(now_ms);
}

// What fires is brought to the groups that the routes of now give it. A receiver that
// was told of an alert is not told again because its route looks different; a new one
// hears of it; the old one still hears how it ends.
void NotifierCore::move_members(int64_t now_ms, Effects& effects) {
  struct Member {
    std::string group;
    AlertEvent event;
  };
  std::vector<Member> firing;
  for (const auto& [key, group] : groups_) {
    for (const auto& [labels, event] : group.members) firing.push_back({key, event});
  }
  std::set<std::string> touched;
  for (Member& member : firing) {
    const AlertKey alert{member.event.tenant, member.event.labels};
    const std::vector<Group*> wanted = route(member.event);
    Group& from = groups_.at(member.group);
    if (std::ranges::count(wanted, &from) > 0) continue;
    const bool waits = std::ranges::any_of(from.pending, [&member](const AlertEvent& event) {
      return event.labels == member.event.labels;
    });
    for (Group* to : wanted) {
      if (groups_of_[alert].contains(to->key())) continue;
      // What is owed to a receiver that is gone goes to the root's anyway.
      const bool gone = config_.find_receiver(from.receiver) == nullptr;
      if (gone && to->receiver == config_.route.receiver) continue;
      touched.insert(to->key());
      if (to->receiver != from.receiver || waits || !from.members.contains(member.event.labels)) {
        add(*to, member.event, now_ms);
        continue;
      }
      // Quietly: it has been told.
      if (to->members.empty() && to->pending.empty()) {
        to->informed = from.informed;
        to->public_key = from.public_key;
        to->last_flush_ms = std::max(to->last_flush_ms, from.last_flush_ms);
        to->last_notified_ms = std::max(to->last_notified_ms, from.last_notified_ms);
      }
      to->members.insert_or_assign(member.event.labels, member.event);
      groups_of_[alert].insert(to->key());
      groups_of_[alert].erase(member.group);
      from.members.erase(member.event.labels);
      touched.insert(member.group);
    }
  }
  for (const std::string& key : touched) put(groups_.at(key), effects);
}

void NotifierCore::shift_clock(int64_t delta_ms) {
  const auto shift = [delta_ms](int64_t& time_ms) {
    if (time_ms != 0) time_ms += delta_ms;
  };
  for (auto& [key, group] : groups_) {
    shift(group.flush_at_ms);
    shift(group.last_flush_ms);
    shift(group.last_notified_ms);
  }
  for (auto& [key, delivery] : deliveries_) shift(delivery.due_ms);
}

std::optional<int64_t> NotifierCore::next_due_ms() const {
  std::optional<int64_t> due;
  const auto at = [&due](int64_t time_ms) { due = due ? std::min(*due, time_ms) : time_ms; };
  for (const auto& [key, group] : groups_) {
    if (group.flush_at_ms != 0) at(group.flush_at_ms);
    if (!group.members.empty() && group.last_notified_ms != 0) {
      at(group.last_notified_ms + route_of(group).repeat_interval_ms);
    }
  }
  std::set<std::pair<std::string, uint64_t>> busy;
  for (const auto& [key, delivery] : deliveries_) {
    if (busy.emplace(delivery.group, delivery.integration).second) at(delivery.due_ms);
  }
  return due;
}

uint64_t NotifierCore::firing_alerts() const {
  std::set<AlertKey> firing;
  for (const auto& [key, group] : groups_) {
    for (const auto& [labels, event] : group.members) firing.emplace(group.tenant, labels);
  }
  return firing.size();
}

}  // namespace alerting
