// One series in the head: a small open chunk that grows, and a chain of sealed chunks.
//
//   Series ─> OpenChunk (raw, at most 31 samples)
//          └> Chunk (newest) ─> Chunk ─> ...      immutable, encoded
//
// Sealing joins the open chunk to the newest sealed one until that has kChunkTarget
// samples: memory stays near the size of full chunks while only 31 samples are raw.

#pragma once

#include "encoding/chunk.h"
#include "storage/log.h"
#include "tsdb/identity.h"
#include "tsdb/label_index.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace tsdb {

inline constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();

// Encoded samples, allocated together with their bytes. Immutable but for `prev`.
struct Chunk {
  Chunk* prev = nullptr;  // older; guarded by the head's data lock
  int64_t min_time_ms = 0;
  int64_t max_time_ms = 0;
  uint32_t size = 0;
  uint32_t count = 0;

  std::string_view bytes() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  bool overlaps(int64_t start_ms, int64_t end_ms) const {
    return min_time_ms < end_ms && max_time_ms >= start_ms;
  }
  static Chunk* create(std::string_view bytes, int64_t min_time_ms, int64_t max_time_ms,
                       size_t count);
  static void destroy(Chunk* chunk);
};

// The newest float samples. What repeats takes no memory of its own: samples at a steady pace
// need their first time and the step, equal ones their value once. The rest is raw, 8 bytes a
// value and, when the pace is not steady, 4 bytes a time, in one allocation that grows in
// the steps of the allocator's sizes.
class OpenChunk {
 public:
  static constexpr uint8_t kCapacityMax = 31;

  OpenChunk() = default;
  OpenChunk(const OpenChunk&) = delete;
  OpenChunk& operator=(const OpenChunk&) = delete;
  ~OpenChunk() { clear(); }

  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  int64_t time_ms(size_t i) const {
    const uint64_t offset = has_times_ ? offsets()[i] : static_cast<uint64_t>(step_ms_) * i;
    return static_cast<int64_t>(static_cast<uint64_t>(base_ms_) + offset);
  }
  double value(size_t i) const { return has_memory() ? values()[i] : std::bit_cast<double>(bits_); }
  int64_t max_time_ms() const { return time_ms(count_ - 1U); }
  // Whether a sample at this time can be added without sealing first.
  bool fits(int64_t time_ms) const {
    return count_ == 0 || (count_ < kCapacityMax && offset_of(time_ms) <= UINT32_MAX);
  }
  // Precondition: fits(), and later than all before. So many `more` are known to follow: there
  // is memory for them at once.
  void add(int64_t time_ms, double value, size_t more = 0);
  // As many of the samples as fit one after the other, which are not more than there is room for.
  size_t add_run(const int64_t* times_ms, const double* values, size_t count);
  void clear();
  void copy_to(std::vector<int64_t>& times, std::vector<double>& values_out) const;
  size_t allocated_bytes() const { return size_of(capacity_, has_times_); }
  // The cache line that the next add() writes.
  void prefetch() const {
    if (has_memory()) __builtin_prefetch(values() + count_, 1);
  }
  // All that copy_to() reads.
  void prefetch_all() const {
    constexpr size_t kCacheLine = 64;
    if (!has_memory()) return;
    const char* const begin = reinterpret_cast<const char*>(values());
    for (size_t at = 0; at < allocated_bytes(); at += kCacheLine) __builtin_prefetch(begin + at);
    __builtin_prefetch(begin + allocated_bytes() - 1);
  }

 private:
  static size_t size_of(size_t capacity, bool has_times) {
    return capacity * (sizeof(double) + (has_times ? sizeof(uint32_t) : 0));
  }
  bool is_steady(int64_t time_ms) const {
    const uint64_t offset = offset_of(time_ms);
    return offset == uint64_t{step_ms_} * count_ && offset <= UINT32_MAX;
  }
  uint64_t offset_of(int64_t time_ms) const {
    return static_cast<uint64_t>(time_ms) - static_cast<uint64_t>(base_ms_);
  }
  bool has_memory() const { return capacity_ != 0; }
  void reallocate(uint8_t capacity, bool has_times);
  double* values() const { return reinterpret_cast<double*>(bits_); }
  uint32_t* offsets() const { return reinterpret_cast<uint32_t*>(values() + capacity_); }

  uint64_t bits_ = 0;  // the address of the memory, or without it the bits of every value
  int64_t base_ms_ = 0;
  uint32_t step_ms_ = 0;
  uint8_t count_ = 0;
  uint8_t capacity_ = 0;
  bool has_times_ = false;  // otherwise the pace is steady
};

// What late samples count towards their limit: a histogram takes as much memory as several.
inline constexpr uint64_t kFloatWeight = 1;
inline constexpr uint64_t kHistogramWeight = 16;

// Equal as bits: also NaN sums.
bool same_histogram(const model::Histogram& a, const model::Histogram& b);

// A late sample for a time that blocks hold already. The flush of that number takes it.
template <typename Value>
struct Patch {
  Value value;
  uint32_t flush = 0;
};

// What few series have: late samples and histograms.
struct SeriesExtra {
  // Not vectors: a sender may fill an hour backwards, millisecond by millisecond.
  std::map<int64_t, double> late;  // none of them in a chunk
  Chunk* histogram_chunks = nullptr;
  std::vector<model::HistogramSample> open_histograms;  // holds at least the newest
  std::map<int64_t, model::Histogram> late_histograms;
  int64_t last_histogram_ms = kNoTime;
  std::map<int64_t, Patch<double>> patches;  // none of them in a chunk or late
  std::map<int64_t, Patch<model::Histogram>> histogram_patches;

  bool has_patches() const { return !patches.empty() || !histogram_patches.empty(); }
  bool empty() const {
    return late.empty() && late_histograms.empty() && open_histograms.empty() &&
           histogram_chunks == nullptr && !has_patches();
  }
};

// Written under both locks of the head; read under either.
struct Series {
  uint64_t id = 0;  // in the log; 0: the slot is free
  Identity identity;
  const PairId* pairs = nullptr;   // in a page of the slots
  int64_t last_time_ms = kNoTime;  // of the floats in chunks
  double last_value = 0;
  OpenChunk open;
  Chunk* chunks = nullptr;  // newest first
  std::unique_ptr<SeriesExtra> extra;
  storage::LoggedValue logged_value;  // the log's; with the write lock
  uint32_t batch = 0;                 // the last append that touched it
  uint16_t pair_count = 0;
  bool logged = false;  // the log knows id and labels

  std::span<const PairId> pair_ids() const { return {pairs, pair_count}; }
  bool has_samples() const;
};

// Series by reference; addresses are stable, blocks of dead series are given back.
class SeriesSlots {
 public:
  static constexpr size_t kBlockSize = 1024;

  // References start at 0 and are never used again.
  SeriesRef add(std::span<const PairId> pairs);
  Series& at(SeriesRef ref) { return blocks_[ref / kBlockSize]->series[ref % kBlockSize]; }
  const Series& at(SeriesRef ref) const {
    return blocks_[ref / kBlockSize]->series[ref % kBlockSize];
  }
  // Null when the series is gone: readers may hold references longer than it lives.
  const Series* find(SeriesRef ref) const {
    const Block* block = blocks_[ref / kBlockSize].get();
    if (block == nullptr || block->series[ref % kBlockSize].id == 0) return nullptr;
    return &block->series[ref % kBlockSize];
  }
  // The same for one that may never have been.
  const Series* find_any(SeriesRef ref) const { return ref < next_ ? find(ref) : nullptr; }
  void prefetch_any(SeriesRef ref) const {
    if (ref < next_ && blocks_[ref / kBlockSize] != nullptr) prefetch(ref);
  }
  void prefetch(SeriesRef ref) const {
    const char* const address = reinterpret_cast<const char*>(&at(ref));
    __builtin_prefetch(address, 1);
    __builtin_prefetch(address + 64, 1);
  }
  void remove(SeriesRef ref);
  size_t next() const { return next_; }

 private:
  // Pairs of a block's series go with the block: one allocation for many.
  static constexpr size_t kPageSize = 2048;
  struct Block {
    std::array<Series, kBlockSize> series;
    std::vector<std::unique_ptr<PairId[]>> pages;
    size_t page_used = kPageSize;  // of the last one
    size_t live = 0;

    const PairId* keep(std::span<const PairId> pairs);
  };
  std::vector<std::unique_ptr<Block>> blocks_;
  size_t next_ = 0;
};

}  // namespace tsdb
