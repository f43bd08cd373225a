// The limits in effect, by tenant.

#pragma once

#include "model/tenant.h"
#include "tenant/limits.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

namespace tenant {

// What a (re)load gives: the settings of the configuration on top of the flags' defaults.
struct LimitsConfig {
  LimitSettings limits;  // of every tenant
  std::map<model::TenantId, LimitSettings, std::less<>> overrides;
  InstanceLimits instance;
};

// Limits of one tenant, as of one reload.
struct ResolvedLimits : Limits {
  // Another number: other relabel rules. What was found out by earlier ones is void.
  uint64_t rules_version = 0;
};

// Thread-safe. Snapshots are immutable: a request keeps to the one it began with.
class LimitsTable {
 public:
  // `defaults`: where the configuration says nothing.
  explicit LimitsTable(Limits defaults = {});

  void apply(const LimitsConfig& config);
  std::shared_ptr<const ResolvedLimits> of(std::string_view tenant) const;
  InstanceLimits instance() const;

 private:
  struct State {
    std::shared_ptr<const ResolvedLimits> common;
    std::map<model::TenantId, std::shared_ptr<const ResolvedLimits>, std::less<>> overrides;
    InstanceLimits instance;
  };
  std::shared_ptr<const ResolvedLimits> resolve(Limits limits, const ResolvedLimits* before);
  std::shared_ptr<const State> state() const;

  const Limits defaults_;
  mutable std::mutex mutex_;
  std::shared_ptr<const State> state_;  // guarded by mutex_
  uint64_t rules_versions_ = 0;         // guarded by mutex_: given out so far
};

}  // namespace tenant
