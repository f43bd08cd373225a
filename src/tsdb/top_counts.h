// The largest of many counts, with their names: a heap of fixed size, so that a walk over
// millions of counts keeps the names of a few.

#pragma once

#include "storage/cardinality.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tsdb {

// Of equal counts at the end of the list those that came first stay.
class TopCounts {
 public:
  explicit TopCounts(size_t size_max) : size_max_(size_max) {}

  // Whether add() would keep the count: asked before a name is made.
  bool admits(uint64_t count) const {
    if (count == 0 || size_max_ == 0) return false;
    return heap_.size() < size_max_ || count > heap_.front().count;
  }
  void add(std::string name, uint64_t count) {
    if (!admits(count)) return;
    if (heap_.size() == size_max_) {
      std::pop_heap(heap_.begin(), heap_.end(), is_larger);
      heap_.back() = {std::move(name), count};
    } else {
      heap_.push_back({std::move(name), count});
    }
    std::push_heap(heap_.begin(), heap_.end(), is_larger);
  }
  // Largest first, equal ones by name. The heap is empty then.
  std::vector<storage::NamedCount> take() {
    std::sort(heap_.begin(), heap_.end(), [](const auto& a, const auto& b) {
      return a.count != b.count ? a.count > b.count : a.name < b.name;
    });
    return std::exchange(heap_, {});
  }

 private:
  static bool is_larger(const storage::NamedCount& a, const storage::NamedCount& b) {
    return a.count > b.count;
  }

  size_t size_max_;
  std::vector<storage::NamedCount> heap_;  // the smallest in front
};

}  // namespace tsdb
