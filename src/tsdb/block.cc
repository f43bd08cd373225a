#include "tsdb/block.h"

#include "core/crc32c.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/mutation.h"
#include "core/time.h"
#include "tsdb/read_again.h"

#include <algorithm>
#include <limits>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr model::TimeRange kAllTime{std::numeric_limits<int64_t>::min(),
                                    std::numeric_limits<int64_t>::max()};

}  // namespace

std::shared_ptr<const BlockIndex> BlockCache::find(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->index;
}

void BlockCache::put(uint64_t number, std::shared_ptr<const BlockIndex> index) {
  const std::lock_guard lock(mutex_);
  if (by_number_.contains(number)) return;
  bytes_ += index->size_bytes();
  entries_.push_front({number, std::move(index)});
  by_number_[number] = entries_.begin();
  while (bytes_ > bytes_max_ && entries_.size() > 1) {
    bytes_ -= entries_.back().index->size_bytes();
    by_number_.erase(entries_.back().number);
    entries_.pop_back();
  }
}

void BlockCache::erase(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return;
  bytes_ -= found->second->index->size_bytes();
  entries_.erase(found->second);
  by_number_.erase(found);
}

Result<std::shared_ptr<const BlockIndex>> decode_block_index(std::string_view stored,
                                                             const BlockFooter& footer) {
  const auto checked = [](std::string_view bytes, uint32_t crc) {
    return core::crc32c(bytes) == crc || PETREL_MUTATED("block-index-no-checksum");
  };
  const uint64_t times_size = footer.index_offset - footer.times_offset;
  if (stored.size() != footer.index_part_size()) {
    return core::fail(ErrorCode::Corruption, "block index at offset {}: {} bytes of {}",
                      footer.times_offset, stored.size(), footer.index_part_size());
  }
  const std::string_view index = stored.substr(times_size);
  if (!checked(index, footer.index_crc)) {
    return core::fail(ErrorCode::Corruption, "block index at offset {}, {} bytes: bad checksum",
                      footer.index_offset, index.size());
  }
  if (footer.version == 1) {
    std::string raw = TRY(decompress(index, footer.index_raw_size).context("block index"));
    return BlockIndex::decode(std::move(raw), kBlockHeaderSize, footer.times_offset);
  }
  if (!checked(stored.substr(0, times_size), footer.times_crc)) {
    return core::fail(ErrorCode::Corruption,
                      "block timestamps at offset {}, {} bytes: bad checksum", footer.times_offset,
                      times_size);
  }
  TimeColumns times = TRY(TimeColumns::decode(std::string(stored.substr(0, times_size))));
  std::string raw = TRY(unpack_index(index, kBlockHeaderSize));
  return BlockIndex::decode(std::move(raw), kBlockHeaderSize, footer.times_offset,
                            std::move(times));
}

std::shared_ptr<Block> Block::open(core::FileSystem& files, const std::string& path, BlockMeta meta,
                                   BlockCache& cache) {
  std::shared_ptr<Block> block(new Block(std::move(meta), path, cache));
  Result<std::unique_ptr<core::File>> file =
      read_again([&] { return files.open(path, core::OpenMode::Read); });
  if (!file) {
    block->quarantine(file.error());
    return block;
  }
  block->file_ = std::move(*file);
  Result<void> sound = read_again([&] { return block->read_footer(); });
  if (sound) sound = block->check_self();
  if (!sound) block->quarantine(sound.error());
  return block;
}

Result<void> Block::read_footer() {
  const uint64_t size = TRY(file_->size());
  const std::string header = TRY(file_->read_at(0, kBlockHeaderSize));
  if (!header.starts_with(kBlockMagic)) {
    return core::fail(ErrorCode::Corruption, "does not begin as a block, at offset 0");
  }
  if (size < kBlockFooterSize) return core::fail(ErrorCode::Corruption, "block is cut short");
  const std::string bytes = TRY(file_->read_at(size - kBlockFooterSize, kBlockFooterSize));
  footer_ = TRY(decode_block_footer(bytes, size));
  if (static_cast<uint8_t>(header.back()) != footer_.version) {
    return core::fail(ErrorCode::Corruption, "version {} at offset {}, {} at the end",
                      static_cast<uint8_t>(header.back()), kBlockHeaderSize - 1, footer_.version);
  }
  return {};
}

// The manifest knows what the file says of itself, so a file that says it wrongly is still
// read; but one that belongs under another name is not.
Result<void> Block::check_self() const {
  static core::Counter& damaged = core::counter(
      "petrel_tsdb_block_meta_damaged_total",
      "Blocks whose description of themselves is damaged; their samples are still read.");
  if (footer_.version == 1) return {};
  const Result<BlockSelf> said = read_again([this] { return self(); });
  if (!said) {
    damaged.add();
    core::log_error("tsdb", "a block's description of itself is damaged, its samples are read",
                    {{"path", path_}, {"err", said.error().message}});
    return {};
  }
  if (said->meta.number != 0 && said->meta.number != meta_.number) {
    return core::fail(ErrorCode::Corruption, "is block number {}, expected {}", said->meta.number,
                      meta_.number);
  }
  return {};
}

std::string Block::damage() const {
  const std::lock_guard lock(mutex_);
  return damage_;
}

void Block::quarantine(const core::Error& error) {
  static core::Counter& quarantined =
      core::counter("petrel_tsdb_blocks_quarantined_total",
                    "Blocks found damaged and set aside since the start.");
  const std::lock_guard lock(mutex_);
  if (!damage_.empty()) return;
  is_unread_ = tsdb::is_unread(error);
  damage_ = fmt::format("samples between {} and {} are missing: {} is quarantined: {}",
                        core::format_rfc3339(meta_.min_time_ms),
                        core::format_rfc3339(meta_.max_time_ms), path_, error.message);
  quarantined.add();
  core::log_error("tsdb", "block quarantined, its samples are missing from results",
                  {{"path", path_}, {"tenant", meta_.tenant}, {"err", error.message}});
}

void Block::exclude_from_merges(const core::Error& error) {
  static core::Counter& excluded =
      core::counter("petrel_tsdb_merge_damaged_blocks_total",
                    "Blocks that cannot be merged because part of them is damaged.");
  if (!can_merge_.exchange(false)) return;
  excluded.add();
  core::log_error("tsdb", "block cannot be merged, part of its samples are missing from results",
                  {{"path", path_}, {"tenant", meta_.tenant}, {"err", error.message}});
}

Result<std::shared_ptr<const BlockIndex>> Block::index() {
  if (std::shared_ptr<const BlockIndex> cached = cache_.find(meta_.number)) return cached;
  std::shared_ptr<const BlockIndex> loaded = TRY(index_uncached());
  cache_.put(meta_.number, loaded);
  return loaded;
}

Result<std::shared_ptr<const BlockIndex>> Block::index_uncached() {
  if (std::string why = damage(); !why.empty()) {
    return core::fail(ErrorCode::Corruption, "{}", why);
  }
  Result<std::shared_ptr<const BlockIndex>> loaded = load_index();
  if (!loaded && loaded.error().code == ErrorCode::Corruption) quarantine(loaded.error());
  return loaded;
}

std::shared_ptr<const BlockMask> Block::mask(const BlockIndex& index,
                                             const std::shared_ptr<const Tombstones>& tombstones) {
  static const auto kNothing = std::make_shared<const BlockMask>();
  if (tombstones == nullptr) return kNothing;
  const bool none = std::none_of(tombstones->begin(), tombstones->end(),
                                 [this](const Tombstone& one) { return applies_to(one, meta_); });
  if (none) return kNothing;
  {
    const std::lock_guard lock(mutex_);
    if (mask_of_ == tombstones) return mask_;
  }
  auto made = std::make_shared<const BlockMask>(index, meta_, *tombstones);
  const std::lock_guard lock(mutex_);
  mask_of_ = tombstones;
  mask_ = made;
  return made;
}

Result<std::shared_ptr<const BlockIndex>> Block::load_index() {
  const std::string stored =
      TRY(read_again([this] {
            return file_->read_at(footer_.times_offset, footer_.index_part_size());
          }).context("{}", path_));
  return decode_block_index(stored, footer_).context("{}", path_);
}

Result<BlockSelf> Block::self() const {
  if (std::string why = damage(); !why.empty()) {
    return core::fail(ErrorCode::Corruption, "{}", why);
  }
  if (footer_.version == 1) {
    return core::fail(ErrorCode::NotFound, "{}: version 1 says nothing of itself", path_);
  }
  const std::string bytes =
      TRY(file_->read_at(footer_.meta_offset, footer_.meta_size).context("{}", path_));
  if (core::crc32c(bytes) != footer_.meta_crc) {
    return core::fail(ErrorCode::Corruption, "{}: meta at offset {}, {} bytes: bad checksum", path_,
                      footer_.meta_offset, footer_.meta_size);
  }
  BlockSelf self = TRY(decode_block_self(bytes).context("{}", path_));
  self.meta.size_bytes = footer_.meta_offset + footer_.meta_size + kBlockFooterSize;
  return self;
}

Result<std::vector<uint32_t>> Block::hidden_series(const BlockIndex& index,
                                                   const std::shared_ptr<const BlockMask>& mask) {
  {
    const std::lock_guard lock(mutex_);
    if (hidden_of_ == mask) return hidden_;
  }
  std::vector<uint32_t> hidden;
  storage::SeriesBatch samples;
  for (const uint32_t ordinal : mask->ordinals()) {
    const std::span<const model::TimeRange> ranges = mask->ranges_of(ordinal);
    if (ranges.front().start_ms > meta_.min_time_ms || ranges.front().end_ms <= meta_.max_time_ms) {
      samples.clear();
      const BlockIndex::Region region = index.region_of(ordinal);
      const std::string bytes = TRY(read(region.offset, region.size));
      // What cannot be read is said to be there.
      if (!append_region(index, bytes, kAllTime, samples)) continue;
      drop_ranges(samples, {}, ranges);
      if (!samples.timestamps_ms.empty() || !samples.histograms.empty()) continue;
    }
    hidden.push_back(ordinal);
  }
  const std::lock_guard lock(mutex_);
  hidden_of_ = mask;
  hidden_ = hidden;
  return hidden;
}

}  // namespace tsdb
