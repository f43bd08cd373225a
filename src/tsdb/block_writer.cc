#include "tsdb/block_writer.h"

#include "core/crc32c.h"
#include "core/mutation.h"
#include "tsdb/block_region.h"

#include <algorithm>

namespace tsdb {

using core::Result;

namespace {

constexpr size_t kBufferSize = 1 << 20U;
// Synced in pieces: the last sync is short, and the log's syncs do not wait behind
// gigabytes of a merge.
constexpr uint64_t kSyncEvery = 16 << 20U;

}  // namespace

Result<std::unique_ptr<BlockWriter>> BlockWriter::create(core::FileSystem& files,
                                                         const std::string& path,
                                                         std::vector<std::string> pair_bytes) {
  std::unique_ptr<core::File> file = TRY(files.open(path, core::OpenMode::CreateNew));
  std::unique_ptr<BlockWriter> writer(new BlockWriter(std::move(file), std::move(pair_bytes)));
  writer->buffer_.append(kBlockMagic);
  writer->buffer_.push_back(static_cast<char>(kBlockVersion));
  return writer;
}

void BlockWriter::describe(const BlockMeta& meta, std::vector<uint64_t> replaces) {
  const BlockMeta seen = self_.meta;
  self_.meta = meta;
  self_.meta.min_time_ms = seen.min_time_ms;
  self_.meta.max_time_ms = seen.max_time_ms;
  self_.meta.series = seen.series;
  self_.meta.samples = seen.samples;
  self_.replaces = std::move(replaces);
}

void BlockWriter::note_times(const storage::SeriesBatch& samples) {
  const auto note = [this](int64_t first_ms, int64_t last_ms) {
    BlockMeta& meta = self_.meta;
    meta.min_time_ms = base_ms_ ? std::min(meta.min_time_ms, first_ms) : first_ms;
    meta.max_time_ms = base_ms_ ? std::max(meta.max_time_ms, last_ms) : last_ms;
    if (!base_ms_) base_ms_ = first_ms;
  };
  if (!samples.timestamps_ms.empty()) {
    note(samples.timestamps_ms.front(), samples.timestamps_ms.back());
  }
  if (!samples.histograms.empty()) {
    note(samples.histograms.front().timestamp_ms, samples.histograms.back().timestamp_ms);
  }
}

Result<void> BlockWriter::add_series(std::span<const uint32_t> pairs,
                                     const storage::SeriesBatch& samples) {
  ENSURE(!samples.timestamps_ms.empty() || !samples.histograms.empty());
  note_times(samples);
  ++self_.meta.series;
  encode_region(samples, *base_ms_, columns_, buffer_);
  self_.meta.samples += samples.timestamps_ms.size() + samples.histograms.size();
  index_.add_series(pairs, offset_ + buffer_.size());
  if (buffer_.size() >= kBufferSize) TRY(flush_buffer());
  return {};
}

Result<void> BlockWriter::flush_buffer() {
  TRY(file_->write_at(offset_, buffer_));
  offset_ += buffer_.size();
  buffer_.clear();
  if (offset_ - synced_ >= kSyncEvery) {
    TRY(file_->sync());
    synced_ = offset_;
  }
  return {};
}

Result<uint64_t> BlockWriter::finish() {
  TRY(flush_buffer());
  BlockFooter footer;
  footer.times_offset = offset_;
  const std::string times = columns_.encode(base_ms_.value_or(0));
  footer.times_crc = core::crc32c(times);
  buffer_ = times;
  footer.index_offset = offset_ + buffer_.size();
  const std::string index = index_.encode(kBlockHeaderSize);
  footer.index_crc = core::crc32c(index);
  buffer_ += index;
  footer.meta_offset = offset_ + buffer_.size();
  const std::string self = encode_block_self(self_);
  footer.meta_crc = core::crc32c(self);
  buffer_ += self;
  buffer_ += encode_block_footer(footer);
  TRY(flush_buffer());
  if (!PETREL_MUTATED("block-no-sync")) TRY(file_->sync());
  return offset_;
}

}  // namespace tsdb
