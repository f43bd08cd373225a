// The notation of test data: a label set and what it holds at equal distances.
//
//   http_requests{job="a"}  0+10x10 _ _x3 stale {{schema:0 sum:1 count:1}}x2
//
// (prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules)

#pragma once

#include "core/result.h"
#include "model/histogram.h"
#include "model/labels.h"

#include <optional>
#include <string_view>
#include <vector>

namespace promql::testing {

struct SequenceValue {
  bool omitted = false;
  double value = 0;
  std::optional<model::Histogram> histogram;
};

struct SeriesDescription {
  model::Labels labels;
  std::vector<SequenceValue> values;
};

core::Result<SeriesDescription> parse_series(std::string_view line);
core::Result<std::vector<SequenceValue>> parse_values(std::string_view text);

}  // namespace promql::testing
