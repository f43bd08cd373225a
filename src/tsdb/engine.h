// The storage engine of one node: both waists on one set of data.
//
//   append ─> judge ─> log ─> head (memory) ─(2 h ranges)─> blocks (files) ─> deleted after
//   retention
//
// What is refused is refused before the log; what is in the log is applied at once and
// is readable from then on; append() returns when the log says that it is durable.
// A flush closes a tenant before a time T at a position P of the log: what earlier records
// brought before T is in blocks and a replay skips it. A sample before T that comes later is
// kept as a patch of the blocks until the next flush (head_late.cc).
//
// Files under the data directory: lock, manifest, series_snapshot-*, blocks/*
// (docs/formats/). The log has its own folder and is not opened here.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/result.h"
#include "core/rng.h"
#include "storage/cardinality.h"
#include "storage/log.h"
#include "storage/sample_sink.h"
#include "storage/series_source.h"
#include "tenant/limits_table.h"
#include "tsdb/head_counts.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tsdb {

class ImportSeries;  // tsdb/import_series.h
struct ImportedBlock;
struct BlockMeta;  // tsdb/manifest.h

struct EngineOptions {
  std::string data_dir;
  int64_t retention_ms = 7LL * 24 * 3'600'000;    // from the newest block's end; 0: for ever
  uint64_t retention_bytes = 0;                   // of blocks and log; 0: no limit
  int64_t block_range_ms = 2LL * 3'600'000;       // blocks start at multiples of it
  int64_t block_range_max_ms = 24LL * 3'600'000;  // merged blocks; a multiple of block_range_ms
  int64_t out_of_order_window_ms = 3'600'000;     // behind the tenant's newest sample
  int64_t ahead_max_ms = 600'000;                 // before the wall clock
  uint64_t late_samples_max = 4'000'000;          // per tenant, in memory
  size_t exemplars_max = 20'000;                  // per tenant; the oldest go first
  int64_t stale_after_ms = 900'000;  // series leave the head without a sample; 0: never
  size_t stale_series_min = 1'000;   // so many at once, and a fiftieth of all
  size_t block_index_cache_bytes = 256ULL << 20U;  // decoded indexes of blocks
  // Samples of the log that wait at a start to be sorted by series; less when there are few
  // series (engine_recovery.cc).
  uint64_t replay_window_bytes = 1ULL << 30U;
  uint64_t reserve_bytes = 32ULL << 20U;  // of the disk (disk_guard.h); merges leave twice
};

struct EngineDeps {
  core::FileSystem& files;
  core::Clock& clock;
  core::Rng& rng;  // keys the hash of series identities; used in open() only
  storage::Log& log;
  // Of tenants; outlives the engine. Null: every tenant has the defaults.
  const tenant::LimitsTable* limits = nullptr;
};

// Takes the lock of a data directory, creating the directory. Done before the log in
// the same directory is opened; the error names the process that holds it.
core::Result<std::unique_ptr<core::FileLock>> lock_data_dir(core::FileSystem& files,
                                                            const std::string& data_dir);

struct ReplayProgress {
  bool done = false;
  storage::LogPosition position = 0;  // of `end`, where the log ended when it began
  storage::LogPosition end = 0;
  uint64_t records = 0;
  uint64_t samples = 0;
  uint64_t dropped_samples = 0;  // of series that neither log nor snapshot introduces
};

// Numbers of one tenant.
struct EngineStats {
  uint64_t series = 0;
  uint64_t label_pairs = 0;
  uint64_t chunks = 0;
  uint64_t late_samples = 0;  // not in the order of time; a histogram counts as 16
  int64_t min_time_ms = 0;    // of the head; both 0 when it is empty
  int64_t max_time_ms = 0;
  uint64_t blocks = 0;
  uint64_t quarantined_blocks = 0;
  uint64_t block_bytes = 0;
};

struct MaintainReport {
  uint32_t blocks_written = 0;
  uint32_t blocks_deleted = 0;
  uint64_t series_dropped = 0;
  uint64_t series_evicted = 0;  // of these, before their range was closed
};

struct CompactReport {
  uint32_t merges = 0;
  uint32_t blocks_read = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t samples_dropped = 0;  // deleted ones, and later values for the same time
};

// Which samples delete_series() deletes: those in the range, of series that match any of
// the selectors.
struct DeleteRequest {
  model::TenantId tenant{model::kDefaultTenant};
  std::vector<model::Matchers> selectors;
  model::TimeRange range;
};

// Thread-safe. Errors of append(): Unavailable when the log cannot take the batch;
// nothing is promised then and reads go on.
class Engine final : public storage::SampleSink, public storage::SeriesSource {
 public:
  // Takes the data directory (`lock`, or its own when null) and reads the manifest.
  // Quick: everything that takes time is in recover().
  static core::Result<std::unique_ptr<Engine>> create(
      EngineOptions options, EngineDeps deps, std::unique_ptr<core::FileLock> lock = nullptr);
  // Loads the series snapshot and replays the log. Before it is done append() and the
  // reads answer Unavailable; progress() may be asked from any thread.
  core::Result<void> recover();
  // create() and recover().
  static core::Result<std::unique_ptr<Engine>> open(EngineOptions options, EngineDeps deps,
                                                    std::unique_ptr<core::FileLock> lock = nullptr);
  ~Engine() override;

  ReplayProgress progress() const;
  // Unavailable while it takes no writes of its own accord: it is not known which manifest a
  // restart would find, or files could not be read at the start. What the log says comes on
  // top (EmbeddedLog::writable()).
  core::Result<void> writable() const;
  // Until the next start nothing is flushed, merged or deleted then.
  bool has_unread_files() const;

  core::Result<storage::AppendSummary> append(const storage::WriteBatch& batch) override;

  core::Result<std::unique_ptr<storage::SeriesSet>> select(
      const storage::SelectRequest& request) const override;
  core::Result<storage::Listed<std::string>> label_names(
      const storage::LabelsRequest& request) const override;
  core::Result<storage::Listed<std::string>> label_values(
      const std::string& name, const storage::LabelsRequest& request) const override;
  core::Result<storage::Listed<model::Labels>> series(
      const storage::LabelsRequest& request) const override;
  core::Result<std::vector<model::Metadata>> metadata(const model::TenantId& tenant,
                                                      const std::string& metric) const override;
  core::Result<std::vector<storage::ExemplarSeries>> exemplars(
      const storage::LabelsRequest& request) const override;

  // One step of the background work: flushes ranges that are complete, forgets what
  // blocks hold, truncates the log, deletes blocks past retention. Call it every few
  // seconds from one background thread. An error leaves everything as it was; the
  // next call tries again.
  core::Result<MaintainReport> maintain();
  // Flushes everything in the head but samples of the future: they would close the present
  // with them. So would those of a clock that has just jumped ahead.
  core::Result<MaintainReport> flush_all();

  // Merges blocks as long as the plan has something to merge; `steps` at most. Beside
  // maintain(), from one thread of its own: a merge takes long and appends go on.
  core::Result<CompactReport> compact(uint32_t steps = UINT32_MAX);
  // Durable when it returns; seen by every read that begins after that.
  core::Result<void> delete_series(const DeleteRequest& request);
  // Writes blocks with deleted samples anew without them.
  core::Result<CompactReport> clean_tombstones();
  // Makes a merge that runs give up soon, and later ones do nothing: for shutting down.
  void stop_merging();
  // A copy of everything as a data directory of its own under <data>/snapshots: hard links to
  // the blocks, after a flush, and a log of what no block can take yet. Gives its name.
  // `skip_head`: without what is not in blocks yet.
  core::Result<std::string> snapshot(bool skip_head);

  // Writes series from outside into one block and makes it count: all of them or none. The
  // range is aligned, and no part of it is flushed meanwhile. Of the same series and time the
  // sample that is there already stays.
  core::Result<ImportedBlock> import_block(const model::TenantId& tenant, model::TimeRange range,
                                           ImportSeries& series);

  // What the manifest says of the tenant's blocks, oldest first.
  std::vector<BlockMeta> blocks(const model::TenantId& tenant) const;
  // The tenants that have data, sorted.
  std::vector<model::TenantId> tenants() const;
  EngineStats stats(const model::TenantId& tenant) const;

  // Counts of what is in memory (head_cardinality.cc); of a tenant without data all are 0.
  // Unavailable until recover() is done.
  core::Result<HeadCounts> count_head(const model::TenantId& tenant,
                                      const CountOptions& options) const;
  core::Result<storage::HeadTotals> head_totals(const model::TenantId& tenant) const;
  core::Result<std::vector<storage::NamedCount>> count_values(const model::TenantId& tenant,
                                                              const SeriesScope& scope) const;
  core::Result<std::vector<storage::LabelCardinality>> count_by_value(
      const model::TenantId& tenant, const SeriesScope& scope,
      const std::vector<std::string>& names, size_t top) const;
  // TooLarge when they take more than `bytes_max`.
  core::Result<std::vector<std::string>> head_label_sets(const model::TenantId& tenant,
                                                         const SeriesScope& scope,
                                                         size_t bytes_max) const;
  core::Result<storage::FallbackShare> sample_fallback(const model::TenantId& tenant,
                                                       size_t sample_size) const;
  core::Result<storage::ChurnReport> churn(const model::TenantId& tenant, size_t top) const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tsdb
