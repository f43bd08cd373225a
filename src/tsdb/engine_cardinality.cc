// What of the head is counted for people.

#include "tsdb/engine_impl.h"

namespace tsdb {

using core::Result;

const Head& Engine::Impl::head_of(const model::TenantId& tenant) const {
  const Tenant* const found = find_tenant(tenant);
  return found == nullptr ? empty_tenant.head : found->head;
}

Result<storage::HeadTotals> Engine::head_totals(const model::TenantId& tenant) const {
  TRY(impl_->check_ready());
  return impl_->head_of(tenant).totals();
}

Result<HeadCounts> Engine::count_head(const model::TenantId& tenant,
                                      const CountOptions& options) const {
  TRY(impl_->check_ready());
  return impl_->head_of(tenant).count(options);
}

Result<std::vector<storage::NamedCount>> Engine::count_values(const model::TenantId& tenant,
                                                              const SeriesScope& scope) const {
  TRY(impl_->check_ready());
  return impl_->head_of(tenant).count_values(scope);
}

Result<std::vector<storage::LabelCardinality>> Engine::count_by_value(
    const model::TenantId& tenant, const SeriesScope& scope, const std::vector<std::string>& names,
    size_t top) const {
  TRY(impl_->check_ready());
  return impl_->head_of(tenant).count_by_value(scope, names, top);
}

Result<std::vector<std::string>> Engine::head_label_sets(const model::TenantId& tenant,
                                                         const SeriesScope& scope,
                                                         size_t bytes_max) const {
  TRY(impl_->check_ready());
  std::vector<std::string> sets;
  if (!impl_->head_of(tenant).collect_label_sets(scope, bytes_max, sets)) {
    return core::fail(core::ErrorCode::TooLarge,
                      "the label sets of more than {} series take more than {} bytes; a narrower "
                      "selector gives fewer",
                      sets.size() - 1, bytes_max);
  }
  return sets;
}

Result<storage::FallbackShare> Engine::sample_fallback(const model::TenantId& tenant,
                                                       size_t sample_size) const {
  TRY(impl_->check_ready());
  return impl_->head_of(tenant).sample_fallback(sample_size);
}

Result<storage::ChurnReport> Engine::churn(const model::TenantId& tenant, size_t top) const {
  TRY(impl_->check_ready());
  return impl_->head_of(tenant).churn().report(impl_->clock.now_ms(), top);
}

}  // namespace tsdb
