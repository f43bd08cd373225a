#include "tenant/limits_table.h"

namespace tenant {

LimitsTable::LimitsTable(Limits defaults) : defaults_(std::move(defaults)) {
  apply({});
}

// Called with the mutex. Rules that stayed the same keep their version.
std::shared_ptr<const ResolvedLimits> LimitsTable::resolve(Limits limits,
                                                           const ResolvedLimits* before) {
  auto resolved = std::make_shared<ResolvedLimits>();
  static_cast<Limits&>(*resolved) = std::move(limits);
  const bool is_same = before != nullptr && before->relabel_rules == resolved->relabel_rules;
  resolved->rules_version = is_same ? before->rules_version : ++rules_versions_;
  return resolved;
}

void LimitsTable::apply(const LimitsConfig& config) {
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<State>();
  const Limits common = config.limits.applied_to(defaults_);
  next->common = resolve(common, state_ == nullptr ? nullptr : state_->common.get());
  for (const auto& [id, settings] : config.overrides) {
    const ResolvedLimits* before = nullptr;
    if (state_ != nullptr) {
      const auto known = state_->overrides.find(id);
      before = known == state_->overrides.end() ? state_->common.get() : known->second.get();
    }
    next->overrides.emplace(id, resolve(settings.applied_to(common), before));
  }
  next->instance = config.instance;
  state_ = std::move(next);
}

std::shared_ptr<const LimitsTable::State> LimitsTable::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::shared_ptr<const ResolvedLimits> LimitsTable::of(std::string_view tenant) const {
  const std::shared_ptr<const State> now = state();
  const auto found = now->overrides.find(tenant);
  return found == now->overrides.end() ? now->common : found->second;
}

InstanceLimits LimitsTable::instance() const {
  return state()->instance;
}

}  // namespace tenant
