// Puts series into groups by the labels of a by or without clause.

#pragma once

#include "promql/column.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace promql {

class Grouping {
 public:
  Grouping(std::vector<std::string> labels, bool without);

  // The group of a series: 0, 1, ... in the order of first appearance.
  size_t group_of(const model::Labels& labels);
  size_t size() const { return groups_.size(); }
  const model::Labels& labels_of(size_t group) const { return groups_[group]; }
  // Whether the groups keep the metric name.
  bool keeps_name() const { return keeps_name_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  std::vector<std::string> labels_;  // sorted
  bool without_;
  bool keeps_name_ = false;
  std::string key_;
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> known_;
  std::vector<model::Labels> groups_;
};

}  // namespace promql
