#include "promql/annotations.h"

#include "promql/lexer.h"
#include "promql/printer.h"

#include <algorithm>
#include <fmt/core.h>

namespace promql {

void Annotations::add(std::vector<std::string>& list, std::string_view kind,
                      std::string_view message, Position position) {
  size_t line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < position.start && i < query_.size(); ++i) {
    if (query_[i] == '\n') {
      ++line;
      line_start = i + 1;
    }
  }
  std::string text =
      fmt::format("{}: {} ({}:{})", kind, message, line, position.start - line_start + 1);
  if (std::find(list.begin(), list.end(), text) != list.end()) return;
  if (list.size() < kShownMax) list.push_back(std::move(text));
}

void Annotations::warn_plain(std::string message) {
  if (std::find(warnings_.begin(), warnings_.end(), message) != warnings_.end()) return;
  if (warnings_.size() < kShownMax) warnings_.push_back(std::move(message));
}

namespace annotation {

std::string mixed_floats_histograms(std::string_view metric) {
  return fmt::format("encountered a mix of histograms and floats for metric name {}",
                     quote(metric));
}

std::string mixed_exponential_custom(std::string_view metric) {
  return fmt::format(
      "vector contains a mix of histograms with exponential and custom buckets schemas for metric "
      "name {}",
      quote(metric));
}

std::string incompatible_bounds(std::string_view metric) {
  return fmt::format(
      "vector contains histograms with incompatible custom buckets for metric name {}",
      quote(metric));
}

std::string not_a_counter(std::string_view metric) {
  return fmt::format("this native histogram metric is not a counter: {}", quote(metric));
}

std::string not_a_gauge(std::string_view metric) {
  return fmt::format("this native histogram metric is not a gauge: {}", quote(metric));
}

std::string histograms_ignored_in_range(std::string_view metric) {
  return fmt::format(
      "ignored histograms in a range containing both floats and histograms for metric "
      "name {}",
      quote(metric));
}

std::string histogram_ignored_in_aggregation(std::string_view aggregation) {
  return fmt::format("ignored histogram in {} aggregation", aggregation);
}

std::string invalid_quantile(double quantile) {
  return fmt::format("quantile value should be between 0 and 1, got {}", format_number(quantile));
}

std::string incompatible_types(std::string_view left, std::string_view op, std::string_view right) {
  return fmt::format("incompatible sample types encountered for binary operator {}: {} {} {}",
                     quote(op), left, op, right);
}

}  // namespace annotation

}  // namespace promql
