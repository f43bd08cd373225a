#include "tsdb/head_series.h"

#include "core/result.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace tsdb {

Chunk* Chunk::create(std::string_view bytes, int64_t min_time_ms, int64_t max_time_ms,
                     size_t count) {
  void* const memory = ::operator new(sizeof(Chunk) + bytes.size());
  auto* const chunk = new (memory) Chunk;
  chunk->min_time_ms = min_time_ms;
  chunk->max_time_ms = max_time_ms;
  chunk->size = static_cast<uint32_t>(bytes.size());
  chunk->count = static_cast<uint32_t>(count);
  std::memcpy(chunk + 1, bytes.data(), bytes.size());
  return chunk;
}

void Chunk::destroy(Chunk* chunk) {
  ::operator delete(chunk);  // trivially destructible
}

// Keeps what is there; from a chunk without memory it becomes one with.
void OpenChunk::reallocate(uint8_t capacity, bool has_times) {
  auto* const memory = static_cast<std::byte*>(::operator new(size_of(capacity, has_times)));
  auto* const values = reinterpret_cast<double*>(memory);
  auto* const offsets = reinterpret_cast<uint32_t*>(values + capacity);
  for (size_t i = 0; i < count_; ++i) values[i] = value(i);
  for (size_t i = 0; has_times && i < count_; ++i) {
    offsets[i] = static_cast<uint32_t>(offset_of(time_ms(i)));
  }
  if (has_memory()) ::operator delete(this->values());
  bits_ = reinterpret_cast<uint64_t>(memory);
  capacity_ = capacity;
  has_times_ = has_times;
}

void OpenChunk::add(int64_t time_ms, double value, size_t more) {
  if (count_ == 0) {
    base_ms_ = time_ms;
    if (!has_memory()) bits_ = std::bit_cast<uint64_t>(value);
  }
  const uint64_t offset = offset_of(time_ms);
  if (count_ == 1) step_ms_ = static_cast<uint32_t>(offset);
  const bool needs_times = !has_times_ && count_ > 1 && offset != uint64_t{step_ms_} * count_;
  const bool needs_memory =
      !has_memory() && (needs_times || std::bit_cast<uint64_t>(value) != bits_);
  if (needs_memory || needs_times || (has_memory() && count_ == capacity_)) {
    // 3, 7, 15, 31: with the 8 bytes that malloc adds, powers of two.
    const size_t last = std::min<size_t>(count_ + more, kCapacityMax - 1U);
    uint8_t capacity = std::max<uint8_t>(capacity_, 3);
    while (capacity <= last) capacity = static_cast<uint8_t>(2 * capacity + 1);
    reallocate(capacity, has_times_ || needs_times);
  }
  if (has_memory()) {
    values()[count_] = value;
    if (has_times_) offsets()[count_] = static_cast<uint32_t>(offset);
  }
  ++count_;
}

size_t OpenChunk::add_run(const int64_t* times_ms, const double* values, size_t count) {
  size_t i = 0;
  while (i < count && fits(times_ms[i])) {
    add(times_ms[i], values[i], count - i - 1);
    ++i;
    if (!has_memory() || has_times_ || count_ < 2) continue;
    // What nearly all are: raw values at a steady pace.
    double* const memory = this->values();
    for (; i < count && count_ < capacity_ && is_steady(times_ms[i]); ++i) {
      memory[count_++] = values[i];
    }
  }
  return i;
}

void OpenChunk::clear() {
  if (has_memory()) ::operator delete(values());
  bits_ = 0;
  step_ms_ = 0;
  count_ = 0;
  capacity_ = 0;
  has_times_ = false;
}

void OpenChunk::copy_to(std::vector<int64_t>& times, std::vector<double>& values_out) const {
  const size_t begin = times.size();
  times.resize(begin + count_);
  for (size_t i = 0; i < count_; ++i) times[begin + i] = time_ms(i);
  if (has_memory()) {
    values_out.insert(values_out.end(), values(), values() + count_);
  } else {
    values_out.insert(values_out.end(), count_, std::bit_cast<double>(bits_));
  }
}

bool Series::has_samples() const {
  if (!open.empty() || chunks != nullptr) return true;
  return extra != nullptr && !extra->empty();
}

const PairId* SeriesSlots::Block::keep(std::span<const PairId> pairs) {
  if (pairs.size() > kPageSize - page_used) {
    const size_t size = std::max(kPageSize, pairs.size());
    pages.push_back(std::make_unique_for_overwrite<PairId[]>(size));
    page_used = 0;
  }
  PairId* const kept = pages.back().get() + page_used;
  std::copy(pairs.begin(), pairs.end(), kept);
  page_used = std::min(kPageSize, page_used + pairs.size());
  return kept;
}

SeriesRef SeriesSlots::add(std::span<const PairId> pairs) {
  if (next_ % kBlockSize == 0) blocks_.push_back(std::make_unique<Block>());
  Block& block = *blocks_.back();
  Series& series = block.series[next_ % kBlockSize];
  series.pairs = block.keep(pairs);
  series.pair_count = static_cast<uint16_t>(pairs.size());
  ++block.live;
  return static_cast<SeriesRef>(next_++);
}

void SeriesSlots::remove(SeriesRef ref) {
  std::unique_ptr<Block>& block = blocks_[ref / kBlockSize];
  Series& series = block->series[ref % kBlockSize];
  ENSURE(!series.has_samples());
  series.id = 0;
  series.pairs = nullptr;
  series.pair_count = 0;
  series.extra.reset();
  // The block that is being filled stays: its slots are handed out yet.
  const bool full = (ref / kBlockSize + 1) * kBlockSize <= next_;
  if (--block->live == 0 && full) block.reset();
}

}  // namespace tsdb
