// Who makes series come and go: counts by metric and by target over the last hours, in memory
// of a fixed size.
//
// Each hour has a window, and a window two lists of at most kEntriesMax names, kept as in
// "space-saving" (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k
// Elements in Data Streams, 2005): a new name takes the place of the smallest one and
// remembers what that had, as the most that it may have missed. A name with more than
// 1/kEntriesMax of all events of an hour is always in the list.

#pragma once

#include "model/labels.h"
#include "storage/cardinality.h"

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tsdb {

// The names with the most events of one stream. Guarded by its owner.
class ChurnList {
 public:
  static constexpr size_t kEntriesMax = 128;

  struct Event {
    uint64_t created = 0;
    uint64_t gone = 0;
  };
  void add(std::string_view name, Event event);
  // At most kEntriesMax, in any order.
  const std::vector<storage::ChurnCount>& entries() const { return entries_; }

 private:
  size_t index_of(std::string_view name);

  std::vector<storage::ChurnCount> entries_;
  std::vector<uint64_t> totals_;  // created + gone + missed of each
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> by_name_;
};

// Thread-safe.
class Churn {
 public:
  static constexpr int64_t kWindowMs = 3'600'000;
  static constexpr size_t kWindows = 6;  // the one that runs and those before
  // So many events of a window are counted one by one, later ones as a sample of 1 in 16: the
  // first million series of a fleet must not cost more than the counts are worth.
  static constexpr uint64_t kExactMax = 50'000;
  static constexpr uint64_t kSampleRate = 16;

  void note_created(model::LabelsView labels, int64_t now_ms);
  void note_gone(model::LabelsView labels, int64_t now_ms);
  // The `top` names with the most events of each list.
  storage::ChurnReport report(int64_t now_ms, size_t top) const;

 private:
  struct Window {
    int64_t start_ms = 0;
    uint64_t created = 0;
    uint64_t gone = 0;
    ChurnList metrics;
    ChurnList targets;
  };

  void note(model::LabelsView labels, ChurnList::Event event, int64_t now_ms);
  bool is_sampled();

  mutable std::mutex mutex_;
  // Protected by mutex_.
  std::vector<Window> windows_;  // the newest last; none while nothing happened
  uint64_t random_ = 0x9e3779b97f4a7c15;
};

}  // namespace tsdb
