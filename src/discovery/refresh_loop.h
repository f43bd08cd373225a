// What the providers that look again and again have in common (prometheus/discovery/
// refresh): when to look, what has changed since, and what is told about it.
//
//   timer, trigger() > executor: Refresh > Done > compare with what is known > Update

#pragma once

#include "core/metrics.h"
#include "discovery/provider.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace discovery {

// The answer of one look at the source: all groups there are.
struct Refreshed {
  std::vector<config::TargetGroup> groups;
  std::set<std::string> kept;        // sources that could not be read: their groups stay
  std::vector<std::string> invalid;  // what could not be read, with its reason
};

// Thread-safe. Held by shared_ptr: timers and answers that are on their way keep it.
class RefreshLoop : public std::enable_shared_from_this<RefreshLoop> {
 public:
  using Done = std::function<void(core::Result<Refreshed>)>;
  // Runs on the executor and calls Done exactly once, there or later elsewhere. Never
  // called while an answer is due.
  using Refresh = std::function<void(Done)>;
  struct Options {
    std::string kind;
    std::string name;
    int64_t interval_ms = 0;  // from the start of one look to that of the next; 0: once
  };

  static std::shared_ptr<RefreshLoop> create(Options options, const ProviderParts& parts);
  ~RefreshLoop();

  void start(Provider::Update update, Refresh refresh);
  // Neither an update nor Refresh runs after it has returned. An error keeps the groups.
  void stop();
  // Looks again soon; during a look, once more after it.
  void trigger();
  bool is_stopped() const { return is_stopped_; }
  // The sources that are known now.
  std::vector<std::string> sources() const;
  ProviderStatus status() const;

 private:
  RefreshLoop(Options options, const ProviderParts& parts);
  void schedule_locked(int64_t delay_ms);
  void begin();
  void run();
  void finish(core::Result<Refreshed> result);
  std::vector<config::TargetGroup> take_changes_locked(Refreshed refreshed);
  void fail_locked(const std::string& error);
  bool enter();
  void leave();

  const Options options_;
  const ProviderParts parts_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  // All below guarded by mutex_, but for the atomics, which metrics read.
  Provider::Update update_;
  Refresh refresh_;
  std::map<std::string, config::TargetGroup> known_;
  std::optional<core::TimerId> timer_;
  bool is_looking_ = false;    // between begin() and finish()
  bool is_wanted_ = false;     // trigger() came meanwhile
  bool has_answered_ = false;  // the first update was given
  int calls_ = 0;              // of refresh_ and update_ that are running
  int64_t began_ns_ = 0;
  std::string last_error_;
  std::vector<std::string> invalid_;
  std::atomic<bool> is_stopped_ = false;
  std::atomic<int64_t> last_success_ms_ = 0;
  std::atomic<int64_t> failing_since_ms_ = 0;  // 0: the last look went well
  std::atomic<size_t> target_count_ = 0;
  std::atomic<size_t> invalid_count_ = 0;
  std::vector<core::MetricCallback> metrics_;
};

}  // namespace discovery
