#include "app/tsdb_admin.h"

#include "tsdb/manifest.h"

namespace app {

using core::Result;

Result<std::string> EngineAdmin::snapshot(bool skip_head) const {
  return engine_.snapshot(skip_head);
}

Result<void> EngineAdmin::delete_series(const model::TenantId& tenant,
                                        const std::vector<model::Matchers>& selectors,
                                        model::TimeRange range) const {
  return engine_.delete_series({.tenant = tenant, .selectors = selectors, .range = range});
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
