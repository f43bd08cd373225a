#include "tsdb/block.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "core/varint.h"
#include "encoding/chunk.h"
#include "tsdb/head.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

// A chunk in a block: two hours at 10 s, the size after which chunks gain little.
constexpr size_t kBlockChunkSamples = 720;
constexpr size_t kBlockChunkHistograms = 120;

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

Result<BlockFooter> decode_block_footer(std::string_view bytes, uint64_t file_size) {
  if (bytes.size() != kBlockFooterSize || file_size < kBlockHeaderSize + kBlockFooterSize) {
    return core::fail(ErrorCode::Corruption, "block of {} bytes is too short", file_size);
  }
  const std::string_view magic = bytes.substr(40);
  if (magic.substr(0, kBlockMagic.size()) != kBlockMagic) {
    return core::fail(ErrorCode::Corruption, "block does not end with its magic");
  }
  if (static_cast<uint8_t>(magic.back()) != kBlockVersion) {
    return core::fail(ErrorCode::Corruption, "block has version {}, known is {}",
                      static_cast<uint8_t>(magic.back()), kBlockVersion);
  }
  if (core::crc32c(bytes.substr(0, 36)) != core::load_le<uint32_t>(bytes.substr(36))) {
    return core::fail(ErrorCode::Corruption, "block footer: bad checksum");
  }
  BlockFooter footer;
  footer.index_offset = core::load_le<uint64_t>(bytes);
  footer.index_size = core::load_le<uint64_t>(bytes.substr(8));
  footer.index_raw_size = core::load_le<uint64_t>(bytes.substr(16));
  footer.samples = core::load_le<uint64_t>(bytes.substr(24));
  footer.index_crc = core::load_le<uint32_t>(bytes.substr(32));
  const uint64_t index_end = file_size - kBlockFooterSize;
  if (footer.index_offset < kBlockHeaderSize || footer.index_offset > index_end ||
      footer.index_size != index_end - footer.index_offset ||
      footer.index_raw_size > kBlockIndexSizeMax) {
    return core::fail(ErrorCode::Corruption, "block footer: index of {} bytes at {} of {}",
                      footer.index_size, footer.index_offset, file_size);
  }
  return footer;
}

Result<std::shared_ptr<const BlockIndex>> decode_block_index(std::string_view stored,
                                                             const BlockFooter& footer) {
  if (stored.size() != footer.index_size || core::crc32c(stored) != footer.index_crc) {
    return core::fail(ErrorCode::Corruption, "block index: bad checksum");
  }
  std::string raw = TRY(decompress(stored, footer.index_raw_size).context("block index"));
  return BlockIndex::decode(std::move(raw), kBlockHeaderSize, footer.index_offset);
}

std::shared_ptr<Block> Block::open(core::FileSystem& files, const std::string& path, BlockMeta meta,
                                   BlockCache& cache) {
  std::shared_ptr<Block> block(new Block(std::move(meta), path, cache));
  Result<std::unique_ptr<core::File>> file = files.open(path, core::OpenMode::Read);
  if (!file) {
    block->quarantine(file.error());
    return block;
  }
  block->file_ = std::move(*file);
  if (const Result<void> read = block->read_footer(); !read) block->quarantine(read.error());
  return block;
}

Result<void> Block::read_footer() {
  const uint64_t size = TRY(file_->size());
  const std::string header = TRY(file_->read_at(0, kBlockHeaderSize));
  if (!header.starts_with(kBlockMagic) || static_cast<uint8_t>(header.back()) != kBlockVersion) {
    return core::fail(ErrorCode::Corruption, "not a block of version {}", kBlockVersion);
  }
  if (size < kBlockFooterSize) return core::fail(ErrorCode::Corruption, "block is cut short");
  const std::string bytes = TRY(file_->read_at(size - kBlockFooterSize, kBlockFooterSize));
  footer_ = TRY(decode_block_footer(bytes, size));
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
      TRY(file_->read_at(footer_.index_offset, footer_.index_size).context("{}", path_));
  return decode_block_index(stored, footer_).context("{}", path_);
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
      if (!append_region(bytes, kAllTime, samples)) continue;
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

void encode_region(const storage::SeriesBatch& samples, std::string& out) {
  const size_t begin = out.size();
  core::append_le<uint32_t>(out, 0);  // the checksum, when all is there
  std::string chunk;
  const std::span times(samples.timestamps_ms);
  const std::span values(samples.values);
  for (size_t at = 0; at < times.size(); at += kBlockChunkSamples) {
    const size_t count = std::min(kBlockChunkSamples, times.size() - at);
    chunk.clear();
    encoding::append_float_chunk(chunk, times.subspan(at, count), values.subspan(at, count));
    core::append_string(out, chunk);
  }
  const std::span histograms(samples.histograms);
  for (size_t at = 0; at < histograms.size(); at += kBlockChunkHistograms) {
    const size_t count = std::min(kBlockChunkHistograms, histograms.size() - at);
    chunk.clear();
    encoding::append_histogram_chunk(chunk, histograms.subspan(at, count));
    core::append_string(out, chunk);
  }
  const uint32_t crc = core::crc32c(std::string_view(out).substr(begin + sizeof(uint32_t)));
  std::memcpy(out.data() + begin, &crc, sizeof(crc));
}

Result<void> append_region(std::string_view region, model::TimeRange range,
                           storage::SeriesBatch& batch) {
  if (region.size() < sizeof(uint32_t) ||
      core::crc32c(region.substr(sizeof(uint32_t))) != core::load_le<uint32_t>(region)) {
    return core::fail(ErrorCode::Corruption, "region of {} bytes: bad checksum", region.size());
  }
  region.remove_prefix(sizeof(uint32_t));
  while (!region.empty()) {
    std::string_view chunk;
    if (!core::take_string(region, chunk)) {
      return core::fail(ErrorCode::Corruption, "region: chunk is cut short");
    }
    const encoding::Codec codec = TRY(encoding::codec_of(chunk));
    if (codec == encoding::Codec::Floats) {
      const size_t before = batch.timestamps_ms.size();
      TRY(encoding::decode_float_chunk(chunk, batch.timestamps_ms, batch.values));
      clip_samples(batch.timestamps_ms, batch.values, before, range);
    } else {
      const auto before = static_cast<ptrdiff_t>(batch.histograms.size());
      TRY(encoding::decode_histogram_chunk(chunk, batch.histograms));
      batch.histograms.erase(
          std::remove_if(batch.histograms.begin() + before, batch.histograms.end(),
                         [&](const auto& one) { return !range.contains(one.timestamp_ms); }),
          batch.histograms.end());
    }
  }
  return {};
}

}  // namespace tsdb
