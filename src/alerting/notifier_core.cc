#include "alerting/notifier_core.h"

#include "core/log.h"
#include "core/metrics.h"

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

core::Counter& notifications(const char* integration) {
  return core::counter("petrel_notifications_total", "Attempts to send a notification.",
                       {{"integration", integration}});
}
core::Counter& failed(const char* reason) {
  return core::counter("petrel_notifications_failed_total",
                       "Attempts to send a notification that failed.",
                       {{"integration", "webhook"}, {"reason", reason}});
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

std::string integration_id(const Receiver& receiver, size_t index) {
  return fmt::format("{}/webhook/{}", receiver.name, index);
}

std::string hash_hex(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string out;
  for (size_t i = 0; i < 16; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

model::Labels group_labels(const Route& route, const model::Labels& labels) {
  if (route.group_by_all) return labels;
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& name : route.group_by) {
    const std::string_view value = labels.get(name);
    if (!value.empty()) pairs.emplace_back(name, value);
  }
  return model::Labels::of(std::move(pairs));
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
    const Route& route = core.config_.route;
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

void NotifierCore::put(const Group& group, Effects& effects) const {
  effects.mutations.push_back({group.key(), encode_group(group)});
}

Group& NotifierCore::route(const AlertEvent& event) {
  const model::Labels labels = group_labels(config_.route, event.labels);
  const std::string key = group_key(event.tenant, config_.route.receiver, labels);
  const auto [entry, is_new] = groups_.try_emplace(key);
  if (is_new) {
    entry->second.tenant = event.tenant;
    entry->second.receiver = config_.route.receiver;
    entry->second.labels = labels;
  }
  return entry->second;
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
  int64_t due_ms = now_ms + config_.route.group_wait_ms;
  if (group.last_flush_ms != 0) {
    due_ms = std::max(due_ms, group.last_flush_ms + config_.route.group_interval_ms);
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
    if (targets.empty()) targets.insert(route(*event).key());
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
    group.flush_at_ms = now_ms + config_.route.group_interval_ms;
    group.last_notified_ms = now_ms;  // no repeats on top
    return;
  }
  const Receiver& receiver = receiver_of(group.receiver);
  std::vector<size_t> all;
  std::vector<size_t> uninformed;
  std::vector<std::string> ids;
  for (size_t i = 0; i < receiver.webhooks.size(); ++i) {
    all.push_back(i);
    ids.push_back(integration_id(receiver, i));
    if (std::ranges::count(group.informed, ids.back()) == 0) uninformed.push_back(i);
  }
  const bool repeat =
      !group.members.empty() && now_ms - group.last_notified_ms >= config_.route.repeat_interval_ms;
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
  group.flush_at_ms = 0;
  group.last_flush_ms = now_ms;
  group.last_notified_ms = now_ms;
  put(group, effects);
}

void NotifierCore::notify(Group& group, const Round& round, const std::vector<size_t>& integrations,
                          int64_t now_ms, Effects& effects) {
  const Receiver& receiver = receiver_of(group.receiver);
  Notification notification;
  notification.receiver = receiver.name;
  notification.group_key = "{}:" + group.labels.to_string();
  notification.group_labels = group.labels;
  notification.external_url = options_.external_url;
  for (const auto& [labels, event] : group.members) notification.alerts.push_back(event);
  const size_t firing = notification.alerts.size();
  std::ranges::copy(round.ended, std::back_inserter(notification.alerts));

  const uint64_t sequence = group.next_sequence++;
  for (const size_t index : integrations) {
    const WebhookConfig& webhook = receiver.webhooks[index];
    Notification told = notification;
    if (!webhook.send_resolved) {
      if (!round.any_fired) continue;
      told.alerts.resize(firing);
    }
    if (told.alerts.empty()) continue;
    Delivery delivery;
    delivery.group = group.key();
    delivery.sequence = sequence;
    delivery.integration = index;
    delivery.receiver = receiver.name;
    delivery.created_ms = now_ms;
    delivery.due_ms = now_ms;
    delivery.body = webhook_body(told, webhook.max_alerts);
    std::string identity = delivery.key();
    for (const AlertEvent& event : told.alerts) identity += event.id;
    delivery.id = hash_hex(identity + std::to_string(now_ms));
    effects.mutations.push_back({delivery.key(), encode_delivery(delivery)});
    deliveries_.emplace(delivery.key(), std::move(delivery));
  }
}

int64_t NotifierCore::backoff_ms(uint64_t attempt, int64_t retry_after_ms) {
  const uint64_t doublings = std::min<uint64_t>(attempt > 0 ? attempt - 1 : 0, 10);
  const int64_t full_ms = std::min(kBackoffMaxMs, kBackoffBaseMs << doublings);
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
  if (verdict.outcome == Outcome::Delivered) {
    last_error_.clear();
    effects.mutations.push_back({key, std::nullopt});
    deliveries_.erase(entry);
    return;
  }
  last_error_ = fmt::format("{}: {}", delivery.receiver, verdict.reason);
  if (verdict.outcome == Outcome::Permanent) {
    failed("refused").add();
    core::log_error("alerting", "the receiver refused a notification for good",
                    {{"receiver", delivery.receiver},
                     {"answer", verdict.reason},
                     {"notification", delivery.id}});
    delivery.last_error = verdict.reason;
    bury(delivery, now_ms, effects);
    deliveries_.erase(entry);
    return;
  }
  failed("retry").add();
  if (delivery.attempt == 1) {
    core::log_warn("alerting", "a notification failed and will be tried again",
                   {{"receiver", delivery.receiver},
                    {"answer", verdict.reason},
                    {"notification", delivery.id}});
  }
  delivery.state = DeliveryState::Pending;
  delivery.last_error = verdict.reason;
  delivery.due_ms = now_ms + backoff_ms(attempt, verdict.retry_after_ms);
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
  if (receiver.webhooks.empty()) {
    delivery.due_ms = now_ms + kNowhereMs;
    return false;
  }
  const size_t index = std::min<size_t>(delivery.integration, receiver.webhooks.size() - 1);
  const WebhookConfig& webhook = receiver.webhooks[index];
  delivery.state = DeliveryState::Sending;
  ++delivery.attempt;
  delivery.due_ms = now_ms + webhook.timeout_ms + kAnswerGraceMs;
  notifications("webhook").add();
  effects.mutations.push_back({delivery.key(), encode_delivery(delivery)});
  effects.sends.push_back({delivery.key(), delivery.attempt, delivery.id, delivery.body, webhook});
  return true;
}

void NotifierCore::tick(int64_t now_ms, Effects& effects) {
  for (auto entry = groups_.begin(); entry != groups_.end();) {
    Group& group = entry->second;
    const bool repeat = !group.members.empty() && group.last_notified_ms != 0 &&
                        now_ms - group.last_notified_ms >= config_.route.repeat_interval_ms;
    const bool due = group.flush_at_ms != 0 && group.flush_at_ms <= now_ms;
    if (due || repeat) flush(group, now_ms, effects);
    // An empty group keeps the interval and the order of its messages for a while.
    const bool forgotten = group.members.empty() && group.pending.empty() &&
                           now_ms - group.last_flush_ms >= config_.route.group_interval_ms &&
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
      failed("no_answer").add();
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
    for (size_t i = 0; i < receiver.webhooks.size(); ++i) {
      if (std::ranges::count(group.informed, integration_id(receiver, i)) > 0) continue;
      group.flush_at_ms = group.flush_at_ms == 0 ? now_ms : std::min(group.flush_at_ms, now_ms);
    }
  }
}

void NotifierCore::set_config(Config config, int64_t now_ms, Effects& effects) {
  config_ = std::move(config);
  // A new receiver hears of what fires already; the old one still hears how it ends.
  std::vector<AlertEvent> firing;
  for (const auto& [key, group] : groups_) {
    if (group.receiver == config_.route.receiver) continue;
    if (config_.find_receiver(group.receiver) == nullptr) continue;
    for (const auto& [labels, event] : group.members) firing.push_back(event);
  }
  for (AlertEvent& event : firing) {
    Group& group = route(event);
    if (groups_of_[{event.tenant, event.labels}].contains(group.key())) continue;
    add(group, std::move(event), now_ms);
    put(group, effects);
  }
  make_uninformed_due(now_ms);
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
      at(group.last_notified_ms + config_.route.repeat_interval_ms);
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
