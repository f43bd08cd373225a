// What tombstones delete in one block, and the rule for samples that several blocks have.

#pragma once

#include "model/time_range.h"
#include "storage/series_source.h"
#include "tsdb/block_index.h"
#include "tsdb/manifest.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tsdb {

using Tombstones = std::vector<Tombstone>;  // of one tenant

// Whether a tombstone may delete something in the block.
bool applies_to(const Tombstone& tombstone, const BlockMeta& meta);

// The deleted ranges of each series of a block. Immutable, thread-safe.
class BlockMask {
 public:
  BlockMask() = default;
  BlockMask(const BlockIndex& index, const BlockMeta& meta, std::span<const Tombstone> tombstones);

  bool empty() const { return ordinals_.empty(); }
  // Sorted and disjoint; empty for most series.
  std::span<const model::TimeRange> ranges_of(uint32_t ordinal) const;
  // The series with deleted ranges, rising.
  std::span<const uint32_t> ordinals() const { return ordinals_; }

 private:
  std::vector<uint32_t> ordinals_;
  std::vector<uint32_t> ends_;  // of each one's ranges
  std::vector<model::TimeRange> ranges_;
};

// Where the columns of one series begin in a batch.
struct ColumnMark {
  size_t floats = 0;
  size_t histograms = 0;

  static ColumnMark end_of(const storage::SeriesBatch& batch) {
    return {batch.timestamps_ms.size(), batch.histograms.size()};
  }
};

// Drops the samples in the ranges (sorted, disjoint) from `begin` on, in any order. Gives
// how many.
size_t drop_ranges(storage::SeriesBatch& batch, ColumnMark begin,
                   std::span<const model::TimeRange> ranges);

// One series from several sources, added in the order in which their samples count: before
// each source `add` notes where it begins. Histograms and floats of one time exclude each
// other as two floats do.
//
//   SourceOrder order(batch);
//   for (source) { order.begin_source(); append...; order.end_source(); }
//   dropped = order.finish();
class SourceOrder {
 public:
  explicit SourceOrder(storage::SeriesBatch& batch)
      : batch_(batch), begin_(ColumnMark::end_of(batch)), source_(begin_) {}
  void begin_source() { source_ = ColumnMark::end_of(batch_); }
  void end_source();
  // Sorts by time; of samples of one time the first added stays. Gives how many went.
  size_t finish();

 private:
  storage::SeriesBatch& batch_;
  const ColumnMark begin_;
  ColumnMark source_;
  size_t dropped_ = 0;
};

}  // namespace tsdb
