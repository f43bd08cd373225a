// Writes down what a collector adds, in the text format.

#pragma once

#include "agent/collector.h"

#include <set>
#include <string>
#include <vector>

namespace agent::testing {

class RecordingOutput final : public Output {
 public:
  using Output::add;
  void add(std::string_view metric, model::MetricType type, std::string_view help,
           std::span<const LabelPair> labels, double value) override {
    add_part(metric, type, help, metric, labels, value);
  }
  void add_part(std::string_view family, model::MetricType type, std::string_view help,
                std::string_view metric, std::span<const LabelPair> labels, double value) override;

  // One line per sample, in the order they came; with # HELP and # TYPE in front of the
  // first of each metric.
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::set<std::string, std::less<>> described_;
};

}  // namespace agent::testing
