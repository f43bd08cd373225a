// Which metrics, labels and targets take the room: counts of the series in memory.
//
// Beside the read waist, for people: who asks sees one tenant, and what is counted is what
// has to be in memory, whatever its samples are.

#pragma once

#include "core/result.h"
#include "model/matcher.h"
#include "model/tenant.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace storage {

struct NamedCount {
  std::string name;
  uint64_t count = 0;

  bool operator==(const NamedCount&) const = default;
};

// A target as one name: its job and its instance with a byte between them that no label holds.
std::string target_name(std::string_view job, std::string_view instance);
void append_target_name(std::string& out, std::string_view job, std::string_view instance);
std::pair<std::string_view, std::string_view> split_target_name(std::string_view name);

struct HeadTotals {
  uint64_t series = 0;
  uint64_t label_names = 0;
  uint64_t label_pairs = 0;
  uint64_t chunks = 0;
  // Of the samples in memory; both 0 when there are none.
  int64_t time_min_ms = 0;
  int64_t time_max_ms = 0;
};

// What Prometheus's /api/v1/status/tsdb has. The largest of each list, largest first.
struct HeadCardinality {
  HeadTotals totals;
  std::vector<NamedCount> series_by_metric;
  std::vector<NamedCount> values_by_label;
  std::vector<NamedCount> bytes_by_label;  // of its values, each counted once
  std::vector<NamedCount> series_by_pair;  // "name=value"
};

// One line of a report.
struct CountChange {
  std::string name;
  uint64_t count = 0;
  std::optional<uint64_t> before;  // nothing: it was not among the largest then
  int64_t change = 0;              // at least so much when `before` is not known
};

struct ChurnCount {
  std::string name;
  uint64_t created = 0;  // at least, as the next
  uint64_t gone = 0;     // left the memory
  uint64_t missed = 0;   // at most so many more of both, in the hours that list the name
};

struct ChurnReport {
  int64_t since_ms = 0;
  uint64_t created = 0;
  uint64_t gone = 0;
  bool is_estimated = false;  // counts by name are of a sample
  std::vector<ChurnCount> metrics;
  std::vector<ChurnCount> targets;  // by target_name()
};

// Of a sample of the series that have a sealed chunk of floats: how many store their values
// as raw bits in the newest one.
struct FallbackShare {
  uint64_t sampled = 0;
  uint64_t raw = 0;
  struct Metric {
    std::string name;
    uint64_t sampled = 0;
    uint64_t raw = 0;
  };
  std::vector<Metric> metrics;  // that have some, most first
};

struct CardinalityReport {
  int64_t time_ms = 0;
  std::optional<int64_t> since_ms;  // of what it is compared with
  HeadTotals totals;
  std::optional<uint64_t> series_before;
  // The largest, and those that changed most; the largest first.
  std::vector<CountChange> metrics;
  std::vector<CountChange> labels;   // values of each label name
  std::vector<CountChange> pairs;    // series of "name=value"
  std::vector<CountChange> targets;  // series by target_name()
  ChurnReport churn;
  FallbackShare fallback;
};

// Which series of a tenant are counted.
struct CardinalityScope {
  model::TenantId tenant{model::kDefaultTenant};
  std::optional<model::Matchers> matchers;  // nothing: all
  bool active_only = false;                 // with a sample in the last minutes
};

struct LabelCardinality {
  std::string name;
  uint64_t values = 0;
  uint64_t series = 0;                      // that have the label
  std::vector<NamedCount> series_by_value;  // the largest, largest first
};

// Thread-safe. Counts are walked in slices beside the writers: series that come and go
// meanwhile may be in them or not.
class CardinalitySource {
 public:
  virtual ~CardinalitySource() = default;
  virtual core::Result<HeadCardinality> head(const model::TenantId& tenant, size_t top) const = 0;
  virtual core::Result<CardinalityReport> report(const model::TenantId& tenant,
                                                 size_t top) const = 0;
  virtual core::Result<HeadTotals> totals(const model::TenantId& tenant) const = 0;
  // Every label name and the number of its values, most first.
  virtual core::Result<std::vector<NamedCount>> label_names(
      const CardinalityScope& scope) const = 0;
  // In the order of `names`; a name that no series has counts 0.
  virtual core::Result<std::vector<LabelCardinality>> label_values(
      const CardinalityScope& scope, const std::vector<std::string>& names, size_t top) const = 0;
  // The label sets (model/labels.h). TooLarge when they take more than `bytes_max`.
  virtual core::Result<std::vector<std::string>> label_sets(const CardinalityScope& scope,
                                                            size_t bytes_max) const = 0;
};

}  // namespace storage
