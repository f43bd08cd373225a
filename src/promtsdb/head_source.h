// Prometheus's head as a source of series: what no block holds yet. It lies in the log
// (wal/checkpoint.N, then wal/), in the log of late samples (wbl/) and in the chunks that the
// head has written out (chunks_head/). The three repeat each other; a time counts once.
//
// Two walks over the log: the first for the series, the second for their samples, which are
// sorted in temporary files.

#pragma once

#include "promtsdb/head_chunks.h"
#include "promtsdb/log_reader.h"
#include "promtsdb/log_record.h"
#include "promtsdb/source.h"
#include "promtsdb/spill.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace promtsdb {

struct HeadOptions {
  // Older samples of the log are in blocks, or were deleted there; as in Prometheus they do
  // not count. Late samples (wbl/) do.
  int64_t min_valid_ms = INT64_MIN;
  int64_t granule_ms = 2LL * 3'600'000;  // output ranges are whole multiples of it
  size_t memory_bytes = 256U << 20U;     // of samples that are being sorted
  std::string temporary_dir;
  std::function<void()> on_progress;  // now and then
};

class HeadSource final : public Source {
 public:
  // Only looks which files there are. The filter, the damage and the counts outlive it.
  static core::Result<std::unique_ptr<HeadSource>> open(core::FileSystem& files,
                                                        const std::string& dir, HeadOptions options,
                                                        const Filter& filter, Damage& damage,
                                                        ReadCounts& counts);
  // The first walk.
  core::Result<void> scan();
  // The second walk; before begin(). Only samples in the range are sorted and read.
  core::Result<void> load(model::TimeRange range);

  // Of all samples that count; empty when there are none.
  model::TimeRange time_range() const { return time_range_; }
  // Of all files; both walks count theirs.
  uint64_t bytes() const { return bytes_; }
  uint64_t series_count() const { return sorted_.size(); }
  // What tells whether this head was imported already: names and sizes of its files.
  const std::string& fingerprint() const { return fingerprint_; }

  struct SeriesExemplar {
    std::string_view labels;
    model::Exemplar exemplar;
  };
  std::vector<SeriesExemplar> exemplars() const;
  std::vector<model::Metadata> metadata() const;

  core::Result<void> begin(model::TimeRange range) override;
  std::vector<UsedPair> used_pairs() const override;
  void set_ranks(std::vector<uint32_t> ranks) override { ranks_ = std::move(ranks); }
  core::Result<bool> advance() override;
  std::span<const uint32_t> pairs() const override { return current_pairs_; }
  core::Result<void> read(storage::SeriesBatch& batch) override;

 private:
  struct Series {
    std::string labels;
    uint32_t place = UINT32_MAX;  // in the order of labels; not wanted
    int64_t newest_ms = INT64_MIN;
  };
  struct Chunk {
    uint32_t place = 0;
    uint8_t encoding = 0;
    int64_t min_ms = 0;
    int64_t max_ms = 0;
    HeadChunkFiles::Place at;
  };
  struct Deletion {
    Interval interval;
    uint64_t records_before = UINT64_MAX;  // of which samples: those of earlier records
  };

  HeadSource(core::FileSystem& files, HeadOptions options, const Filter& filter, Damage& damage,
             ReadCounts& counts)
      : files_(files),
        options_(std::move(options)),
        filter_(filter),
        damage_(damage),
        counts_(counts) {}
  core::Result<void> open_logs(const std::string& dir);
  core::Result<void> walk(const std::function<core::Result<void>(LogRecord&, bool is_late)>& visit,
                          Damage* damage);
  void note(LogRecord& record, bool is_late);
  void note_exemplars(LogRecord& record);
  void note_metadata(LogRecord& record);
  void sort_series();
  core::Result<void> find_chunks();
  uint32_t id_of(uint64_t ref) const;
  void extend(int64_t time_ms);
  bool deleted(uint32_t id, int64_t time_ms, uint64_t record) const;
  core::Result<void> sort_samples(LogRecord& record, bool is_late, model::TimeRange range);
  bool has_samples(uint32_t place) const;

  core::FileSystem& files_;
  HeadOptions options_;
  const Filter& filter_;
  Damage& damage_;
  ReadCounts& counts_;

  struct LogFolder {
    std::string dir;
    uint64_t first_segment = 0;
    bool is_late = false;
  };
  std::vector<LogFolder> logs_;
  std::optional<HeadChunkFiles> chunk_files_;
  std::string fingerprint_;
  uint64_t bytes_ = 0;
  uint64_t record_ = 0;  // of the walk that runs

  std::vector<Series> series_;                  // by id
  std::unordered_map<uint64_t, uint32_t> ids_;  // by reference
  std::unordered_map<std::string, uint32_t> ids_by_labels_;
  std::vector<uint32_t> sorted_;  // ids in the order of labels, the wanted ones
  std::unordered_map<uint32_t, std::vector<Deletion>> deletions_;  // by id
  std::vector<Chunk> chunks_;                                      // by place
  std::vector<LogExemplar> exemplars_;                             // `ref` is the id
  std::map<std::string, model::Metadata> metadata_;
  model::TimeRange time_range_{INT64_MAX, INT64_MIN};
  std::unique_ptr<Spill> spill_;

  std::vector<UsedPair> own_pairs_;
  std::vector<uint32_t> series_pairs_;       // own numbers, of all places, flat
  std::vector<uint64_t> series_pairs_ends_;  // by place
  model::TimeRange range_;
  std::vector<uint32_t> ranks_;
  std::optional<SpillReader> reader_;
  uint32_t next_place_ = 0;
  uint32_t place_ = 0;
  size_t chunk_begin_ = 0;  // of the current series in chunks_
  std::vector<uint32_t> current_pairs_;
};

}  // namespace promtsdb
