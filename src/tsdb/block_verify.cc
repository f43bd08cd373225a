#include "tsdb/block_verify.h"

#include "core/crc32c.h"
#include "tsdb/block.h"

#include <algorithm>
#include <limits>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::TimeRange;

namespace {

constexpr TimeRange kAllTime{std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max()};

struct OpenBlock {
  std::unique_ptr<core::File> file;
  uint64_t size = 0;
  BlockFooter footer;
};

Result<OpenBlock> open_file(core::FileSystem& files, const std::string& path) {
  OpenBlock block;
  block.file = TRY(files.open(path, core::OpenMode::Read));
  block.size = TRY(block.file->size());
  return block;
}

Result<void> read_footer(OpenBlock& block) {
  const uint64_t at = block.size - std::min<uint64_t>(block.size, kBlockFooterSize);
  const std::string bytes = TRY(block.file->read_at(at, kBlockFooterSize));
  block.footer = TRY(decode_block_footer(bytes, block.size));
  return {};
}

Result<void> check_header(const OpenBlock& block) {
  const std::string header = TRY(block.file->read_at(0, kBlockHeaderSize));
  if (header.size() == kBlockHeaderSize && header.starts_with(kBlockMagic) &&
      static_cast<uint8_t>(header.back()) == block.footer.version) {
    return {};
  }
  return core::fail(ErrorCode::Corruption, "header is not that of a block of version {}",
                    block.footer.version);
}

Result<std::shared_ptr<const BlockIndex>> read_index(const OpenBlock& block) {
  const std::string bytes =
      TRY(block.file->read_at(block.footer.times_offset, block.footer.index_part_size()));
  return decode_block_index(bytes, block.footer);
}

Result<BlockSelf> read_self(const OpenBlock& block) {
  const BlockFooter& footer = block.footer;
  const std::string bytes = TRY(block.file->read_at(footer.meta_offset, footer.meta_size));
  if (core::crc32c(bytes) != footer.meta_crc) {
    return core::fail(ErrorCode::Corruption, "meta of {} bytes: bad checksum", footer.meta_size);
  }
  BlockSelf self = TRY(decode_block_self(bytes));
  self.meta.size_bytes = block.size;
  return self;
}

Result<void> read_series(const OpenBlock& block, const BlockIndex& index, uint32_t ordinal,
                         TimeRange range, storage::SeriesBatch& samples) {
  const BlockIndex::Region region = index.region_of(ordinal);
  const std::string bytes = TRY(block.file->read_at(region.offset, region.size));
  return append_region(bytes, {.version = block.footer.version, .columns = &index.times()}, range,
                       samples);
}

class Verifier {
 public:
  explicit Verifier(OpenBlock block) : block_(std::move(block)) { check_.file_bytes = block_.size; }

  BlockCheck run() {
    if (const Result<void> read = read_footer(block_); !read) {
      note(block_.size - std::min<uint64_t>(block_.size, kBlockFooterSize), "", read.error());
      return check_;
    }
    const BlockFooter& footer = block_.footer;
    check_.version = footer.version;
    check_.region_bytes = footer.times_offset - kBlockHeaderSize;
    check_.time_bytes = footer.index_offset - footer.times_offset;
    check_.index_bytes = footer.meta_offset - footer.index_offset;
    if (const Result<void> header = check_header(block_); !header) note(0, "", header.error());
    if (footer.version != 1) {
      Result<BlockSelf> self = read_self(block_);
      if (self) {
        check_.self = *std::move(self);
      } else {
        note(footer.meta_offset, "", self.error());
      }
    }
    const Result<std::shared_ptr<const BlockIndex>> index = read_index(block_);
    if (!index) {
      note(footer.times_offset, "", index.error());
      return check_;
    }
    for (uint32_t ordinal = 0; ordinal < (*index)->series_count(); ++ordinal) {
      verify_series(**index, ordinal);
    }
    if (check_.damage_count == 0) compare();
    return check_;
  }

 private:
  void note(uint64_t offset, std::string series, const core::Error& error) {
    if (++check_.damage_count > BlockCheck::kDamageMax) return;
    check_.damage.push_back({offset, std::move(series), error.message});
  }

  void verify_series(const BlockIndex& index, uint32_t ordinal) {
    std::string labels;
    index.append_labels(ordinal, labels);
    const auto damaged = [&](const core::Error& error) {
      note(index.region_of(ordinal).offset, model::LabelsView(labels).to_string(), error);
    };
    if (ordinal > 0 && model::compare(model::LabelsView(before_), model::LabelsView(labels)) >= 0) {
      damaged({ErrorCode::Corruption, "series is not in order"});
    }
    before_ = labels;
    samples_.clear();
    if (const Result<void> read = read_series(block_, index, ordinal, kAllTime, samples_); !read) {
      damaged(read.error());
      return;
    }
    const auto rises = [](const auto& list, auto time_of) {
      return std::adjacent_find(list.begin(), list.end(), [&](const auto& a, const auto& b) {
               return time_of(a) >= time_of(b);
             }) == list.end();
    };
    if (!rises(samples_.timestamps_ms, [](int64_t time_ms) { return time_ms; }) ||
        !rises(samples_.histograms, [](const auto& one) { return one.timestamp_ms; })) {
      damaged({ErrorCode::Corruption, "samples are not in order"});
    }
    count();
  }

  void count() {
    const auto note_times = [this](int64_t first_ms, int64_t last_ms) {
      check_.min_time_ms = any_ ? std::min(check_.min_time_ms, first_ms) : first_ms;
      check_.max_time_ms = any_ ? std::max(check_.max_time_ms, last_ms) : last_ms;
      any_ = true;
    };
    if (!samples_.timestamps_ms.empty()) {
      note_times(samples_.timestamps_ms.front(), samples_.timestamps_ms.back());
    }
    if (!samples_.histograms.empty()) {
      note_times(samples_.histograms.front().timestamp_ms, samples_.histograms.back().timestamp_ms);
    }
    ++check_.series;
    check_.samples += samples_.timestamps_ms.size() + samples_.histograms.size();
    check_.histograms += samples_.histograms.size();
  }

  void compare() {
    const auto differs = [this](std::string_view what, auto said, auto found) {
      if (said == found) return;
      note(block_.footer.meta_offset, "",
           {ErrorCode::Corruption,
            fmt::format("the block says {} {}, found are {}", what, said, found)});
    };
    if (block_.footer.version == 1) {
      differs("samples", block_.footer.samples, check_.samples);
      return;
    }
    const BlockMeta& meta = check_.self->meta;
    differs("series", meta.series, check_.series);
    differs("samples", meta.samples, check_.samples);
    if (check_.samples == 0) return;
    differs("oldest sample", meta.min_time_ms, check_.min_time_ms);
    differs("newest sample", meta.max_time_ms, check_.max_time_ms);
  }

  OpenBlock block_;
  BlockCheck check_;
  bool any_ = false;  // a sample was counted
  std::string before_;
  storage::SeriesBatch samples_;
};

}  // namespace

Result<BlockCheck> verify_block(core::FileSystem& files, const std::string& path) {
  return Verifier(TRY(open_file(files, path).context("{}", path))).run();
}

Result<BlockSelf> read_block_self(core::FileSystem& files, const std::string& path) {
  OpenBlock block = TRY(open_file(files, path).context("{}", path));
  TRY(read_footer(block).context("{}", path));
  TRY(check_header(block).context("{}", path));
  if (block.footer.version == 1) {
    return core::fail(ErrorCode::NotFound, "{}: version 1 says nothing of itself", path);
  }
  return read_self(block).context("{}: offset {}", path, block.footer.meta_offset);
}

Result<void> visit_block(core::FileSystem& files, const std::string& path, TimeRange range,
                         const BlockVisitor& visit) {
  OpenBlock block = TRY(open_file(files, path).context("{}", path));
  TRY(read_footer(block).context("{}", path));
  const std::shared_ptr<const BlockIndex> index = TRY(read_index(block).context("{}", path));
  storage::SeriesBatch samples;
  std::string labels;
  for (uint32_t ordinal = 0; ordinal < index->series_count(); ++ordinal) {
    samples.clear();
    if (!read_series(block, *index, ordinal, range, samples)) continue;
    if (samples.timestamps_ms.empty() && samples.histograms.empty()) continue;
    labels.clear();
    index->append_labels(ordinal, labels);
    TRY(visit(labels, samples));
  }
  return {};
}

}  // namespace tsdb
