#include "tsdb/block_mask.h"

#include "core/mutation.h"
#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using model::HistogramSample;
using model::TimeRange;
using storage::SeriesBatch;

namespace {

bool in_ranges(std::span<const TimeRange> ranges, int64_t time_ms) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), time_ms,
                       [](int64_t time, const TimeRange& range) { return time < range.start_ms; });
  return after != ranges.begin() && std::prev(after)->contains(time_ms);
}

// Drops the floats from `begin` on whose time `is_unwanted` says.
template <typename Predicate>
size_t drop_floats(SeriesBatch& batch, size_t begin, Predicate is_unwanted) {
  size_t kept = begin;
  for (size_t i = begin; i < batch.timestamps_ms.size(); ++i) {
    if (is_unwanted(batch.timestamps_ms[i])) continue;
    batch.timestamps_ms[kept] = batch.timestamps_ms[i];
    batch.values[kept++] = batch.values[i];
  }
  const size_t dropped = batch.timestamps_ms.size() - kept;
  batch.timestamps_ms.resize(kept);
  batch.values.resize(kept);
  return dropped;
}

template <typename Predicate>
size_t drop_histograms(SeriesBatch& batch, size_t begin, Predicate is_unwanted) {
  const auto first = batch.histograms.begin() + static_cast<ptrdiff_t>(begin);
  const auto kept = std::remove_if(first, batch.histograms.end(), [&](const HistogramSample& one) {
    return is_unwanted(one.timestamp_ms);
  });
  const auto dropped = static_cast<size_t>(batch.histograms.end() - kept);
  batch.histograms.erase(kept, batch.histograms.end());
  return dropped;
}

}  // namespace

bool applies_to(const Tombstone& tombstone, const BlockMeta& meta) {
  return tombstone.tenant == meta.tenant && meta.number < tombstone.blocks_before &&
         tombstone.range.start_ms <= meta.max_time_ms && tombstone.range.end_ms > meta.min_time_ms;
}

BlockMask::BlockMask(const BlockIndex& index, const BlockMeta& meta,
                     std::span<const Tombstone> tombstones) {
  struct Entry {
    uint32_t ordinal;
    TimeRange range;
  };
  std::vector<Entry> entries;
  for (const Tombstone& one : tombstones) {
    if (!applies_to(one, meta) || PETREL_MUTATED("block-mask-skipped")) continue;
    for (const uint32_t ordinal : find_series(index, one.matchers)) {
      entries.push_back({ordinal, one.range});
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.ordinal, a.range.start_ms) < std::pair(b.ordinal, b.range.start_ms);
  });
  for (const Entry& entry : entries) {
    const bool same = !ordinals_.empty() && ordinals_.back() == entry.ordinal;
    if (same && entry.range.start_ms <= ranges_.back().end_ms) {
      ranges_.back().end_ms = std::max(ranges_.back().end_ms, entry.range.end_ms);
      continue;
    }
    ranges_.push_back(entry.range);
    if (same) {
      ++ends_.back();
    } else {
      ordinals_.push_back(entry.ordinal);
      ends_.push_back(static_cast<uint32_t>(ranges_.size()));
    }
  }
}

std::span<const TimeRange> BlockMask::ranges_of(uint32_t ordinal) const {
  const auto found = std::lower_bound(ordinals_.begin(), ordinals_.end(), ordinal);
  if (found == ordinals_.end() || *found != ordinal) return {};
  const auto i = static_cast<size_t>(found - ordinals_.begin());
  const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::span(ranges_).subspan(begin, ends_[i] - begin);
}

size_t drop_ranges(SeriesBatch& batch, ColumnMark begin, std::span<const TimeRange> ranges) {
  if (ranges.empty()) return 0;
  const auto is_deleted = [&](int64_t time_ms) { return in_ranges(ranges, time_ms); };
  return drop_floats(batch, begin.floats, is_deleted) +
         drop_histograms(batch, begin.histograms, is_deleted);
}

void SourceOrder::end_source() {
  const ColumnMark end = ColumnMark::end_of(batch_);
  const bool new_floats = end.floats > source_.floats;
  const bool new_histograms = end.histograms > source_.histograms;
  // Series that change between floats and histograms are rare.
  if (new_floats && source_.histograms > begin_.histograms) {
    const auto first = batch_.histograms.begin();
    dropped_ += drop_floats(batch_, source_.floats, [&](int64_t time_ms) {
      return std::any_of(first + static_cast<ptrdiff_t>(begin_.histograms),
                         first + static_cast<ptrdiff_t>(source_.histograms),
                         [&](const HistogramSample& one) { return one.timestamp_ms == time_ms; });
    });
  }
  if (new_histograms && source_.floats > begin_.floats) {
    const auto first = batch_.timestamps_ms.begin();
    dropped_ += drop_histograms(batch_, source_.histograms, [&](int64_t time_ms) {
      return std::find(first + static_cast<ptrdiff_t>(begin_.floats),
                       first + static_cast<ptrdiff_t>(source_.floats),
                       time_ms) != first + static_cast<ptrdiff_t>(source_.floats);
    });
  }
}

size_t SourceOrder::finish() {
  const ColumnMark before = ColumnMark::end_of(batch_);
  sort_samples(batch_.timestamps_ms, batch_.values, begin_.floats);
  sort_histograms(batch_.histograms, begin_.histograms);
  const ColumnMark after = ColumnMark::end_of(batch_);
  return dropped_ + (before.floats - after.floats) + (before.histograms - after.histograms);
}

}  // namespace tsdb
