#include "discovery/refresh_loop.h"

#include "core/log.h"

#include <algorithm>
#include <utility>

namespace discovery {
namespace {

// The executor is full: look again when it may have room.
constexpr int64_t kBusyRetryMs = 1'000;

}  // namespace

std::shared_ptr<RefreshLoop> RefreshLoop::create(Options options, const ProviderParts& parts) {
  return std::shared_ptr<RefreshLoop>(new RefreshLoop(std::move(options), parts));
}

RefreshLoop::RefreshLoop(Options options, const ProviderParts& parts)
    : options_(std::move(options)), parts_(parts) {
  const core::MetricLabels labels = {{"config", options_.name}, {"mechanism", options_.kind}};
  const auto add = [&](std::string_view name, std::string_view help, std::function<double()> read) {
    metrics_.push_back(
        core::callback_metric(core::MetricKind::Gauge, name, help, labels, std::move(read)));
  };
  add("petrel_sd_discovered_targets", "Targets found, before relabelling.",
      [this] { return static_cast<double>(target_count_.load()); });
  add("petrel_sd_invalid_entries", "Files, names and entries that could not be read.",
      [this] { return static_cast<double>(invalid_count_.load()); });
  add("petrel_sd_stale_seconds",
      "Age of the targets of a source that cannot be read; 0 while it can.", [this] {
        const int64_t since = failing_since_ms_;
        return since == 0 ? 0.0 : static_cast<double>(parts_.clock.now_ms() - since) / 1000;
      });
}

RefreshLoop::~RefreshLoop() {
  metrics_.clear();  // before what they read
}

void RefreshLoop::start(Provider::Update update, Refresh refresh) {
  const std::lock_guard lock(mutex_);
  update_ = std::move(update);
  refresh_ = std::move(refresh);
  schedule_locked(0);
}

void RefreshLoop::stop() {
  std::unique_lock lock(mutex_);
  is_stopped_ = true;
  if (timer_) parts_.scheduler.cancel(*timer_);
  timer_.reset();
  idle_.wait(lock, [this] { return calls_ == 0; });
  update_ = nullptr;
  refresh_ = nullptr;
}

void RefreshLoop::trigger() {
  const std::lock_guard lock(mutex_);
  if (is_stopped_ || !refresh_) return;
  if (is_looking_) {
    is_wanted_ = true;
    return;
  }
  schedule_locked(0);
}

std::vector<std::string> RefreshLoop::sources() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> sources;
  for (const auto& [source, group] : known_) sources.push_back(source);
  return sources;
}

ProviderStatus RefreshLoop::status() const {
  const std::lock_guard lock(mutex_);
  return {options_.kind, last_error_, last_success_ms_, invalid_};
}

void RefreshLoop::schedule_locked(int64_t delay_ms) {
  if (is_stopped_) return;
  if (timer_) parts_.scheduler.cancel(*timer_);
  timer_ = parts_.scheduler.after(delay_ms, [self = weak_from_this()] {
    if (const auto loop = self.lock()) loop->begin();
  });
}

void RefreshLoop::begin() {
  {
    const std::lock_guard lock(mutex_);
    // A cancelled timer may have fired already.
    if (is_stopped_ || is_looking_) return;
    timer_.reset();
    is_looking_ = true;
    began_ns_ = parts_.clock.monotonic_ns();
  }
  const bool posted = parts_.executor.post([self = weak_from_this()] {
    if (const auto loop = self.lock()) loop->run();
  });
  if (posted) return;
  const std::lock_guard lock(mutex_);
  is_looking_ = false;
  fail_locked("too many tasks wait");
  schedule_locked(kBusyRetryMs);
}

bool RefreshLoop::enter() {
  const std::lock_guard lock(mutex_);
  if (is_stopped_) return false;
  ++calls_;
  return true;
}

void RefreshLoop::leave() {
  const std::lock_guard lock(mutex_);
  --calls_;
  idle_.notify_all();
}

void RefreshLoop::run() {
  if (!enter()) return;
  refresh_([self = shared_from_this()](core::Result<Refreshed> result) {
    self->finish(std::move(result));
  });
  leave();
}

void RefreshLoop::finish(core::Result<Refreshed> result) {
  std::vector<config::TargetGroup> changes;
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_stopped_) return;
    if (result) {
      changes = take_changes_locked(std::move(*result));
      is_first = !std::exchange(has_answered_, true);
    } else {
      fail_locked(result.error().message);
    }
    ++calls_;
  }
  if (is_first || !changes.empty()) {
    static core::Counter& updates = core::counter(
        "petrel_sd_updates_total", "Updates of target groups that discovery has given.");
    updates.add();
    update_(std::move(changes));
  }
  const std::lock_guard lock(mutex_);
  --calls_;
  idle_.notify_all();
  is_looking_ = false;
  if (std::exchange(is_wanted_, false)) {
    schedule_locked(0);
  } else if (options_.interval_ms > 0) {
    const int64_t took_ms = (parts_.clock.monotonic_ns() - began_ns_) / 1'000'000;
    schedule_locked(std::max<int64_t>(0, options_.interval_ms - took_ms));
  }
}

// What differs from the known groups, which become the new ones.
std::vector<config::TargetGroup> RefreshLoop::take_changes_locked(Refreshed refreshed) {
  std::vector<config::TargetGroup> changes;
  std::set<std::string> present = std::move(refreshed.kept);
  for (config::TargetGroup& group : refreshed.groups) {
    present.insert(group.source);
    const auto known = known_.find(group.source);
    if (known != known_.end() && known->second == group) continue;
    changes.push_back(group);
    known_.insert_or_assign(group.source, std::move(group));
  }
  size_t targets = 0;
  for (auto at = known_.begin(); at != known_.end();) {
    if (present.contains(at->first)) {
      targets += at->second.targets.size();
      ++at;
      continue;
    }
    changes.emplace_back().source = at->first;
    at = known_.erase(at);
  }
  target_count_ = targets;
  invalid_ = std::move(refreshed.invalid);
  invalid_count_ = invalid_.size();
  last_success_ms_ = parts_.clock.now_ms();
  failing_since_ms_ = 0;
  last_error_.clear();
  return changes;
}

void RefreshLoop::fail_locked(const std::string& error) {
  core::counter("petrel_sd_refresh_failures_total", "Looks at a source of targets that failed.",
                {{"config", options_.name}, {"mechanism", options_.kind}})
      .add();
  if (error != last_error_) {
    core::log_warn("discovery", "targets cannot be read; the known ones stay",
                   {{"mechanism", options_.kind}, {"config", options_.name}, {"error", error}});
  }
  last_error_ = error;
  if (failing_since_ms_ == 0) failing_since_ms_ = parts_.clock.now_ms();
}

}  // namespace discovery
