#include "promql/grouping.h"

#include <algorithm>
#include <utility>

namespace promql {

Grouping::Grouping(std::vector<std::string> labels, bool without)
    : labels_(std::move(labels)), without_(without) {
  std::sort(labels_.begin(), labels_.end());
  if (without_) return;
  keeps_name_ = std::binary_search(labels_.begin(), labels_.end(), model::kMetricName);
}

size_t Grouping::group_of(const model::Labels& labels) {
  key_.clear();
  if (without_ || !labels_.empty()) {
    for (const model::Label& label : labels) {
      const bool listed = std::binary_search(labels_.begin(), labels_.end(), label.name);
      const bool kept = without_ ? !listed && label.name != model::kMetricName : listed;
      if (kept) model::append_label(key_, label.name, label.value);
    }
  }
  const auto found = known_.find(std::string_view(key_));
  if (found != known_.end()) return found->second;
  known_.emplace(key_, groups_.size());
  groups_.push_back(model::Labels::from_canonical(key_));
  return groups_.size() - 1;
}

}  // namespace promql
