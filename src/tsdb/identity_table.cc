#include "tsdb/identity_table.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tsdb {

void IdentityTable::put(const Identity& id, SeriesRef ref) {
  size_t at = home(id);
  while (slots_[at].ref != kEmpty) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {id, ref};
  ++size_;
}

void IdentityTable::insert(const Identity& id, SeriesRef ref) {
  if ((size_ + 1) * 10 > slots_.size() * 7) {
    rebuild(slots_.size() * 2, [](SeriesRef) { return false; });
  }
  put(id, ref);
}

void IdentityTable::rebuild(size_t slot_count, const std::function<bool(SeriesRef)>& dead) {
  std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slot_count));
  size_ = 0;
  for (const Slot& slot : old) {
    if (slot.ref != kEmpty && !dead(slot.ref)) put(slot.id, slot.ref);
  }
}

void IdentityTable::remove_if(const std::function<bool(SeriesRef)>& dead) {
  size_t left = 0;
  for (const Slot& slot : slots_) left += slot.ref != kEmpty && !dead(slot.ref) ? 1 : 0;
  rebuild(std::max(kSlotsMin, std::bit_ceil(left * 2)), dead);
}

}  // namespace tsdb
