// Metrics that are already in the text format: files of other programs, and Petrel's own.

#pragma once

#include "agent/collector.h"
#include "core/result.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace agent {

struct TextFamily {
  model::MetricType type = model::MetricType::Unknown;
  std::string help;
};

struct TextSample {
  std::string labels;  // in canonical form, the metric's name included
  double value = 0;
};

struct TextMetrics {
  std::map<std::string, TextFamily, std::less<>> families;
  std::vector<TextSample> samples;
};

// Strict. InvalidArgument names line and column, or the sample that has a timestamp.
core::Result<TextMetrics> parse_text_metrics(std::string_view text);

// Families without help get `default_help`.
void add_text_metrics(Output& out, const TextMetrics& metrics, std::string_view default_help);

}  // namespace agent
