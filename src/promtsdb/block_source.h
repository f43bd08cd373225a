// A Prometheus block as a source of series.

#pragma once

#include "core/file_system.h"
#include "promtsdb/block_meta.h"
#include "promtsdb/index.h"
#include "promtsdb/segments.h"
#include "promtsdb/source.h"
#include "promtsdb/tombstones.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace promtsdb {

class BlockSource final : public Source {
 public:
  // Opens the files in `dir`. The filter, the damage and the counts outlive the source.
  static core::Result<std::unique_ptr<BlockSource>> open(core::FileSystem& files,
                                                         const std::string& dir, BlockMeta meta,
                                                         const Filter& filter, Damage& damage,
                                                         ReadCounts& counts);

  core::Result<void> begin(model::TimeRange range) override;
  std::vector<UsedPair> used_pairs() const override;
  void set_ranks(std::vector<uint32_t> ranks) override { ranks_ = std::move(ranks); }
  core::Result<bool> advance() override;
  std::span<const uint32_t> pairs() const override { return current_pairs_; }
  core::Result<void> read(storage::SeriesBatch& batch) override;

 private:
  BlockSource(Index index, ChunkSegments segments, const Filter& filter, Damage& damage,
              ReadCounts& counts)
      : index_(std::move(index)),
        segments_(std::move(segments)),
        filter_(filter),
        damage_(damage),
        counts_(counts) {}
  bool is_wanted();
  uint32_t own_pair(uint32_t name, uint32_t value);

  BlockMeta meta_;
  std::string dir_;
  Index index_;
  ChunkSegments segments_;
  Tombstones tombstones_;
  const Filter& filter_;
  Damage& damage_;
  ReadCounts& counts_;

  model::TimeRange range_;
  bool first_pass_ = true;  // damage of the index is noted once
  std::unique_ptr<Index::Pass> pass_;
  IndexSeries series_;
  std::string labels_;
  std::unordered_map<uint64_t, uint32_t> own_pairs_;  // name << 32 | value
  std::vector<std::pair<uint32_t, uint32_t>> pair_symbols_;
  std::vector<bool> used_;
  std::vector<uint32_t> ranks_;
  std::vector<uint32_t> current_pairs_;
  std::vector<uint32_t> previous_pairs_;
  std::unordered_set<uint64_t> damaged_;  // chunks noted, which may lie in two ranges
  storage::SeriesBatch scratch_;
};

}  // namespace promtsdb
