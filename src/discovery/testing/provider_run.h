// A provider over the simulated scheduler, and what it has told so far.

#pragma once

#include "core/testing/sim_scheduler.h"
#include "discovery/provider.h"
#include "net/http_client.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace discovery::testing {

class NoLoop final : public net::ClientLoop {};

// Confined to the test's thread.
struct ProviderRun {
  core::testing::FakeClock clock;
  core::testing::SimScheduler scheduler{clock};
  core::PosixFileSystem files;
  core::SeededRng rng{1};
  NoLoop loop;
  ProviderParts parts{scheduler, scheduler, clock, files, rng, loop, ""};

  std::unique_ptr<Provider> provider;
  std::vector<std::vector<config::TargetGroup>> updates;
  std::map<std::string, config::TargetGroup> groups;  // by source, as of the last update

  ~ProviderRun() { provider.reset(); }

  void start(std::unique_ptr<Provider> made) {
    provider = std::move(made);
    provider->start([this](std::vector<config::TargetGroup> changes) {
      for (const config::TargetGroup& group : changes) {
        if (group.targets.empty()) {
          groups.erase(group.source);
        } else {
          groups[group.source] = group;
        }
      }
      updates.push_back(std::move(changes));
    });
  }

  // "host:1 host:2" of the group, in order.
  std::string addresses(const std::string& source) const {
    const auto found = groups.find(source);
    if (found == groups.end()) return "none";
    std::string out;
    for (const model::Labels& target : found->second.targets) {
      out += (out.empty() ? "" : " ") + std::string(target.get("__address__"));
    }
    return out;
  }
};

}  // namespace discovery::testing
