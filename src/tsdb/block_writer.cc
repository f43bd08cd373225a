#include "tsdb/block_writer.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/mutation.h"
#include "tsdb/block.h"

namespace tsdb {

using core::Result;

namespace {

constexpr size_t kBufferSize = 1 << 20U;
// Synced in pieces: the last sync is short, and the log's syncs do not wait behind
// gigabytes of a merge.
constexpr uint64_t kSyncEvery = 16 << 20U;

void append_magic(std::string& out) {
  out.append(kBlockMagic);
  out.push_back(static_cast<char>(kBlockVersion));
}

}  // namespace

Result<std::unique_ptr<BlockWriter>> BlockWriter::create(core::FileSystem& files,
                                                         const std::string& path,
                                                         std::vector<std::string> pair_bytes) {
  std::unique_ptr<core::File> file = TRY(files.open(path, core::OpenMode::CreateNew));
  std::unique_ptr<BlockWriter> writer(new BlockWriter(std::move(file), std::move(pair_bytes)));
  append_magic(writer->buffer_);
  return writer;
}

Result<void> BlockWriter::add_series(std::span<const uint32_t> pairs,
                                     const storage::SeriesBatch& samples) {
  ENSURE(!samples.timestamps_ms.empty() || !samples.histograms.empty());
  encode_region(samples, buffer_);
  samples_ += samples.timestamps_ms.size() + samples.histograms.size();
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
  const std::string raw = index_.encode();
  std::string stored = compress(raw);

  std::string footer;
  core::append_le<uint64_t>(footer, offset_);
  core::append_le<uint64_t>(footer, stored.size());
  core::append_le<uint64_t>(footer, raw.size());
  core::append_le<uint64_t>(footer, samples_);
  core::append_le<uint32_t>(footer, core::crc32c(stored));
  core::append_le<uint32_t>(footer, core::crc32c(footer));
  append_magic(footer);
  ENSURE(footer.size() == kBlockFooterSize);
  buffer_ = std::move(stored) + footer;
  TRY(flush_buffer());
  if (!PETREL_MUTATED("block-no-sync")) TRY(file_->sync());
  return offset_;
}

}  // namespace tsdb
