// A source of targets that changes over time.

#pragma once

#include "config/discovery_config.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/file_system.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/scheduler.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace net {
class ClientLoop;
}

namespace discovery {

// What providers work with. Everything outlives them. Blocking work goes to `executor`.
struct ProviderParts {
  core::Scheduler& scheduler;
  core::Executor& executor;
  core::Clock& clock;
  core::FileSystem& files;
  core::Rng& rng;
  net::ClientLoop& loop;
  std::string state_dir;  // last-known targets of etcd and ZooKeeper; "": none are kept
};

struct ProviderStatus {
  std::string kind;        // "file", "etcd", ...
  std::string last_error;  // "" after a success
  int64_t last_success_ms = 0;
  // Entries that could not be read, each with its place and reason; their last good
  // value stays.
  std::vector<std::string> invalid;
};

// Thread-safe.
class Provider {
 public:
  // The groups that changed since the last call; a group without targets is gone. Called
  // from any thread, one call at a time, never under the provider's locks.
  using Update = std::function<void(std::vector<config::TargetGroup>)>;

  // Calls stop().
  virtual ~Provider() = default;
  // Called once. The first update comes as soon as there is an answer, also when it is empty.
  virtual void start(Update update) = 0;
  // No update comes after it has returned. Must not be called from an update.
  virtual void stop() = 0;
  virtual ProviderStatus status() const = 0;
};

// InvalidArgument when a certificate or the like does not load. `name` tells providers
// apart in metrics and in state_dir: "<job>/<index>".
core::Result<std::unique_ptr<Provider>> make_provider(const config::DiscoveryConfig& config,
                                                      const std::string& name,
                                                      const ProviderParts& parts);

}  // namespace discovery
