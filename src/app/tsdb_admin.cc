#include "app/tsdb_admin.h"

#include "app/import_journal.h"
#include "core/log.h"
#include "tsdb/manifest.h"

namespace app {

using core::Result;

Result<std::string> EngineAdmin::snapshot(bool skip_head) const {
  return engine_.snapshot(skip_head);
}

Result<void> EngineAdmin::delete_series(const model::TenantId& tenant,
                                        const std::vector<model::Matchers>& selectors,
                                        model::TimeRange range) const {
  TRY(engine_.delete_series({.tenant = tenant, .selectors = selectors, .range = range}));
  // An import that was interrupted must not bring it back.
  const std::lock_guard lock(journal_mutex_);
  Result<ImportJournal> journal = ImportJournal::load(files_, data_dir_);
  if (!journal) {
    // The import refuses it too, and says what that means.
    core::log_error("tsdb", "a deletion is not noted for imports",
                    {{"err", journal.error().message}});
    return {};
  }
  return journal->note_deletion(files_, tenant, selectors, range)
      .context("the samples are deleted, but an import that goes on would bring them back");
}

Result<api::TsdbFlush> EngineAdmin::flush() const {
  const tsdb::MaintainReport done = TRY(engine_.flush_all());
  return api::TsdbFlush{.blocks_written = done.blocks_written,
                        .blocks_deleted = done.blocks_deleted,
                        .series_dropped = done.series_dropped};
}

Result<api::TsdbCompaction> EngineAdmin::compact(std::stop_token stop) const {
  api::TsdbCompaction total;
  while (!stop.stop_requested()) {
    const tsdb::CompactReport done = TRY(engine_.compact(1));
    if (done.merges == 0) break;
    total.merges += done.merges;
    total.blocks_read += done.blocks_read;
    total.bytes_read += done.bytes_read;
    total.bytes_written += done.bytes_written;
    total.samples_dropped += done.samples_dropped;
  }
  return total;
}

Result<void> EngineAdmin::clean_tombstones() const {
  TRY(engine_.clean_tombstones());
  return {};
}

std::vector<api::TsdbBlock> list_blocks(const tsdb::Engine& engine, const model::TenantId& tenant) {
  std::vector<api::TsdbBlock> blocks;
  for (const tsdb::BlockMeta& meta : engine.blocks(tenant)) {
    blocks.push_back({.name = meta.file_name().substr(0, meta.file_name().find('.')),
                      .time_min_ms = meta.min_time_ms,
                      .time_max_ms = meta.max_time_ms + 1,
                      .series = meta.series,
                      .samples = meta.samples,
                      .bytes = meta.size_bytes,
                      .level = meta.level});
  }
  return blocks;
}

}  // namespace app
