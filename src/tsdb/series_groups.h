// Puts the series of one read into groups by some of their labels.

#pragma once

#include "storage/series_source.h"
#include "tsdb/label_index.h"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tsdb {

// Confined to one thread. Groups are numbered 0, 1, ... as they appear.
class SeriesGroups {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit SeriesGroups(storage::SeriesGrouping grouping);

  // Of a series of the head. Precondition: its data lock is held.
  uint32_t group_of(const LabelIndex& index, std::span<const PairId> pairs);
  // Precondition: canonical labels.
  uint32_t group_of(model::LabelsView labels);
  const model::Labels& labels(uint32_t group) const { return labels_[group]; }

 private:
  // What is known of a pair: whether its label counts, and the group of those series of which
  // it is the only one that does.
  struct Pair {
    bool is_known = false;
    bool counts = false;
    uint32_t group = kNone;
  };

  bool counts(std::string_view name) const;
  uint32_t group_of_key();

  const storage::SeriesGrouping grouping_;
  std::deque<model::Labels> labels_;                 // by group
  std::unordered_map<std::string, uint32_t> known_;  // label bytes -> group
  std::string key_;

  uint64_t removals_ = 0;                             // of the index, when these were noted
  uint32_t without_any_ = kNone;                      // of series of which no pair counts
  std::vector<Pair> pairs_;                           // by id
  std::unordered_map<std::string, uint32_t> tuples_;  // ids of several pairs -> group
  std::vector<PairId> counting_;
  std::string tuple_;
};

}  // namespace tsdb
