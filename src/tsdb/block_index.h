// The index of a block: its series in the order of their labels, the label pairs and
// the posting list of each pair, as arrays in one buffer.
//
// A series is known by its ordinal. Pairs are sorted by name and value, so the values
// of a name stand together and a pair is found by binary search.

#pragma once

#include "core/result.h"
#include "model/labels.h"
#include "tsdb/block_times.h"
#include "tsdb/postings.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

// Collects what the index says; series come in order.
class BlockIndexBuilder {
 public:
  // `pair_bytes`: the distinct pairs, sorted by name and value.
  explicit BlockIndexBuilder(std::vector<std::string> pair_bytes);
  // `pairs` are indexes into pair_bytes; the region of the series ends at `region_end`.
  void add_series(std::span<const uint32_t> pairs, uint64_t region_end);
  size_t series_count() const { return region_ends_.size(); }
  // The packed form. Pairs that no series has are left out; the builder is used up.
  std::string encode(uint64_t regions_begin);

 private:
  void drop_unused_pairs();

  std::vector<std::string> pair_bytes_;
  std::vector<uint32_t> posting_counts_;  // per pair
  std::vector<uint32_t> series_pairs_;
  std::vector<uint32_t> series_pairs_ends_;
  std::vector<uint64_t> region_ends_;
};

// From the packed form of a file of version 2 to the arrays that BlockIndex reads.
core::Result<std::string> unpack_index(std::string_view stored, uint64_t regions_begin);

// Immutable, thread-safe.
class BlockIndex final : public PostingsSource {
 public:
  // Corruption unless every number in `raw` points into its array. Regions must lie in
  // [regions_begin, regions_end).
  static core::Result<std::shared_ptr<const BlockIndex>> decode(std::string raw,
                                                                uint64_t regions_begin,
                                                                uint64_t regions_end,
                                                                TimeColumns times = {});

  uint32_t series_count() const { return static_cast<uint32_t>(region_ends_.size()); }
  uint32_t pair_count() const { return static_cast<uint32_t>(pair_ends_.size()); }
  uint32_t name_count() const { return static_cast<uint32_t>(name_ends_.size()); }
  size_t size_bytes() const { return raw_.size() + times_.size_bytes(); }
  const TimeColumns& times() const { return times_; }

  struct Region {
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  Region region_of(uint32_t ordinal) const;
  uint64_t regions_end() const { return regions_end_; }
  std::span<const uint32_t> pairs_of(uint32_t ordinal) const;
  std::string_view pair_bytes(uint32_t pair) const;
  model::Label label(uint32_t pair) const { return *model::LabelsView(pair_bytes(pair)).begin(); }
  void append_labels(uint32_t ordinal, std::string& out) const;
  std::string_view name(uint32_t index) const { return label(name_begin(index)).name; }

  std::vector<uint32_t> all() const override;
  Postings postings(std::string_view name, std::string_view value) const override;
  void for_each_value(std::string_view name, const ValueVisitor& visit) const override;
  size_t value_count(std::string_view name) const override;
  std::string_view value_of(uint32_t ref, std::string_view name) const override;

 private:
  BlockIndex() = default;
  bool map(uint64_t regions_begin, uint64_t regions_end);
  uint32_t name_begin(uint32_t index) const { return index == 0 ? 0 : name_ends_[index - 1]; }
  // Index into name_ends_, or name_count().
  uint32_t find_name(std::string_view name) const;
  Postings list(uint32_t pair) const;

  std::string raw_;
  TimeColumns times_;
  uint64_t regions_begin_ = 0;
  uint64_t regions_end_ = 0;
  // Views into raw_.
  std::span<const uint64_t> region_ends_;
  std::span<const uint32_t> series_pairs_ends_, series_pairs_, name_ends_, pair_ends_,
      postings_ends_, postings_;
  std::string_view text_;
};

}  // namespace tsdb
