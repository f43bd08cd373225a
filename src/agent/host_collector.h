// Watches the own host: runs the collectors of agent/collectors/ at slot times and
// writes what they read to a SampleSink, in node_exporter's names.
//
//   slot (1 s in the first minute, then 5 s) > collect on the executor > buffer > sink
//
// Timestamps are the slot's, so that points of several hosts line up. A round that takes
// longer than a slot makes the following slots be skipped (and counted): never two rounds
// at once.

#pragma once

#include "agent/collector.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/scheduler.h"
#include "model/tenant.h"
#include "storage/sample_sink.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace agent {

struct HostCollectorOptions {
  model::TenantId tenant{model::kDefaultTenant};
  std::string job = "node";
  std::string instance;  // such as "web17:9090"
  CollectorOptions collectors;
  int64_t first_interval_ms = 1'000;  // a new user sees the charts move at once
  int64_t first_phase_ms = 60'000;
  int64_t interval_ms = 5'000;
  // Rounds kept while the sink is unavailable (10 minutes at 5 s); then the oldest goes.
  size_t buffered_rounds_max = 120;
};

// Thread-safe. Everything passed in must outlive it.
class HostCollector {
 public:
  // InvalidArgument when a setting of options.collectors cannot be used.
  static core::Result<std::unique_ptr<HostCollector>> create(HostCollectorOptions options,
                                                             storage::SampleSink& sink,
                                                             core::Scheduler& scheduler,
                                                             core::Executor& executor,
                                                             const core::Clock& clock);
  // Calls stop().
  ~HostCollector();

  // The first round is at the next whole first_interval_ms.
  void start();
  // Waits for a running round, makes one last try to write what is buffered. No round
  // starts afterwards.
  void stop();

 private:
  struct State;
  explicit HostCollector(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;  // shared with the tasks under way
};

}  // namespace agent
