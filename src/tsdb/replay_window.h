// Samples of the log on their way into the head, sorted by series.
//
//   record 1: a b c d ...   ┐            group 0: a a a b b b
//   record 2: a b c d ...   ├─> window ─> group 1: c c c d d d
//   record 3: a b c d ...   ┘            ...
//
// A log has samples in the order of time: each record has one of thousands of series, and the
// memory of every series is cold when its sample comes. Here samples wait in groups of
// neighbouring series until there are several of each. What a group's series need fits into
// the cache of a core, and groups have nothing in common, so that threads can share them out.

#pragma once

#include "core/mutation.h"
#include "tsdb/identity_table.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace tsdb {

// Confined to one thread but for collect().
class ReplayWindow {
 public:
  static constexpr size_t kGroupSize = 1024;  // series with neighbouring references

  void add(SeriesRef ref, int64_t time_ms, double value);
  // Of the samples that wait, in whole blocks.
  size_t size_bytes() const { return blocks_used_ * sizeof(Block); }
  bool empty() const { return blocks_used_ == 0; }
  size_t group_count() const { return groups_.size(); }
  // Forgets the samples and keeps the memory.
  void clear();

  // What a group has, sorted by series; of one series in the order it came.
  struct Columns {
    std::vector<uint32_t> ends;  // per series of the group; the first begins at 0
    std::vector<int64_t> times_ms;
    std::vector<double> values;
    // Scratch: as they came.
    std::vector<uint16_t> came_series;
    std::vector<int64_t> came_times_ms;
    std::vector<double> came_values;

    uint32_t begin_of(size_t i) const { return i == 0 ? 0 : ends[i - 1]; }
  };
  // Gives the reference of the group's first series. Threads may collect at the same time while
  // nobody adds.
  SeriesRef collect(size_t group, Columns& columns) const;

 private:
  // Entries {series in the group and flags (2 bytes), time unless it is the one before, value};
  // a value takes 4 bytes when a float holds all of it.
  struct Block {
    static constexpr size_t kCapacity = 2048 - sizeof(void*) - sizeof(uint32_t);
    Block* next;
    uint32_t size;  // set when it is full
    std::array<char, kCapacity> bytes;
  };
  struct Group {
    char* end = nullptr;  // of the last block's entries
    int64_t time_ms = 0;  // of the newest
    uint32_t room = 0;    // behind the end
    uint32_t count = 0;   // of samples
    Block* first = nullptr;
    Block* last = nullptr;
  };
  struct Slab {
    std::unique_ptr<Block[]> blocks;
    size_t count = 0;
  };

  // Flags in front of the number of the series, which takes ten bits.
  static constexpr uint16_t kHasTime = 1U << 10U;
  static constexpr uint16_t kIsFloat = 1U << 11U;
  static constexpr size_t kEntryMax = sizeof(uint16_t) + sizeof(int64_t) + sizeof(double);

  void begin_block(Group& group);
  static void unpack(const Group& group, Columns& columns);

  std::vector<Group> groups_;
  std::vector<Slab> slabs_;
  size_t slab_ = 0;     // the next free block is of that one
  size_t in_slab_ = 0;  // and there at that place
  size_t blocks_used_ = 0;
};

inline void ReplayWindow::add(SeriesRef ref, int64_t time_ms, double value) {
  const size_t number = ref / kGroupSize;
  if (number >= groups_.size()) [[unlikely]] {
    groups_.resize(number + 1);
  }
  Group& group = groups_[number];
  if (group.room < kEntryMax) [[unlikely]] {
    begin_block(group);
  }
  char* const begin = group.end;
  char* at = begin + sizeof(uint16_t);
  auto head = static_cast<uint16_t>(ref % kGroupSize);
  if (time_ms != group.time_ms || group.count == 0) {
    if (group.count == 0 || !PETREL_MUTATED("window-keeps-time")) {
      head |= kHasTime;
      std::memcpy(at, &time_ms, sizeof(time_ms));
      at += sizeof(time_ms);
      group.time_ms = time_ms;
    }
  }
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto narrow = static_cast<float>(value);
  const bool is_float = std::bit_cast<uint64_t>(static_cast<double>(narrow)) == bits;
  if (is_float) head |= kIsFloat;
  const uint64_t stored = is_float ? std::bit_cast<uint32_t>(narrow) : bits;
  std::memcpy(at, &stored, sizeof(stored));  // there is room for eight bytes
  at += is_float ? sizeof(float) : sizeof(double);
  std::memcpy(begin, &head, sizeof(head));
  group.room -= static_cast<uint32_t>(at - begin);
  group.end = at;
  ++group.count;
}

}  // namespace tsdb
