// The read waist: everything that consumes series asks here.

#pragma once

#include "core/result.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "model/tenant.h"
#include "model/time_range.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace storage {

// By which labels series fall into groups: by (...), or without (...), which leaves out
// __name__ too.
struct SeriesGrouping {
  std::vector<std::string> labels;  // sorted
  bool without = false;
};

struct SelectRequest {
  model::TenantId tenant{model::kDefaultTenant};
  model::Matchers matchers;
  model::TimeRange range;
  // Hints; a source may ignore them.
  int64_t step_ms = 0;
  bool sorted = false;       // series come in the order of model::compare
  uint64_t limit = 0;        // series at most; 0: no limit
  bool newest_only = false;  // only the newest sample of each series counts
  // Of its labels only the group of a series counts.
  std::optional<SeriesGrouping> grouping = std::nullopt;
};

// Several series as columns. Series i has the float samples
// [sample_ends[i-1], sample_ends[i]) of `timestamps_ms` and `values`, and the
// histograms [histogram_ends[i-1], histogram_ends[i]); each in rising time, no
// timestamp twice. Stale markers are included.
struct SeriesBatch {
  std::vector<model::Labels> labels;  // empty when there are groups
  std::vector<uint32_t> groups;       // of SeriesSet::group_labels(), where they were asked for
  std::vector<uint32_t> sample_ends;
  std::vector<int64_t> timestamps_ms;
  std::vector<double> values;
  std::vector<uint32_t> histogram_ends;
  std::vector<model::HistogramSample> histograms;

  size_t size() const { return sample_ends.size(); }
  uint32_t sample_begin(size_t i) const { return i == 0 ? 0 : sample_ends[i - 1]; }
  uint32_t histogram_begin(size_t i) const { return i == 0 ? 0 : histogram_ends[i - 1]; }
  std::span<const int64_t> timestamps_of(size_t i) const {
    return std::span(timestamps_ms).subspan(sample_begin(i), sample_ends[i] - sample_begin(i));
  }
  std::span<const double> values_of(size_t i) const {
    return std::span(values).subspan(sample_begin(i), sample_ends[i] - sample_begin(i));
  }
  std::span<const model::HistogramSample> histograms_of(size_t i) const {
    return std::span(histograms)
        .subspan(histogram_begin(i), histogram_ends[i] - histogram_begin(i));
  }
  void clear();
};

// Confined to one thread.
class SeriesSet {
 public:
  virtual ~SeriesSet() = default;
  // Replaces `batch` by the next series; false at the end (batch is then empty).
  // Series without a sample in the range may be left out. No series comes twice.
  virtual core::Result<bool> next(SeriesBatch& batch) = 0;
  // Of a group that a batch named; no two groups have the same. Valid as long as the set.
  virtual const model::Labels& group_labels(uint32_t group) const;
  // After the end: what the reader should know, such as "block X is quarantined".
  virtual std::vector<std::string> warnings() const { return {}; }
};

// Which label sets to look at: a series counts when it matches any of `matchers`
// (every series when empty) and may have samples in the range.
struct LabelsRequest {
  model::TenantId tenant{model::kDefaultTenant};
  std::vector<model::Matchers> matchers;
  model::TimeRange range;
  uint64_t limit = 0;
};

// A list, and what the reader should know of it, such as "block X is quarantined".
template <typename Item>
struct Listed : std::vector<Item> {
  Listed() = default;
  Listed(std::vector<Item> items) : std::vector<Item>(std::move(items)) {}  // NOLINT: implicit

  std::vector<std::string> warnings;
};

struct ExemplarSeries {
  model::Labels labels;
  std::vector<model::Exemplar> exemplars;
};

// Thread-safe. A read sees every append that returned before it.
class SeriesSource {
 public:
  virtual ~SeriesSource() = default;
  virtual core::Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request) const = 0;
  // Without repeats; names and values sorted, series in any order.
  virtual core::Result<Listed<std::string>> label_names(const LabelsRequest& request) const = 0;
  virtual core::Result<Listed<std::string>> label_values(const std::string& name,
                                                         const LabelsRequest& request) const = 0;
  virtual core::Result<Listed<model::Labels>> series(const LabelsRequest& request) const = 0;
  // Of one metric, or of all when `metric` is empty; sorted by metric.
  virtual core::Result<std::vector<model::Metadata>> metadata(const model::TenantId& tenant,
                                                              const std::string& metric) const = 0;
  virtual core::Result<std::vector<ExemplarSeries>> exemplars(
      const LabelsRequest& request) const = 0;
};

}  // namespace storage
