#include "tsdb/replay_window.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

namespace tsdb {

namespace {

constexpr uint16_t kSeriesMask = ReplayWindow::kGroupSize - 1;
static_assert(ReplayWindow::kGroupSize == 1U << 10U);

// Blocks of the slabs: few at first, for there may be many tenants; then so many that the
// allocator does not keep them for itself when they are freed.
constexpr size_t kSlabBlocks[] = {8, 32, 128, 512, (40U << 20U) / 2048};

template <typename T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

}  // namespace

void ReplayWindow::begin_block(Group& group) {
  if (slab_ == slabs_.size()) {
    const size_t count = kSlabBlocks[std::min(slabs_.size(), std::size(kSlabBlocks) - 1)];
    slabs_.push_back({.blocks = std::make_unique_for_overwrite<Block[]>(count), .count = count});
  }
  Block* const block = &slabs_[slab_].blocks[in_slab_];
  if (++in_slab_ == slabs_[slab_].count) {
    ++slab_;
    in_slab_ = 0;
  }
  ++blocks_used_;
  block->next = nullptr;
  if (group.last == nullptr) {
    group.first = block;
  } else {
    group.last->size = static_cast<uint32_t>(Block::kCapacity) - group.room;
    group.last->next = block;
  }
  group.last = block;
  group.end = block->bytes.data();
  group.room = Block::kCapacity;
}

void ReplayWindow::clear() {
  std::fill(groups_.begin(), groups_.end(), Group{});
  slab_ = 0;
  in_slab_ = 0;
  blocks_used_ = 0;
}

// Fills the columns of what came, and counts the samples of each series behind its own end.
void ReplayWindow::unpack(const Group& group, Columns& columns) {
  int64_t time_ms = 0;
  size_t i = 0;
  for (const Block* block = group.first; block != nullptr; block = block->next) {
    const char* at = block->bytes.data();
    const char* const end = block == group.last ? group.end : at + block->size;
    for (; at < end; ++i) {
      const auto head = load<uint16_t>(at);
      at += sizeof(head);
      if ((head & kHasTime) != 0) {
        time_ms = load<int64_t>(at);
        at += sizeof(time_ms);
      }
      const bool is_float = (head & kIsFloat) != 0;
      const auto stored = load<uint64_t>(at);
      const auto narrow = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(stored)));
      const uint64_t bits = is_float ? std::bit_cast<uint64_t>(narrow) : stored;
      at += is_float ? sizeof(float) : sizeof(double);
      const uint16_t series = head & kSeriesMask;
      columns.came_series[i] = series;
      columns.came_times_ms[i] = time_ms;
      columns.came_values[i] = std::bit_cast<double>(bits);
      ++columns.ends[series + 1U];
    }
  }
}

SeriesRef ReplayWindow::collect(size_t number, Columns& columns) const {
  const Group& group = groups_[number];
  columns.times_ms.resize(group.count);
  columns.values.resize(group.count);
  columns.came_series.resize(group.count);
  columns.came_times_ms.resize(group.count);
  columns.came_values.resize(group.count);
  // Where the samples of each series begin; each one that is placed moves it on.
  std::vector<uint32_t>& ends = columns.ends;
  ends.assign(kGroupSize + 1, 0);
  unpack(group, columns);
  for (size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
  for (size_t i = 0; i < group.count; ++i) {
    const uint32_t place = ends[columns.came_series[i]]++;
    columns.times_ms[place] = columns.came_times_ms[i];
    columns.values[place] = columns.came_values[i];
  }
  ends.pop_back();
  return static_cast<SeriesRef>(number * kGroupSize);
}

}  // namespace tsdb
