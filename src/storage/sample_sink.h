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
};
inline constexpr size_t kRefusalReasonCount = 7;
// "invalid_labels", "too_old", ...: the value of `reason` in metrics and answers.
std::string_view refusal_reason_name(RefusalReason reason);

// Partial success is data: one bad series does not fail its batch.
struct AppendSummary {
  uint64_t stored = 0;      // samples and histograms, durable
  uint64_t duplicates = 0;  // identical to what was stored: accepted silently
  std::array<uint64_t, kRefusalReasonCount> refused{};
  // The first kExamplesMax refusals in words, each with its series.
  static constexpr size_t kExamplesMax = 10;
  std::vector<std::string> examples;

  uint64_t refused_total() const;
  void refuse(RefusalReason reason, uint64_t count, std::string example);
};

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
