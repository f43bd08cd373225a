// Warnings and infos of a query, in Prometheus's words. Each text is given once.

#pragma once

#include "promql/ast.h"

#include <string>
#include <string_view>
#include <vector>

namespace promql {

class Annotations {
 public:
  // Prometheus's API gives at most ten of each kind.
  static constexpr size_t kShownMax = 10;

  explicit Annotations(std::string_view query) : query_(query) {}

  void warn(std::string_view message, Position position) {
    add(warnings_, "PromQL warning", message, position);
  }
  void info(std::string_view message, Position position) {
    add(infos_, "PromQL info", message, position);
  }
  // From the source: as it is.
  void warn_plain(std::string message);

  std::vector<std::string> warnings() const { return warnings_; }
  std::vector<std::string> infos() const { return infos_; }

 private:
  void add(std::vector<std::string>& list, std::string_view kind, std::string_view message,
           Position position);

  std::string query_;
  std::vector<std::string> warnings_;
  std::vector<std::string> infos_;
};

// The messages that several places give.
namespace annotation {
std::string mixed_floats_histograms(std::string_view metric);
std::string mixed_exponential_custom(std::string_view metric);
std::string incompatible_bounds(std::string_view metric);
std::string not_a_counter(std::string_view metric);
std::string not_a_gauge(std::string_view metric);
std::string histograms_ignored_in_range(std::string_view metric);
std::string histogram_ignored_in_aggregation(std::string_view aggregation);
std::string invalid_quantile(double quantile);
std::string incompatible_types(std::string_view left, std::string_view op, std::string_view right);
}  // namespace annotation

}  // namespace promql
