// Which series an id of the log names, while the log is replayed. Ids are given in rising
// order, so pages of references take 4 bytes per series and neighbours share cache lines.

#pragma once

#include "tsdb/identity_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

namespace tsdb {

class SeriesById {
 public:
  std::optional<SeriesRef> find(uint64_t id) const {
    if (id / kPageSize != last_number_ || last_ == nullptr) {
      const auto page = pages_.find(id / kPageSize);
      if (page == pages_.end()) {
        const auto lone = lone_.find(id);
        return lone == lone_.end() ? std::nullopt : std::optional(lone->second);
      }
      last_number_ = id / kPageSize;
      last_ = page->second.get();
    }
    const SeriesRef ref = (*last_)[id % kPageSize];
    return ref == kNone ? std::nullopt : std::optional(ref);
  }

  // Ids from `dense_end` on are hashes, a page for each would be a waste.
  void set(uint64_t id, SeriesRef ref, uint64_t dense_end) {
    if (id >= dense_end) {
      lone_.insert_or_assign(id, ref);
      return;
    }
    if (id / kPageSize != last_number_ || last_ == nullptr) {
      std::unique_ptr<Page>& page = pages_[id / kPageSize];
      if (page == nullptr) {
        page = std::make_unique<Page>();
        page->fill(kNone);
      }
      last_number_ = id / kPageSize;
      last_ = page.get();
    }
    (*last_)[id % kPageSize] = ref;
  }

 private:
  static constexpr uint64_t kPageSize = 1024;
  static constexpr SeriesRef kNone = UINT32_MAX;
  using Page = std::array<SeriesRef, kPageSize>;

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
  std::unordered_map<uint64_t, SeriesRef> lone_;
  mutable uint64_t last_number_ = 0;  // of the page that was used last
  mutable Page* last_ = nullptr;
};

}  // namespace tsdb
