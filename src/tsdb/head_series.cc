#include "tsdb/head_series.h"

#include "core/result.h"

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

void OpenChunk::grow() {
  const auto capacity = static_cast<uint8_t>(capacity_ == 0 ? 4 : capacity_ * 2);
  auto* const data = static_cast<std::byte*>(::operator new(size_of(capacity)));
  std::byte* const old = data_;
  const size_t old_capacity = capacity_;
  data_ = data;
  capacity_ = capacity;
  if (old == nullptr) return;
  const std::byte* const old_values = old + sizeof(int64_t);
  std::memcpy(data_, old, sizeof(int64_t));
  std::memcpy(values(), old_values, count_ * sizeof(double));
  std::memcpy(offsets(), old_values + old_capacity * sizeof(double), count_ * sizeof(uint32_t));
  ::operator delete(old);
}

void OpenChunk::add(int64_t time_ms, double value) {
  if (count_ == capacity_) grow();
  if (count_ == 0) *base() = time_ms;
  offsets()[count_] =
      static_cast<uint32_t>(static_cast<uint64_t>(time_ms) - static_cast<uint64_t>(*base()));
  values()[count_] = value;
  ++count_;
}

void OpenChunk::clear() {
  ::operator delete(data_);
  data_ = nullptr;
  count_ = 0;
  capacity_ = 0;
}

void OpenChunk::copy_to(std::vector<int64_t>& times, std::vector<double>& values_out) const {
  for (size_t i = 0; i < count_; ++i) times.push_back(time_ms(i));
  if (count_ != 0) values_out.insert(values_out.end(), values(), values() + count_);
}

bool Series::has_samples() const {
  if (!open.empty() || chunks != nullptr) return true;
  return extra != nullptr && !extra->empty();
}

SeriesRef SeriesSlots::add() {
  if (next_ % kBlockSize == 0) blocks_.push_back(std::make_unique<Block>());
  ++blocks_.back()->live;
  return static_cast<SeriesRef>(next_++);
}

void SeriesSlots::remove(SeriesRef ref) {
  std::unique_ptr<Block>& block = blocks_[ref / kBlockSize];
  Series& series = block->series[ref % kBlockSize];
  ENSURE(!series.has_samples());
  series.id = 0;
  series.pairs.reset();
  series.extra.reset();
  // The block that is being filled stays: its slots are handed out yet.
  const bool full = (ref / kBlockSize + 1) * kBlockSize <= next_;
  if (--block->live == 0 && full) block.reset();
}

}  // namespace tsdb
