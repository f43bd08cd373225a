// Runs the scrapes of a configuration: pools, targets, slots.
//
//   discovery update > pool: targets decided > slot > fetch (net::HttpClient) > worker:
//   parse, relabel, stale markers > batch of several scrapes > SampleSink
//
// Slots are spread over the interval by the target's key; a sample's timestamp is its
// slot's, unless the target's own is honoured. Never two scrapes of one target at once.

#pragma once

#include "config/prometheus_config.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/file_system.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/scheduler.h"
#include "net/http_client.h"
#include "scrape/scrape_view.h"
#include "storage/sample_sink.h"

#include <memory>
#include <string>
#include <vector>

namespace scrape {

struct ScrapeManagerOptions {
  model::TenantId tenant{model::kDefaultTenant};
  std::string state_dir;           // for discovery; "": nothing is kept
  std::string external_url;        // global_url of targets on loopback
  bool honor_scrape_time = false;  // timestamps are when the scrape began, not its slot
};

// Everything outlives the manager.
struct ScrapeManagerParts {
  storage::SampleSink& sink;
  core::Scheduler& scheduler;
  core::Executor& executor;
  core::Clock& clock;
  core::FileSystem& files;
  core::Rng& rng;
  net::ClientLoop& loop;
};

// Thread-safe.
class ScrapeManager : public ScrapeStatus {
 public:
  static std::unique_ptr<ScrapeManager> create(ScrapeManagerOptions options,
                                               ScrapeManagerParts parts);
  // Takes over a new configuration. Targets that stay the same keep their slots, their
  // known series and their state. On an error nothing has changed.
  virtual core::Result<void> apply(std::vector<config::ScrapeConfig> scrapes,
                                   const model::Labels& external_labels) = 0;
  // Ends every scrape, writes what is gathered; series of a stopped server get no stale
  // markers, as in Prometheus.
  virtual void stop() = 0;
};

}  // namespace scrape
