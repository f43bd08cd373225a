// The write waist: everything that produces samples ends here.

#pragma once

#include "core/result.h"
#include "storage/write_batch.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace storage {

enum class RefusalReason : uint8_t {
  InvalidLabels,
  TooOld,         // older than the head's newest sample by more than the window
  TooFarAhead,    // more than 10 minutes ahead of the wall clock
  OutOfOrder,     // older than the series' newest sample where that is not allowed
  Conflict,       // same series and timestamp, other value
  InvalidSample,  // a malformed histogram
  LimitExceeded,
  LabelLimit,     // too many or too long labels
  SeriesLimit,    // new series: the tenant, or the instance, has as many as it may
  NewSeriesRate,  // new series: too many at once, later they are taken
};
inline constexpr size_t kRefusalReasonCount = 10;
// "invalid_labels", "too_old", ...: the value of `reason` in metrics and answers.
std::string_view refusal_reason_name(RefusalReason reason);

// Partial success is data: one bad series does not fail its batch.
struct AppendSummary {
  uint64_t stored = 0;      // samples and histograms, durable
  uint64_t duplicates = 0;  // identical to what was stored: accepted silently
  uint64_t dropped = 0;     // series left out on purpose, by a rule of the tenant
  // When what a rate refused may be sent again, 0: nothing is a matter of time.
  int64_t retry_after_ms = 0;
  uint64_t histograms = 0;  // how many of both were histograms
  uint64_t exemplars = 0;   // kept, or identical to what was kept
  std::array<uint64_t, kRefusalReasonCount> refused{};
  // The first kExamplesMax refusals in words, each with its series.
  static constexpr size_t kExamplesMax = 10;
  std::vector<std::string> examples;

  uint64_t accepted() const { return stored + duplicates; }
  uint64_t refused_total() const;
  void refuse(RefusalReason reason, uint64_t count, std::string example);
};

// petrel_ingest_refused_samples_total, by reason and tenant: whoever refuses samples counts
// them, once.
void count_refused(std::string_view tenant, const AppendSummary& summary);
void count_refused(std::string_view tenant, std::string_view reason, uint64_t samples);
// petrel_ingest_dropped_samples_total, by tenant.
void count_dropped(std::string_view tenant, uint64_t samples);

// Thread-safe.
class SampleSink {
 public:
  virtual ~SampleSink() = default;
  // Everything not refused is durable and readable once it returns. An error means
  // that nothing is promised: the sender has to send the whole batch again
  // (Unavailable: later). May block on the disk: never call it from an I/O thread.
  virtual core::Result<AppendSummary> append(const WriteBatch& batch) = 0;
};

}  // namespace storage
