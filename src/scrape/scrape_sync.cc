// From discovered groups to targets.

#include "core/log.h"
#include "scrape/scrape_manager_impl.h"
#include "scrape/scrape_metrics.h"

namespace scrape {

void ScrapeManagerImpl::on_update(const PoolPtr& pool, const std::shared_ptr<Feed>& feed,
                                  std::vector<config::TargetGroup> groups) {
  const std::lock_guard lock(mutex_);
  if (feed->is_retired || stopping_) return;
  feed->has_answered = true;
  for (config::TargetGroup& group : groups) {
    if (group.targets.empty()) {
      feed->groups.erase(group.source);
    } else {
      auto shared = std::make_shared<const config::TargetGroup>(std::move(group));
      feed->groups.insert_or_assign(shared->source, shared);
    }
  }
  pool->is_dirty = true;
  schedule_sync(pool);
}

void ScrapeManagerImpl::schedule_sync(const PoolPtr& pool) {
  if (pool->sync_scheduled || pool->is_removed || stopping_) return;
  pool->sync_scheduled = true;
  auto task = Gate::guarded(gate_, [this, pool] { sync(pool); });
  const int64_t now_ms = parts_.clock.monotonic_ns() / 1'000'000;
  const int64_t wait_ms =
      pool->synced_at_ms == 0 ? 0 : pool->synced_at_ms + options_.sync_interval_ms - now_ms;
  if (wait_ms <= 0 && parts_.executor.post(task)) return;
  constexpr int64_t kBusyMs = 100;  // the executor's queue is full
  parts_.scheduler.after(std::max(wait_ms, kBusyMs), [this, pool, gate = gate_, task] {
    const Gate::Pass pass(*gate);
    if (!pass || parts_.executor.post(task)) return;
    const std::lock_guard lock(mutex_);
    pool->sync_scheduled = false;
    schedule_sync(pool);
  });
}

void ScrapeManagerImpl::sync(const PoolPtr& pool) {
  const int64_t begun_ns = parts_.clock.monotonic_ns();
  std::shared_ptr<const PoolSettings> settings;
  std::vector<GroupPtr> groups;
  {
    const std::lock_guard lock(mutex_);
    pool->sync_scheduled = false;
    if (!pool->is_dirty || pool->is_removed || stopping_) return;
    if (pool->is_syncing) return;  // it looks again when it is done
    pool->is_syncing = true;
    pool->is_dirty = false;
    settings = pool->settings;
    groups = pool->groups();
  }
  DecidedTargets decided = decide_targets(*settings, groups);
  for (const DroppedView& one : decided.invalid) {
    core::log_warn(
        "scrape", "a target cannot be scraped",
        {{"job", pool->name}, {"labels", one.discovered.to_string()}, {"error", one.reason}});
  }
  const core::MetricLabels labels = {{"scrape_job", pool->name}};
  core::counter("petrel_target_sync_failed_total", "Targets that could not be made.", labels)
      .add(static_cast<double>(decided.invalid.size()));
  {
    const std::lock_guard lock(mutex_);
    pool->is_syncing = false;
    pool->synced_at_ms = parts_.clock.monotonic_ns() / 1'000'000;
    if (pool->is_removed || stopping_) return;
    if (pool->settings == settings) merge(*pool, pool, std::move(decided));
    pool->is_dirty |= pool->settings != settings;
    if (pool->is_dirty) schedule_sync(pool);
    publish_pool_metrics(*pool);
  }
  core::counter("petrel_target_scrape_pool_sync_total", "Times targets were put together.", labels)
      .add();
  core::duration_histogram("petrel_target_sync_length_seconds",
                           "Time that putting targets together took.", labels)
      .observe(static_cast<double>(parts_.clock.monotonic_ns() - begun_ns) / 1e9);
}

void ScrapeManagerImpl::merge(ScrapePool& pool, const PoolPtr& owner, DecidedTargets decided) {
  const int64_t now_ms = parts_.clock.now_ms();
  std::unordered_map<std::string, TargetPtr> former;
  former.swap(pool.targets);
  for (Target& wanted : decided.targets) {
    const std::string key = wanted.key;
    if (auto node = former.extract(key); !node.empty()) {
      const TargetPtr& target = node.mapped();
      target->discovered = std::move(wanted.discovered);
      const int64_t slot = target->schedule.next_slot_ms();
      target->schedule.change(ScrapeTarget::schedule_options(wanted), now_ms);
      target->interval_lengths = nullptr;
      if (!target->is_busy && target->schedule.next_slot_ms() != slot) {
        set_timer(target, target->schedule.next_slot_ms());
      }
      pool.targets.insert(std::move(node));
      continue;
    }
    if (auto node = pool.ending.extract(key); !node.empty()) {
      // Back before its end was written: it goes on with what is known of it.
      const TargetPtr& target = node.mapped();
      target->state = TargetState::Active;
      target->discovered = std::move(wanted.discovered);
      target->schedule.change(ScrapeTarget::schedule_options(wanted), now_ms);
      target->interval_lengths = nullptr;
      target->schedule.restart(now_ms);
      if (!target->is_busy) set_timer(target, target->schedule.next_slot_ms());
      pool.targets.insert(std::move(node));
      continue;
    }
    auto target = std::make_shared<ScrapeTarget>(owner, std::move(wanted), now_ms);
    set_timer(target, target->schedule.next_slot_ms());
    pool.targets.emplace(key, std::move(target));
  }
  for (const auto& [key, target] : former) end_target(target);

  pool.dropped = std::move(decided.dropped);
  pool.dropped_count = decided.dropped_count;
  for (DroppedView& one : decided.invalid) pool.dropped.push_back(std::move(one));
  const uint64_t limit = pool.settings->config.target_limit;
  pool.error.clear();
  if (limit > 0 && pool.targets.size() > limit) {
    scrape_metrics().exceeded_target_limit.add();
    pool.error = fmt::format("target_limit exceeded (number of targets: {}, limit: {})",
                             pool.targets.size(), limit);
  }
  arm(now_ms);
}

void ScrapeManagerImpl::end_target(const TargetPtr& target) {
  target->state = TargetState::Ending;
  target->pool->ending.insert_or_assign(target->key, target);
  if (!target->is_busy) plan_end(target);
}

// The markers get the time of the first slot without a scrape, and are written a slot and
// a bit later: by then a target that only moved to another place has new samples, and its
// series are left alone.
void ScrapeManagerImpl::plan_end(const TargetPtr& target) {
  if (!target->schedule.was_started()) {
    forget_target(target);
    return;
  }
  const int64_t interval_ms = target->schedule.options().interval_ms;
  target->stale_ms = target->schedule.next_slot_ms();
  set_timer(target, target->stale_ms + interval_ms + interval_ms / 10);
}

void ScrapeManagerImpl::publish_pool_metrics(const ScrapePool& pool) {
  const core::MetricLabels labels = {{"scrape_job", pool.name}};
  const auto value = [&](double live) { return pool.is_removed ? 0 : live; };
  core::gauge("petrel_target_scrape_pool_targets", "Targets of the pool that are scraped.", labels)
      .set(value(static_cast<double>(pool.targets.size())));
  core::gauge("petrel_target_scrape_pool_dropped_targets",
              "Targets of the pool that relabelling drops.", labels)
      .set(value(static_cast<double>(pool.dropped_count)));
  core::gauge("petrel_target_scrape_pool_target_limit", "target_limit of the pool; 0: none.",
              labels)
      .set(value(static_cast<double>(pool.settings->config.target_limit)));
}

}  // namespace scrape
