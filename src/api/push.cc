#include "api/push.h"

#include "api/answer.h"
#include "api/route.h"
#include "storage/sample_sink.h"

#include <algorithm>

namespace api {

using core::Error;
using core::ErrorCode;
using core::Result;
using net::Response;

namespace {

// What a batch takes of memory, nearly.
size_t size_of(const storage::WriteBatch& batch) {
  constexpr size_t kHistogramSize = sizeof(model::HistogramSample) + 160 * sizeof(double);
  constexpr size_t kExemplarSize = sizeof(model::Exemplar) + 128;
  return batch.series.size() * sizeof(storage::BatchSeries) +
         batch.samples.size() * sizeof(model::Sample) + batch.histograms.size() * kHistogramSize +
         batch.exemplars.size() * kExemplarSize;
}

}  // namespace

Push::Push(tenant::PushGate& gate, model::TenantId tenant, Errors errors)
    : gate_(gate),
      tenant_(std::move(tenant)),
      errors_(errors),
      limits_(gate.limits(tenant_)),
      held_(gate.hold()) {}

Result<void> Push::admit(std::optional<tenant::Refusal> refusal) {
  if (!refusal) return {};
  return tl::unexpected(come_back(std::move(refusal->error), refusal->retry_after_ms));
}

Result<void> Push::admit_body(size_t size) {
  return admit(gate_.admit_request(tenant_, *limits_, size));
}

Result<void> Push::admit_decoded(size_t size) {
  return admit(gate_.admit_bytes(tenant_, held_, size));
}

// The batch is there already: it is counted, so that others wait for it.
Result<void> Push::admit_batch(const storage::WriteBatch& batch) {
  held_.grow(size_of(batch));
  const size_t samples = batch.samples.size() + batch.histograms.size();
  std::optional<tenant::Refusal> refusal = gate_.admit_samples(tenant_, *limits_, samples);
  if (refusal) storage::count_refused(tenant_, refusal->reason, samples);
  return admit(std::move(refusal));
}

Error Push::come_back(Error error, int64_t retry_after_ms) {
  retry_after_ms_ = retry_after_ms;
  return error;
}

Response Push::answer(const Error& error) const {
  // A sender repeats after 429 and 5xx and drops after other 4xx: what is only a matter of
  // time must not look like the request's fault.
  Response response;
  if (error.code != ErrorCode::LimitExceeded) {
    response = errors_ == Errors::Json ? error_response(error) : text_error_response(error);
  } else if (errors_ == Errors::Json) {
    response = error_response(429, "too_many_requests", error.message);
  } else {
    response = Response::text(429, error.message + "\n");
  }
  if (response.status != 429 && response.status != 503) return response;
  std::erase_if(response.headers, [](const auto& one) { return one.first == "Retry-After"; });
  const int64_t seconds = std::max<int64_t>(1, (retry_after_ms_ + 999) / 1'000);
  response.headers.emplace_back("Retry-After", std::to_string(seconds));
  return response;
}

}  // namespace api
