// The notifier's decisions, without clock, threads, store or network: every step takes
// what happened and the time, and gives the writes and then the sends that follow.
//
// The driver makes the writes durable first and drops this object when it cannot: what
// the store holds then is read back, so memory never runs ahead of it.

#pragma once

#include "alerting/config.h"
#include "alerting/notification_record.h"
#include "alerting/notify/notification.h"
#include "alertstore/alert_store.h"
#include "core/rng.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace alerting {

// An attempt to be made. The address and credentials are looked up when it is made.
struct Send {
  std::string delivery;  // its key
  uint64_t attempt = 0;
  std::string id;
  std::string body;
  std::variant<WebhookConfig, EmailConfig> channel;
};

struct Effects {
  std::vector<alertstore::Mutation> mutations;  // one batch, in order
  std::vector<Send> sends;                      // once that is durable
};

struct CoreOptions {
  std::string external_url;
};

class NotifierCore {
 public:
  // `after_restart`: no attempt of an earlier process is still under way.
  static core::Result<NotifierCore> load(CoreOptions options, Config config,
                                         const alertstore::AlertStore& store, core::Rng& rng,
                                         bool after_restart, int64_t now_ms);

  // Rows of the outbox, in order, with their keys: into groups.
  void take(std::span<const alertstore::Entry> rows, int64_t now_ms, Effects& effects);
  // The end of an attempt. Ignored unless it is the newest one.
  void finished(const std::string& delivery, uint64_t attempt, const Verdict& verdict,
                int64_t now_ms, Effects& effects);
  // Groups to flush, deliveries to try.
  void tick(int64_t now_ms, Effects& effects);
  void set_config(Config config, int64_t now_ms, Effects& effects);
  // The wall clock was set by so much: what was to happen in a minute still is.
  void shift_clock(int64_t delta_ms);
  // When tick() next has something to do.
  std::optional<int64_t> next_due_ms() const;

  uint64_t firing_alerts() const;
  uint64_t group_count() const { return groups_.size(); }
  uint64_t deliveries_waiting() const { return deliveries_.size(); }
  uint64_t dead_letters() const { return dead_letters_.size(); }
  const std::string& last_error() const { return last_error_; }

 private:
  NotifierCore(CoreOptions options, Config config, core::Rng& rng)
      : options_(std::move(options)), config_(std::move(config)), rng_(&rng) {}

  using AlertKey = std::pair<std::string, model::Labels>;  // tenant, labels

  // One channel of a receiver, with the number that deliveries know it by.
  struct Channel {
    uint64_t integration = 0;
    std::string id;  // "team/webhook/0"
  };
  static std::vector<Channel> channels_of(const Receiver& receiver);

  const Receiver& receiver_of(const std::string& name) const;
  // The root's when its own is gone.
  const Route& route_of(const Group& group) const;
  // What one message tells besides the members.
  struct Round {
    std::vector<alertstore::AlertEvent> ended;
    bool any_fired = false;  // or it is to be told again
  };

  // The groups that an alert belongs to now; made when they are not there.
  std::vector<Group*> route(const alertstore::AlertEvent& event);
  void move_members(int64_t now_ms, Effects& effects);
  void add(Group& group, alertstore::AlertEvent event, int64_t now_ms);
  void put(const Group& group, Effects& effects) const;
  void flush(Group& group, int64_t now_ms, Effects& effects);
  static Round take_round(Group& group);
  void notify(Group& group, const Round& round, const std::vector<uint64_t>& integrations,
              int64_t now_ms, Effects& effects);
  std::optional<std::string> body_of(const Receiver& receiver, uint64_t integration,
                                     const Notification& told, const std::string& id,
                                     int64_t now_ms);
  void make_uninformed_due(int64_t now_ms);
  size_t owed(const std::string& group) const;
  bool begin(Delivery& delivery, int64_t now_ms, Effects& effects);
  void bury(const Delivery& delivery, int64_t now_ms, Effects& effects);
  int64_t backoff_ms(const Delivery& delivery, int64_t retry_after_ms);

  CoreOptions options_;
  Config config_;
  core::Rng* rng_;
  std::map<std::string, Group> groups_;         // by key
  std::map<std::string, Delivery> deliveries_;  // by key: a group's stand together, in order
  std::set<std::string> dead_letters_;          // keys
  std::map<AlertKey, std::set<std::string>> groups_of_;  // groups that know an alert
  std::string last_error_;
};

}  // namespace alerting
