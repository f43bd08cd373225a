// The first judge of a push: what can be told before its samples are looked at.
//
//   body arrived ─> admit_request ─> decompressed, decoded ─> admit_samples ─> sink
//
// What is refused here is refused as a whole, with when to come back.

#pragma once

#include "core/byte_budget.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/result.h"
#include "tenant/limits_table.h"
#include "tenant/rate.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace tenant {

struct Refusal {
  std::string_view reason;  // of the metrics: "ingestion_rate"
  core::Error error;        // TooLarge; LimitExceeded: the tenant's rate; Unavailable: ours
  int64_t retry_after_ms = 0;
};

// Thread-safe. Borrows the table, the clock and the budget.
class PushGate {
 public:
  PushGate(const LimitsTable& limits, const core::Clock& clock, core::ByteBudget& budget);

  std::shared_ptr<const ResolvedLimits> limits(std::string_view tenant) const {
    return limits_.of(tenant);
  }
  // Counted in petrel_ingest_refused_requests_total.
  std::optional<Refusal> admit_request(std::string_view tenant, const Limits& limits,
                                       size_t body_size);
  std::optional<Refusal> admit_samples(std::string_view tenant, const Limits& limits,
                                       size_t samples);
  // For bytes that a request is about to need beside its body.
  std::optional<Refusal> admit_bytes(std::string_view tenant, core::HeldBytes& held, size_t bytes);
  core::HeldBytes hold() { return core::HeldBytes(&budget_); }

 private:
  struct Buckets {
    RateBucket requests;
    RateBucket samples;
  };
  Buckets& buckets_of(std::string_view tenant);

  const LimitsTable& limits_;
  const core::Clock& clock_;
  core::ByteBudget& budget_;
  std::mutex mutex_;
  // Guarded by mutex_. Tenants without rates are not in it.
  std::map<model::TenantId, Buckets, std::less<>> buckets_;
  RateBucket instance_samples_;
  std::vector<core::MetricCallback> callbacks_;
};

// Why a body is not read, or not decompressed: all that may be in memory is.
std::string inflight_message(const core::ByteBudget& budget, size_t bytes);
void count_refused_request(std::string_view tenant, std::string_view reason);

}  // namespace tenant
