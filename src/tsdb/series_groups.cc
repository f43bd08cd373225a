#include "tsdb/series_groups.h"

#include <algorithm>
#include <utility>

namespace tsdb {

SeriesGroups::SeriesGroups(storage::SeriesGrouping grouping) : grouping_(std::move(grouping)) {}

bool SeriesGroups::counts(std::string_view name) const {
  const bool listed =
      std::binary_search(grouping_.labels.begin(), grouping_.labels.end(), name, std::less<>{});
  return grouping_.without ? !listed && name != model::kMetricName : listed;
}

uint32_t SeriesGroups::group_of_key() {
  const auto [known, is_new] = known_.try_emplace(key_, static_cast<uint32_t>(labels_.size()));
  if (is_new) labels_.push_back(model::Labels::from_canonical(key_));
  return known->second;
}

uint32_t SeriesGroups::group_of(const LabelIndex& index, std::span<const PairId> pairs) {
  // Ids may mean other pairs now.
  if (removals_ != index.removals()) {
    pairs_.clear();
    tuples_.clear();
    removals_ = index.removals();
  }
  if (pairs_.size() < index.pair_slots()) pairs_.resize(index.pair_slots());
  counting_.clear();
  for (const PairId id : pairs) {
    Pair& pair = pairs_[id];
    if (!pair.is_known) pair = {.is_known = true, .counts = counts(index.label(id).name)};
    if (pair.counts) counting_.push_back(id);
  }
  uint32_t* group = nullptr;
  if (counting_.empty()) {
    group = &without_any_;
  } else if (counting_.size() == 1) {
    group = &pairs_[counting_.front()].group;
  } else {
    tuple_.assign(reinterpret_cast<const char*>(counting_.data()),
                  counting_.size() * sizeof(PairId));
    group = &tuples_.try_emplace(tuple_, kNone).first->second;
  }
  if (*group == kNone) {
    key_.clear();
    for (const PairId id : counting_) key_.append(index.pair_bytes(id));
    *group = group_of_key();
  }
  return *group;
}

uint32_t SeriesGroups::group_of(model::LabelsView labels) {
  key_.clear();
  for (const model::Label& label : labels) {
    if (counts(label.name)) model::append_label(key_, label.name, label.value);
  }
  return group_of_key();
}

}  // namespace tsdb
