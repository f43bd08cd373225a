#include "storage/sample_sink.h"

#include <numeric>

namespace storage {

std::string_view refusal_reason_name(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::InvalidLabels:
      return "invalid_labels";
    case RefusalReason::TooOld:
      return "too_old";
    case RefusalReason::TooFarAhead:
      return "too_far_ahead";
    case RefusalReason::OutOfOrder:
      return "out_of_order";
    case RefusalReason::Conflict:
      return "conflict";
    case RefusalReason::InvalidSample:
      return "invalid_sample";
    case RefusalReason::LimitExceeded:
      return "limit_exceeded";
  }
  return "unknown";
}

uint64_t AppendSummary::refused_total() const {
  return std::accumulate(refused.begin(), refused.end(), uint64_t{0});
}

void AppendSummary::refuse(RefusalReason reason, uint64_t count, std::string example) {
  refused[static_cast<size_t>(reason)] += count;
  if (examples.size() < kExamplesMax) examples.push_back(std::move(example));
}

}  // namespace storage
