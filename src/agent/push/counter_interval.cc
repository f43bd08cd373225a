#include "agent/push/counter_interval.h"

#include <optional>
#include <utility>
#include <vector>

namespace agent {

using model::MetricType;

// Parts of histograms and summaries are counters too, but for a summary's quantiles.
bool CounterInterval::is_counter(std::string_view metric) const {
  const auto type_of = [this](std::string_view family) {
    const auto at = types_.find(family);
    return at == types_.end() ? MetricType::Unknown : at->second;
  };
  if (type_of(metric) == MetricType::Counter) return true;
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (!metric.ends_with(suffix)) continue;
    const MetricType type = type_of(metric.substr(0, metric.size() - suffix.size()));
    if (type == MetricType::Histogram || type == MetricType::Summary) return true;
  }
  return false;
}

core::Result<storage::AppendSummary> CounterInterval::append(const storage::WriteBatch& batch) {
  for (const model::Metadata& metadata : batch.metadata) types_[metadata.metric] = metadata.type;
  storage::WriteBatch out;
  out.tenant = batch.tenant;
  out.metadata = batch.metadata;
  // What waits afterwards; nullopt: nothing.
  std::vector<std::pair<std::string_view, std::optional<model::Sample>>> changes;
  uint64_t held = 0;
  for (const storage::BatchSeries& series : batch.series) {
    const bool is_held = is_counter(model::LabelsView(series.labels).metric_name());
    const auto at = waiting_.find(series.labels);
    std::optional<model::Sample> last;
    if (at != waiting_.end()) last = at->second;
    bool is_begun = false;
    const auto give = [&](const model::Sample& sample) {
      if (!std::exchange(is_begun, true)) out.begin_series(series.labels);
      out.add_sample(sample.timestamp_ms, sample.value);
    };
    for (const model::Sample& sample : batch.samples_of(series)) {
      if (!is_held) {
        give(sample);
        continue;
      }
      const bool is_end = model::is_stale_nan(sample.value);
      // A fall is a restart: what came before it would be lost.
      const bool is_other =
          last && (last->timestamp_ms / interval_ms_ != sample.timestamp_ms / interval_ms_ ||
                   sample.value < last->value);
      if (last && (is_end || is_other)) give(*last);
      if (is_end) {
        give(sample);
        last.reset();
      } else {
        last = sample;
        ++held;
      }
    }
    if (is_held) changes.emplace_back(series.labels, last);
  }
  storage::AppendSummary summary;
  if (!out.empty()) summary = TRY(next_.append(out));
  summary.stored += held;
  for (const auto& [labels, sample] : changes) {
    if (sample) {
      waiting_.insert_or_assign(std::string(labels), *sample);
    } else if (const auto at = waiting_.find(labels); at != waiting_.end()) {
      waiting_.erase(at);
    }
  }
  return summary;
}

core::Result<void> CounterInterval::flush() {
  storage::WriteBatch out;
  for (const auto& [labels, sample] : waiting_) {
    out.begin_series(labels);
    out.add_sample(sample.timestamp_ms, sample.value);
  }
  if (!out.empty()) TRY(next_.append(out));
  waiting_.clear();
  return {};
}

}  // namespace agent
