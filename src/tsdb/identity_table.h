// Identity -> series of the head: open addressing with linear probing in 8-byte slots that
// hold the reference and a part of the identity. The whole one is where the series is.

#pragma once

#include "tsdb/identity.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tsdb {

using SeriesRef = uint32_t;

// Guarded by its owner, who makes a larger one when it is full and puts everything in.
class IdentityTable {
 public:
  // With room for twice as many series as are expected.
  explicit IdentityTable(size_t series_count = 0);

  // For batches: prefetch a dozen look-ups ahead.
  void prefetch(const Identity& id) const { __builtin_prefetch(&slots_[home(id)]); }
  // The series that find() looks at first, to be prefetched, too.
  std::optional<SeriesRef> candidate(const Identity& id) const {
    return find(id, [](SeriesRef) { return true; });
  }
  // `is_it` tells whether a series has that identity.
  template <typename IsIt>
  std::optional<SeriesRef> find(const Identity& id, const IsIt& is_it) const {
    const uint32_t tag = tag_of(id);
    for (size_t at = home(id);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.ref == kEmpty) return std::nullopt;
      if (slot.tag == tag && slot.ref != kErased && is_it(slot.ref)) return slot.ref;
    }
  }
  // At most 70 % of the slots are used, or were until something was erased.
  bool is_full() const { return (used_ + 1) * 10 > slots_.size() * 7; }
  // Preconditions: not there yet, and the table is not full.
  void insert(const Identity& id, SeriesRef ref);
  // Precondition: it is there.
  void erase(const Identity& id, SeriesRef ref);

 private:
  static constexpr SeriesRef kEmpty = UINT32_MAX;
  static constexpr SeriesRef kErased = UINT32_MAX - 1;
  static constexpr size_t kSlotsMin = 1024;

  struct Slot {
    uint32_t tag = 0;
    SeriesRef ref = kEmpty;
  };

  static uint32_t tag_of(const Identity& id) { return static_cast<uint32_t>(id.high); }
  size_t home(const Identity& id) const { return id.low & (slots_.size() - 1); }

  std::vector<Slot> slots_;  // a power of two
  size_t used_ = 0;
};

}  // namespace tsdb
