// What OpenMetrics 1.0 demands of an exposition beyond the form of its lines: metadata
// before samples and only once, families and metrics in one piece, names that do not
// clash, and per type the suffixes, labels, values and exemplars it allows.
//
// Spoken of in the order of the lines; holds names and label sets, no part of the body.

#pragma once

#include "ingest/exposition.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingest {

using DecodedLabels = std::vector<std::pair<std::string, std::string>>;

struct RuleBreach {
  const char* at = nullptr;  // the line it is about, as it was handed in
  std::string what;
};

// What a line says, as far as the rules ask for it.
struct RuleSample {
  const char* at = nullptr;
  std::string_view name;
  DecodedLabels labels;  // sorted by name, without empty values
  double value = 0;
  std::string_view timestamp_text;  // empty: none
  double timestamp = 0;
  bool has_exemplar = false;
  size_t exemplar_label_size = 0;  // code points of names and values together
  double exemplar_value = 0;
};

class OpenMetricsRules {
 public:
  using Verdict = std::optional<RuleBreach>;  // nothing: all is well

  // kind Type, Help or Unit; `text` is the unit.
  Verdict metadata(const char* at, EntryKind kind, std::string_view family, model::MetricType type,
                   std::string_view text);
  Verdict sample(const RuleSample& sample);
  Verdict end() { return close_family(); }

 private:
  // One metric (label set) at one time.
  struct Point {
    std::string_view timestamp_text;
    double timestamp = 0;
    std::set<std::pair<std::string, std::string>> samples;  // suffix and le, quantile, state
    bool has_total = false;
    bool has_sum = false;
    bool has_negative_sum = false;
    bool has_negative_bound = false;
    std::optional<double> count;
    std::optional<double> bound;  // of the newest bucket
    double bucket = 0;            // its value
  };

  Verdict open_family(const char* at, std::string_view name);
  Verdict close_family();
  Verdict open_point(const RuleSample& sample, const DecodedLabels& metric,
                     const std::string& part);
  Verdict close_point();
  // `suffix` is what the sample's name adds to the family's.
  Verdict check_labels(const RuleSample& sample, std::string_view suffix, DecodedLabels& metric,
                       std::string& part) const;
  Verdict check_value(const RuleSample& sample, std::string_view suffix) const;
  Verdict check_exemplar(const RuleSample& sample, std::string_view suffix,
                         std::string_view part) const;
  Verdict add_bucket(const RuleSample& sample, const std::string& bound_text);

  // The suffix a sample of this name has in the open family; nothing when it is not of it.
  std::optional<std::string_view> suffix_of(std::string_view name) const;
  bool is_histogram() const {
    return type_ == model::MetricType::Histogram || type_ == model::MetricType::GaugeHistogram;
  }

  std::set<std::string, std::less<>> taken_names_;  // by families that are closed

  bool in_family_ = false;
  const char* family_at_ = nullptr;
  std::string family_;
  model::MetricType type_ = model::MetricType::Unknown;
  bool has_type_ = false;
  bool has_help_ = false;
  bool has_unit_ = false;
  bool unit_is_empty_ = true;
  bool has_samples_ = false;
  std::set<DecodedLabels> closed_metrics_;

  bool in_metric_ = false;
  const char* metric_at_ = nullptr;
  DecodedLabels metric_;
  Point point_;
};

}  // namespace ingest
