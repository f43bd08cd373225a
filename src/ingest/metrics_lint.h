// What is unusual about metrics in the Prometheus text format: the rules and the words of
// client_golang's promlint, which promtool's `check metrics` applies.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingest {

struct LintProblem {
  std::string metric;
  std::string text;

  bool operator==(const LintProblem&) const = default;
  auto operator<=>(const LintProblem&) const = default;
};

struct MetricCardinality {
  std::string metric;
  uint64_t series = 0;
};

struct LintReport {
  std::vector<LintProblem> problems;           // by metric, then text
  std::vector<MetricCardinality> cardinality;  // largest first, then by name
};

// InvalidArgument for text that does not parse, and for what Prometheus' server lets pass
// but a careful reader does not: metadata that comes twice or after the samples, unknown
// escapes, bounds and quantiles that are no numbers, a last line that does not end.
core::Result<LintReport> lint_metrics(std::string_view body);

}  // namespace ingest
