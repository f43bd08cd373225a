#include "tsdb/identity_table.h"

#include "core/result.h"

#include <algorithm>
#include <bit>

namespace tsdb {

IdentityTable::IdentityTable(size_t series_count)
    : slots_(std::max(kSlotsMin, std::bit_ceil(series_count * 2))) {}

void IdentityTable::insert(const Identity& id, SeriesRef ref) {
  ENSURE(!is_full() && ref < kErased);
  size_t at = home(id);
  while (slots_[at].ref != kEmpty) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {.tag = tag_of(id), .ref = ref};
  ++used_;
}

void IdentityTable::erase(const Identity& id, SeriesRef ref) {
  size_t at = home(id);
  while (slots_[at].ref != ref) {
    ENSURE(slots_[at].ref != kEmpty);
    at = (at + 1) & (slots_.size() - 1);
  }
  slots_[at].ref = kErased;
}

}  // namespace tsdb
