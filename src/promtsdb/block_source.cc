#include "promtsdb/block_source.h"

#include "promtsdb/chunk.h"

#include <algorithm>

namespace promtsdb {

using core::Result;
using model::TimeRange;

namespace {

// When a range is a small part of the block, little of what lies beside its chunks is used.
constexpr size_t kWholeWindow = 1U << 20U;
constexpr size_t kPartWindow = 32U << 10U;
constexpr int64_t kPartOfBlock = 4;

bool overlaps(const ChunkMeta& chunk, TimeRange range) {
  return chunk.min_ms < range.end_ms && chunk.max_ms >= range.start_ms;
}

void erase_deleted(const std::vector<Interval>& deleted, storage::SeriesBatch& batch,
                   size_t floats_begin, size_t histograms_begin) {
  size_t kept = floats_begin;
  for (size_t i = floats_begin; i < batch.timestamps_ms.size(); ++i) {
    if (is_deleted(deleted, batch.timestamps_ms[i])) continue;
    batch.timestamps_ms[kept] = batch.timestamps_ms[i];
    batch.values[kept++] = batch.values[i];
  }
  batch.timestamps_ms.resize(kept);
  batch.values.resize(kept);
  batch.histograms.erase(
      std::remove_if(batch.histograms.begin() + static_cast<std::ptrdiff_t>(histograms_begin),
                     batch.histograms.end(),
                     [&](const auto& one) { return is_deleted(deleted, one.timestamp_ms); }),
      batch.histograms.end());
}

}  // namespace

Result<std::unique_ptr<BlockSource>> BlockSource::open(core::FileSystem& files,
                                                       const std::string& dir, BlockMeta meta,
                                                       const Filter& filter, Damage& damage,
                                                       ReadCounts& counts) {
  Index index = TRY(Index::open(files, dir + "/index"));
  ChunkSegments segments = TRY(ChunkSegments::open(files, dir + "/chunks"));
  std::unique_ptr<BlockSource> source(
      new BlockSource(std::move(index), std::move(segments), filter, damage, counts));
  source->meta_ = std::move(meta);
  source->dir_ = dir;
  const std::string path = dir + "/tombstones";
  if (files.exists(path)) {
    const std::string bytes = TRY(files.read_file(path));
    // Without it deleted samples would come back: the block as a whole is not read.
    source->tombstones_ = TRY(parse_tombstones(bytes).context("{}", path));
  }
  return source;
}

uint32_t BlockSource::own_pair(uint32_t name, uint32_t value) {
  const auto [found, is_new] = own_pairs_.try_emplace(uint64_t{name} << 32U | value,
                                                      static_cast<uint32_t>(pair_symbols_.size()));
  if (is_new) pair_symbols_.emplace_back(name, value);
  return found->second;
}

bool BlockSource::is_wanted() {
  const bool in_range = std::ranges::any_of(
      series_.chunks, [&](const ChunkMeta& chunk) { return overlaps(chunk, range_); });
  if (!in_range || series_.labels.empty()) return false;
  if (filter_.selectors.empty()) return true;
  labels_.clear();
  for (const auto& [name, value] : series_.labels) {
    model::append_label(labels_, index_.symbols().text(name), index_.symbols().text(value));
  }
  return filter_.wants(model::LabelsView(labels_));
}

Result<void> BlockSource::begin(TimeRange range) {
  range_ = range;
  const int64_t length = meta_.range.end_ms - meta_.range.start_ms;
  const bool is_part = (range.end_ms - range.start_ms) < length / kPartOfBlock;
  segments_.set_window(is_part ? kPartWindow : kWholeWindow);
  used_.assign(used_.size(), false);
  Index::Pass pass(index_, first_pass_ ? &damage_ : nullptr);
  first_pass_ = false;
  while (TRY(pass.next(series_))) {
    if (!is_wanted()) continue;
    for (const auto& [name, value] : series_.labels) {
      const uint32_t own = own_pair(name, value);
      if (own >= used_.size()) used_.resize(own + 1);
      used_[own] = true;
    }
  }
  pass_ = std::make_unique<Index::Pass>(index_, nullptr);
  previous_pairs_.clear();
  return {};
}

std::vector<UsedPair> BlockSource::used_pairs() const {
  std::vector<UsedPair> pairs;
  for (uint32_t own = 0; own < used_.size(); ++own) {
    if (!used_[own]) continue;
    const auto [name, value] = pair_symbols_[own];
    pairs.push_back({index_.symbols().text(name), index_.symbols().text(value), own});
  }
  return pairs;
}

Result<bool> BlockSource::advance() {
  while (TRY(pass_->next(series_))) {
    if (!is_wanted()) continue;
    current_pairs_.clear();
    for (const auto& [name, value] : series_.labels) {
      current_pairs_.push_back(ranks_[own_pair(name, value)]);
    }
    std::ranges::sort(current_pairs_);
    if (std::ranges::lexicographical_compare(previous_pairs_, current_pairs_)) {
      previous_pairs_ = current_pairs_;
      return true;
    }
    damage_.note(
        damage_.series,
        fmt::format("{}/index: series {} does not come in the order of labels", dir_, series_.ref));
  }
  return false;
}

Result<void> BlockSource::read(storage::SeriesBatch& batch) {
  const size_t floats_begin = batch.timestamps_ms.size();
  const size_t histograms_begin = batch.histograms.size();
  for (const ChunkMeta& meta : series_.chunks) {
    if (!overlaps(meta, range_)) continue;
    Result<StoredChunk> chunk = segments_.read(meta.ref);
    Result<void> appended = {};
    if (chunk) {
      // A chunk in several ranges counts in the one that it begins in.
      if (meta.min_ms >= range_.start_ms) counts_.bytes += chunk->data.size();
      appended =
          append_chunk(chunk->encoding, chunk->data, range_, batch)
              .context("{}: chunk at {}:{}", dir_, (meta.ref >> 32U) + 1, meta.ref & UINT32_MAX);
      if (appended) continue;
    }
    const core::Error& error = chunk ? appended.error() : chunk.error();
    if (error.code == core::ErrorCode::Io) return tl::unexpected(error);
    if (damaged_.insert(meta.ref).second) damage_.note(damage_.chunks, error.message);
  }
  if (const auto found = tombstones_.find(series_.ref); found != tombstones_.end()) {
    erase_deleted(found->second, batch, floats_begin, histograms_begin);
  }
  counts_.samples +=
      batch.timestamps_ms.size() - floats_begin + batch.histograms.size() - histograms_begin;
  return {};
}

}  // namespace promtsdb
