// What a push request carries through its handler: the limits of its tenant, the memory it
// holds, and when to come back if it is refused.

#pragma once

#include "core/byte_budget.h"
#include "core/result.h"
#include "net/http.h"
#include "storage/write_batch.h"
#include "tenant/push_gate.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace api {

enum class Errors : uint8_t;

// Confined to the request's thread.
class Push {
 public:
  Push(tenant::PushGate& gate, model::TenantId tenant, Errors errors);

  const tenant::Limits& limits() const { return *limits_; }

  // Each is asked before the work that it is about. The error is what to answer.
  core::Result<void> admit_body(size_t size);
  core::Result<void> admit_decoded(size_t size);
  core::Result<void> admit_batch(const storage::WriteBatch& batch);
  // An error after which the sender should come back, in so many milliseconds.
  core::Error come_back(core::Error error, int64_t retry_after_ms);

  // 429 where a rate was exceeded, otherwise api/http_status.h; with Retry-After where a
  // repetition helps.
  net::Response answer(const core::Error& error) const;

 private:
  core::Result<void> admit(std::optional<tenant::Refusal> refusal);

  tenant::PushGate& gate_;
  const model::TenantId tenant_;
  const Errors errors_;
  const std::shared_ptr<const tenant::ResolvedLimits> limits_;
  core::HeldBytes held_;
  int64_t retry_after_ms_ = 0;
};

}  // namespace api
