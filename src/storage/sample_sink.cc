#include "storage/sample_sink.h"

#include "core/metrics.h"

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
    case RefusalReason::LabelLimit:
      return "label_limit";
    case RefusalReason::SeriesLimit:
      return "series_limit";
    case RefusalReason::NewSeriesRate:
      return "new_series_rate";
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

void count_refused(std::string_view tenant, const AppendSummary& summary) {
  for (size_t i = 0; i < summary.refused.size(); ++i) {
    if (summary.refused[i] == 0) continue;
    count_refused(tenant, refusal_reason_name(static_cast<RefusalReason>(i)), summary.refused[i]);
  }
}

void count_refused(std::string_view tenant, std::string_view reason, uint64_t samples) {
  core::counter("petrel_ingest_refused_samples_total", "Samples refused, by reason and tenant.",
                {{"reason", std::string(reason)}, {"tenant", std::string(tenant)}})
      .add(static_cast<double>(samples));
}

void count_dropped(std::string_view tenant, uint64_t samples) {
  core::counter("petrel_ingest_dropped_samples_total",
                "Samples left out by write_relabel_configs, and the stale markers of series that "
                "a limit kept out.",
                {{"tenant", std::string(tenant)}})
      .add(static_cast<double>(samples));
}

}  // namespace storage
