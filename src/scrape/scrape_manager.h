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
#include "discovery/provider.h"
#include "net/http_client.h"
#include "scrape/scrape_view.h"
#include "storage/sample_sink.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace scrape {

struct ScrapeManagerOptions {
  model::TenantId tenant{model::kDefaultTenant};
  std::string state_dir;     // for discovery; "": nothing is kept
  std::string external_url;  // global_url of targets on loopback
  std::string user_agent = "Petrel";
  bool honor_scrape_time = false;  // timestamps are when the scrape began, not its slot
  // Changes of discovery are taken over at most this often.
  int64_t sync_interval_ms = 1'000;
  // Scrapes at once of targets that time out again and again.
  uint32_t slow_in_flight_max = 200;
  // Threads of the executor that read bodies at the same time.
  uint32_t readers_max = 2;
  // Received bodies that are not read yet; beyond, scrapes fail.
  uint64_t waiting_bytes_max = 256ULL << 20;
  // Samples kept while storage takes none.
  uint64_t kept_samples_max = 2'000'000;
};

// Everything outlives the manager.
struct ScrapeManagerParts {
  storage::SampleSink& sink;
  core::Scheduler& scheduler;
  core::Executor& executor;   // reads bodies and writes samples
  core::Executor& discovery;  // waits for name servers and other sources of targets
  core::Clock& clock;
  core::FileSystem& files;
  core::Rng& rng;
  net::ClientLoop& loop;
  // Empty: net::HttpClient::create and discovery::make_provider.
  std::function<core::Result<std::unique_ptr<net::HttpClient>>(const net::ClientConfig&)>
      make_client = {};
  std::function<core::Result<std::unique_ptr<discovery::Provider>>(
      const config::DiscoveryConfig&, const std::string& name, const discovery::ProviderParts&)>
      make_provider = {};
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
  // markers, as in Prometheus. Must not be called by a task of the executor.
  virtual void stop() = 0;
};

}  // namespace scrape
