// The targets of one scrape configuration: where they come from and what is known of each.
// Plain data, guarded by the manager's mutex.

#pragma once

#include "core/metrics.h"
#include "discovery/provider.h"
#include "net/http_client.h"
#include "scrape/pool_settings.h"
#include "scrape/scrape_reader.h"
#include "scrape/scrape_view.h"
#include "scrape/target.h"
#include "scrape/target_schedule.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace scrape {

struct ScrapePool;

// What is asked of a target each time, while its settings and timeout stay the same.
struct TargetRequest {
  std::shared_ptr<const PoolSettings> settings;
  int64_t timeout_ms = 0;
  std::shared_ptr<const net::PreparedRequest> prepared;
};

enum class TargetState : uint8_t {
  Active,
  Ending,  // gone from discovery; its stale markers are due soon
  Gone,
};

struct ScrapeTarget {
  ScrapeTarget(std::shared_ptr<ScrapePool> owner, Target target, int64_t now_ms);
  static ScheduleOptions schedule_options(const Target& target);

  const std::string key;
  const model::Labels labels;
  const std::string url;
  const std::shared_ptr<ScrapePool> pool;

  model::Labels discovered;
  TargetSchedule schedule;
  TargetRequest request;
  TargetState state = TargetState::Active;
  // A scrape is begun and its samples are not handed over yet: `series` is that scrape's.
  bool is_busy = false;
  bool waits_for_lane = false;
  bool has_lane = false;  // its scrape counts among those of the slow lane, retries included
  bool keys_are_outdated = false;  // to be forgotten before the next scrape
  uint64_t timer = 0;              // tells its entry in the timer heap from older ones
  int64_t stale_ms = 0;            // of the stale markers, while ending
  TargetSeries series;

  std::string last_error;
  int64_t last_scrape_ms = 0;
  double last_duration_s = 0;
  uint64_t samples_scraped = 0;
  uint64_t samples_after_relabel = 0;
  uint64_t bytes = 0;
  size_t cache_bytes = 0;  // as counted in the gauges
  size_t cache_series = 0;
  core::DurationHistogram* interval_lengths = nullptr;  // of its interval
};

using TargetPtr = std::shared_ptr<ScrapeTarget>;
using GroupPtr = std::shared_ptr<const config::TargetGroup>;

// One source of targets.
struct Feed {
  config::DiscoveryConfig config;
  std::unique_ptr<discovery::Provider> provider;
  std::map<std::string, GroupPtr> groups;  // by source
  bool has_answered = false;
  bool is_retired = false;
};

// Counts its requests from when they are planned: their threads must not destroy it.
struct Client {
  std::unique_ptr<net::HttpClient> http;
  std::atomic<uint32_t> in_flight = 0;
};

struct ScrapePool {
  std::string name;
  std::shared_ptr<const PoolSettings> settings;
  std::shared_ptr<Client> client;
  TargetRequest newest_request;  // the next target's has mostly the same headers
  std::vector<std::shared_ptr<Feed>> feeds;
  // Of feeds that a reload replaced, until the new ones have answered.
  std::vector<GroupPtr> former_groups;

  std::unordered_map<std::string, TargetPtr> targets;  // by key
  std::unordered_map<std::string, TargetPtr> ending;   // by key
  std::vector<DroppedView> dropped;
  size_t dropped_count = 0;
  std::string error;  // target_limit

  bool is_dirty = false;        // groups or settings are newer than the targets
  bool sync_scheduled = false;  // a timer or task is on its way
  bool is_syncing = false;
  int64_t synced_at_ms = 0;  // monotonic
  bool is_removed = false;

  // What targets are made from now.
  std::vector<GroupPtr> groups();
};

struct DecidedTargets {
  std::vector<Target> targets;  // each key once
  std::vector<DroppedView> dropped;
  size_t dropped_count = 0;
  std::vector<DroppedView> invalid;
};
DecidedTargets decide_targets(const PoolSettings& settings, const std::vector<GroupPtr>& groups);

}  // namespace scrape
