#include "scrape/scrape_pool.h"

#include <algorithm>
#include <unordered_set>
#include <xxhash.h>

namespace scrape {

ScheduleOptions ScrapeTarget::schedule_options(const Target& target) {
  return {.key_hash = XXH3_64bits(target.key.data(), target.key.size()),
          .interval_ms = target.interval_ms,
          .timeout_ms = target.timeout_ms,
          .retry_max = target.retry_max,
          .retry_backoff_ms = target.retry_backoff_ms};
}

ScrapeTarget::ScrapeTarget(std::shared_ptr<ScrapePool> owner, Target target, int64_t now_ms)
    : key(std::move(target.key)),
      labels(std::move(target.labels)),
      url(std::move(target.url)),
      pool(std::move(owner)),
      discovered(std::move(target.discovered)),
      schedule({.key_hash = XXH3_64bits(key.data(), key.size()),
                .interval_ms = target.interval_ms,
                .timeout_ms = target.timeout_ms,
                .retry_max = target.retry_max,
                .retry_backoff_ms = target.retry_backoff_ms},
               now_ms),
      series(labels) {}

std::vector<GroupPtr> ScrapePool::groups() {
  const bool all_answered =
      std::all_of(feeds.begin(), feeds.end(), [](const auto& feed) { return feed->has_answered; });
  if (all_answered) former_groups.clear();
  std::vector<GroupPtr> all;
  for (const auto& feed : feeds) {
    for (const auto& [source, group] : feed->groups) all.push_back(group);
  }
  all.insert(all.end(), former_groups.begin(), former_groups.end());
  return all;
}

DecidedTargets decide_targets(const PoolSettings& settings, const std::vector<GroupPtr>& groups) {
  DecidedTargets decided;
  std::unordered_set<std::string> keys;
  const uint64_t dropped_max = settings.config.keep_dropped_targets;
  for (const GroupPtr& group : groups) {
    for (const model::Labels& own : group->targets) {
      TargetDecision one = decide_target(settings.config, group->labels, own);
      switch (one.outcome) {
        case Outcome::Scraped:
          if (keys.insert(one.target.key).second) decided.targets.push_back(std::move(one.target));
          break;
        case Outcome::DroppedByRelabelling:
          ++decided.dropped_count;
          if (dropped_max > 0 && decided.dropped.size() >= dropped_max) break;
          decided.dropped.push_back({settings.config.job_name, std::move(one.target.discovered),
                                     "relabel rule " + std::to_string(one.dropped_by + 1)});
          break;
        case Outcome::NoAddress:
        case Outcome::Invalid:
          decided.invalid.push_back({settings.config.job_name, std::move(one.target.discovered),
                                     one.error.empty() ? "no address" : std::move(one.error),
                                     true});
          break;
      }
    }
  }
  return decided;
}

}  // namespace scrape
