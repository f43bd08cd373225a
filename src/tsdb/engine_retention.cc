// Retention: blocks that are too old, and the oldest when all take too much disk.

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/block.h"
#include "tsdb/engine_impl.h"

#include <algorithm>

namespace tsdb {

using core::Result;

namespace {

core::Counter& retentions(bool by_size) {
  static core::Counter& size =
      core::counter("petrel_tsdb_size_retentions_total",
                    "Times that blocks went because all took too much disk.");
  static core::Counter& time = core::counter("petrel_tsdb_time_retentions_total",
                                             "Times that blocks went because of their age.");
  return by_size ? size : time;
}

// Whether `a` is given up before `b`.
bool goes_first(const BlockMeta& a, const BlockMeta& b) {
  return std::tie(a.max_time_ms, a.end_ms, a.number) < std::tie(b.max_time_ms, b.end_ms, b.number);
}

}  // namespace

std::vector<Engine::Impl::Expired> Engine::Impl::expired_blocks() const {
  std::vector<Expired> gone;
  if (manifest.blocks.empty()) return gone;
  // Counted from the newest sample in a block, not in the head: one sample that came while
  // the wall clock ran years ahead must not delete everything else.
  const std::map<std::string, int64_t> newest = manifest.newest_times_ms();
  std::vector<const BlockMeta*> kept;
  uint64_t bytes = options.retention_bytes == 0 ? 0 : log.size_bytes();
  for (const BlockMeta& meta : manifest.blocks) {
    // What the log would bring back at the next start stays: series that were evicted.
    const auto closed = manifest.closed.find(meta.tenant);
    const bool is_closed =
        !manifest.evicted.contains(meta.tenant) ||
        (closed != manifest.closed.end() && meta.max_time_ms < closed->second.before_ms) ||
        PETREL_MUTATED("evict-ignores-retention");
    const bool is_old =
        options.retention_ms != 0 && meta.end_ms <= newest.at(meta.tenant) - options.retention_ms;
    if (is_closed && is_old) {
      gone.push_back({.meta = meta});
      continue;
    }
    bytes += meta.size_bytes;
    if (is_closed) kept.push_back(&meta);
  }
  if (options.retention_bytes == 0) return gone;
  if (manifest.snapshot_number != 0) {
    const auto file = files.open(snapshot_path(manifest.snapshot_number), core::OpenMode::Read);
    if (file) bytes += (*file)->size().value_or(0);
  }
  std::sort(kept.begin(), kept.end(),
            [](const BlockMeta* a, const BlockMeta* b) { return goes_first(*a, *b); });
  // Never the newest one, whatever the log takes.
  for (size_t i = 0; i + 1 < kept.size() && bytes > options.retention_bytes; ++i) {
    bytes -= kept[i]->size_bytes;
    gone.push_back({.meta = *kept[i], .by_size = true});
  }
  return gone;
}

Result<uint32_t> Engine::Impl::delete_expired() {
  const std::vector<Expired> gone = expired_blocks();
  if (gone.empty()) return 0U;
  Manifest next = manifest;
  for (const Expired& one : gone) {
    std::erase_if(next.blocks,
                  [&](const BlockMeta& meta) { return meta.number == one.meta.number; });
  }
  if (PETREL_MUTATED("retention-removes-before-publish")) {
    for (const Expired& one : gone) drop_file(blocks_dir() + "/" + one.meta.file_name());
  }
  TRY(store_manifest(std::move(next)).context("delete blocks past retention"));
  for (const bool by_size : {false, true}) {
    const bool any = std::any_of(gone.begin(), gone.end(),
                                 [&](const auto& one) { return one.by_size == by_size; });
    if (any) retentions(by_size).add();
  }
  for (const Expired& one : gone) {
    const BlockMeta& meta = one.meta;
    Tenant& tenant = tenant_for(meta.tenant);
    Blocks blocks = *tenant.blocks();
    std::erase_if(blocks, [&](const auto& block) { return block->meta().number == meta.number; });
    tenant.set_blocks(std::move(blocks));
    block_cache->erase(meta.number);
    // Readers keep the open file.
    drop_file(blocks_dir() + "/" + meta.file_name());
    core::log_info("tsdb",
                   one.by_size ? "deleted the oldest block: data takes more than is allowed"
                               : "deleted a block past retention",
                   {{"tenant", meta.tenant},
                    {"file", meta.file_name()},
                    {"end_ms", meta.end_ms},
                    {"bytes", meta.size_bytes}});
  }
  return static_cast<uint32_t>(gone.size());
}

}  // namespace tsdb
