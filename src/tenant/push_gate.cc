#include "tenant/push_gate.h"

namespace tenant {

using core::Error;
using core::ErrorCode;

namespace {

// Above so many tenants the buckets are thrown away: full ones are what they become anyway
// when nobody pushes for a while.
constexpr size_t kBucketsMax = 100'000;
// When memory is short: senders wait at least a second between their tries.
constexpr int64_t kBusyRetryMs = 1'000;

std::optional<Refusal> refuse(std::string_view tenant, std::string_view reason, ErrorCode code,
                              std::string message, int64_t retry_after_ms) {
  count_refused_request(tenant, reason);
  return Refusal{reason, Error{code, std::move(message)}, retry_after_ms};
}

}  // namespace

std::string inflight_message(const core::ByteBudget& budget, size_t bytes) {
  return fmt::format(
      "push requests of {} bytes are worked on and this one needs {} more, allowed are {} "
      "(instance_limits.max_inflight_push_requests_bytes): try again",
      budget.used(), bytes, budget.max());
}

void count_refused_request(std::string_view tenant, std::string_view reason) {
  core::counter("petrel_ingest_refused_requests_total",
                "Push requests refused as a whole, by reason and tenant.",
                {{"reason", std::string(reason)}, {"tenant", std::string(tenant)}})
      .add();
}

PushGate::PushGate(const LimitsTable& limits, const core::Clock& clock, core::ByteBudget& budget)
    : limits_(limits), clock_(clock), budget_(budget) {
  const auto gauge = [&](std::string_view name, std::string_view help, auto read) {
    callbacks_.push_back(core::callback_metric(core::MetricKind::Gauge, name, help, {}, read));
  };
  gauge("petrel_ingest_inflight_bytes",
        "Memory of push requests that are worked on: bodies, decompressed and decoded.",
        [&budget] { return static_cast<double>(budget.used()); });
  gauge("petrel_ingest_inflight_bytes_limit", "Above it push requests are refused with 503.",
        [&budget] { return static_cast<double>(budget.max()); });
}

// Called with the mutex.
PushGate::Buckets& PushGate::buckets_of(std::string_view tenant) {
  const auto found = buckets_.find(tenant);
  if (found != buckets_.end()) return found->second;
  if (buckets_.size() >= kBucketsMax) buckets_.clear();
  return buckets_[model::TenantId(tenant)];
}

std::optional<Refusal> PushGate::admit_request(std::string_view tenant, const Limits& limits,
                                               size_t body_size) {
  if (body_size > limits.body_size_max) {
    return refuse(
        tenant, "body_size", ErrorCode::TooLarge,
        fmt::format("the body has {} bytes, allowed are {} (limits.{}, tenant \"{}\")", body_size,
                    limits.body_size_max, limit_name(&Limits::body_size_max), tenant),
        0);
  }
  if (limits.request_rate == 0) return std::nullopt;
  int64_t wait_ms = 0;
  {
    const std::lock_guard lock(mutex_);
    wait_ms = buckets_of(tenant).requests.take(1, limits.request_rate, limits.request_burst,
                                               clock_.monotonic_ns());
  }
  if (wait_ms == 0) return std::nullopt;
  return refuse(
      tenant, "request_rate", ErrorCode::LimitExceeded,
      fmt::format(
          "per-tenant limit of {} push requests per second reached (limits.{}, tenant \"{}\")",
          limits.request_rate, limit_name(&Limits::request_rate), tenant),
      wait_ms);
}

std::optional<Refusal> PushGate::admit_samples(std::string_view tenant, const Limits& limits,
                                               size_t samples) {
  const size_t instance_rate = limits_.instance().sample_rate;
  if (limits.sample_rate == 0 && instance_rate == 0) return std::nullopt;
  int64_t instance_wait_ms = 0;
  int64_t wait_ms = 0;
  {
    const std::lock_guard lock(mutex_);
    const int64_t now_ns = clock_.monotonic_ns();
    if (limits.sample_rate != 0) {
      wait_ms =
          buckets_of(tenant).samples.take(samples, limits.sample_rate, limits.sample_burst, now_ns);
    }
    if (wait_ms == 0) instance_wait_ms = instance_samples_.take(samples, instance_rate, 0, now_ns);
  }
  if (wait_ms != 0) {
    return refuse(
        tenant, "ingestion_rate", ErrorCode::LimitExceeded,
        fmt::format("per-tenant limit of {} samples per second reached (limits.{}, "
                    "tenant \"{}\"): a request of {} samples is refused as a whole",
                    limits.sample_rate, limit_name(&Limits::sample_rate), tenant, samples),
        wait_ms);
  }
  if (instance_wait_ms == 0) return std::nullopt;
  return refuse(tenant, "instance_ingestion_rate", ErrorCode::Unavailable,
                fmt::format("limit of {} samples per second of all tenants reached "
                            "(instance_limits.max_ingestion_rate): a request of {} samples is "
                            "refused as a whole",
                            instance_rate, samples),
                instance_wait_ms);
}

std::optional<Refusal> PushGate::admit_bytes(std::string_view tenant, core::HeldBytes& held,
                                             size_t bytes) {
  if (held.try_grow(bytes)) return std::nullopt;
  return refuse(tenant, "inflight_bytes", ErrorCode::Unavailable, inflight_message(budget_, bytes),
                kBusyRetryMs);
}

}  // namespace tenant
