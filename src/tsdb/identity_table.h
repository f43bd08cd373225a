// Identity -> series of the head: open addressing with linear probing in 24-byte slots
// that hold the whole identity, so that a look-up touches one cache line and no labels.

#pragma once

#include "tsdb/identity.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace tsdb {

using SeriesRef = uint32_t;

// Guarded by its owner.
class IdentityTable {
 public:
  IdentityTable() : slots_(kSlotsMin) {}

  // For batches: prefetch a dozen look-ups ahead.
  void prefetch(const Identity& id) const { __builtin_prefetch(&slots_[home(id)]); }
  std::optional<SeriesRef> find(const Identity& id) const {
    for (size_t at = home(id);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.ref == kEmpty) return std::nullopt;
      if (slot.id == id) return slot.ref;
    }
  }
  // Precondition: not there yet.
  void insert(const Identity& id, SeriesRef ref);
  // Rebuilds the table without the entries for which `dead` says so.
  void remove_if(const std::function<bool(SeriesRef)>& dead);

  size_t size() const { return size_; }

 private:
  static constexpr SeriesRef kEmpty = UINT32_MAX;
  static constexpr size_t kSlotsMin = 1024;

  struct Slot {
    Identity id;
    SeriesRef ref = kEmpty;
  };

  size_t home(const Identity& id) const { return id.low & (slots_.size() - 1); }
  void put(const Identity& id, SeriesRef ref);
  void rebuild(size_t slot_count, const std::function<bool(SeriesRef)>& dead);

  std::vector<Slot> slots_;  // a power of two, at most 70 % full
  size_t size_ = 0;
};

}  // namespace tsdb
