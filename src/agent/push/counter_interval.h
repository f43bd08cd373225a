// Lets of every counter one sample per interval through: the newest, so that no increase
// is lost. Everything else passes as it comes.

#pragma once

#include "storage/sample_sink.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace agent {

// Confined to one thread at a time. `next` must outlive it.
class CounterInterval final : public storage::SampleSink {
 public:
  CounterInterval(int64_t interval_ms, storage::SampleSink& next)
      : interval_ms_(interval_ms), next_(next) {}

  // A counter's sample goes with the first later one of another interval, or with the
  // stale marker that ends its series. An error changes nothing here: the batch may come
  // again.
  core::Result<storage::AppendSummary> append(const storage::WriteBatch& batch) override;
  // Sends what waits.
  core::Result<void> flush();

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  bool is_counter(std::string_view metric) const;

  const int64_t interval_ms_;
  storage::SampleSink& next_;
  std::unordered_map<std::string, model::MetricType, Hash, std::equal_to<>> types_;  // by family
  std::unordered_map<std::string, model::Sample, Hash, std::equal_to<>> waiting_;    // by labels
};

}  // namespace agent
