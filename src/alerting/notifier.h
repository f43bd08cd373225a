// Turns alert transitions into notifications that arrive.
//
//   outbox ─> group (group_wait, group_interval) ─> delivery record ─> send ─> receipt
//
// Each arrow is one store batch made before its consequence: a page is sent from a
// record that is already durable, and forgotten only when the receipt is.

#pragma once

#include "alerting/config.h"
#include "alertstore/alert_store.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/rng.h"
#include "core/scheduler.h"
#include "net/transport.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace alerting {

struct NotifierParts {
  alertstore::AlertStore& store;
  net::Transport& transport;
  const core::Clock& clock;
  core::Rng& rng;  // jitter of retries; used under the notifier's lock only
  // Reads credentials_file; empty: such a webhook fails with a clear error.
  std::function<core::Result<std::string>(const std::string& path)> read_file;
};

struct NotifierOptions {
  std::string external_url;  // externalURL of messages
};

struct NotifierStatus {
  uint64_t firing_alerts = 0;  // in notification groups
  uint64_t groups = 0;
  uint64_t deliveries_waiting = 0;
  uint64_t dead_letters = 0;
  std::string last_error;  // of the newest failed attempt, "" after a success
};

// Thread-safe. The parts must outlive it.
class Notifier {
 public:
  Notifier(NotifierOptions options, NotifierParts parts, Config config);
  ~Notifier();

  // Takes up what the store holds and begins to deliver; `scheduler` and `executor`
  // must outlive stop(). Store access happens on `executor`.
  void start(core::Scheduler& scheduler, core::Executor& executor);
  // No send starts after it returns; answers of those under way are ignored, so they
  // are sent again after the next start.
  void stop();
  // What is owed to a receiver that is gone goes to the route's receiver.
  void reload(Config config);
  // There may be new rows in the outbox. Cheap; safe from any thread, also before start().
  void wake();

  NotifierStatus status() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with timers and answers still under way
};

}  // namespace alerting
