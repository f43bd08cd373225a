#include "agent/testing/record.h"

#include "core/json_writer.h"

namespace agent::testing {

void RecordingOutput::add_part(std::string_view family, model::MetricType type,
                               std::string_view help, std::string_view metric,
                               std::span<const LabelPair> labels, double value) {
  if (described_.emplace(family).second) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", family, help, family,
                         model::metric_type_name(type));
  }
  text_ += metric;
  for (size_t i = 0; i < labels.size(); ++i) {
    text_ += fmt::format("{}{}=", i == 0 ? "{" : ",", labels[i].first);
    core::append_json_string(text_, labels[i].second);
  }
  text_ += labels.empty() ? " " : "} ";
  core::append_float(text_, value);
  text_ += '\n';
}

}  // namespace agent::testing
