// What a start finds: the manifest's blocks and snapshot, and what a crash left behind.

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/block.h"
#include "tsdb/engine_impl.h"
#include "tsdb/give_up.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::LogPosition;

std::string Engine::Impl::snapshot_path(uint64_t number) const {
  return fmt::format("{}/{}{:010}", options.data_dir, kSnapshotPrefix, number);
}

// Nothing goes before the folders are known.
Result<void> Engine::Impl::clean_up() {
  if (!PETREL_MUTATED("start-no-dir-sync")) {
    // A manifest that was renamed but not synced before a kill can be read now and be gone
    // after a power failure: what it replaced must not be removed yet.
    TRY(files.sync_dir(options.data_dir));
    // A copy that a crash or an error left behind forgets the newest deletions. Storing it syncs
    // the names, too.
    if (is_manifest_stored) manifest.store_copy(files, options.data_dir);
  }
  // What a recovered manifest does not name was kept aside; nothing else goes.
  if (!is_manifest_recovered) TRY(remove_leftovers());
  return remove_unfinished_snapshots();
}

Result<void> Engine::Impl::remove_leftovers() {
  const std::vector<std::string> block_files = TRY(files.list(blocks_dir()));
  for (const std::string& name : block_files) {
    const bool known = std::any_of(manifest.blocks.begin(), manifest.blocks.end(),
                                   [&](const BlockMeta& meta) { return meta.file_name() == name; });
    const bool counts = known && !PETREL_MUTATED("left-overs-ignore-manifest");
    if (counts || !name.ends_with(".block")) continue;
    core::log_info("tsdb", "removing an unfinished block", {{"file", name}});
    TRY(files.remove(blocks_dir() + "/" + name));
  }
  const std::vector<std::string> others = TRY(files.list(options.data_dir));
  // The snapshot before the one that counts stays: most of what damage takes of one is in
  // the other.
  const std::string older = older_snapshot(others);
  for (const std::string& name : others) {
    const std::string path = options.data_dir + "/" + name;
    const bool is_in_making = name.starts_with("manifest.") && name.ends_with(".tmp");
    if (!is_in_making && !name.starts_with(kSnapshotPrefix)) continue;
    if (name.ends_with(".damaged") || name.ends_with(kUnreadableSuffix)) continue;
    if (path == snapshot_path(manifest.snapshot_number) || path == older) continue;
    TRY(files.remove(path));
  }
  return {};
}

// Positions beyond the log's end: what stood there was lost, unacknowledged, with a crash, or
// somebody removed the log. New records get these positions, and must not be taken for what
// blocks hold or for what was deleted. Nothing is written before that is stored.
Result<void> Engine::Impl::settle_positions() {
  const LogPosition high = log.high();
  for (auto& [tenant, closed] : manifest.closed) {
    if (closed.log_before <= high || PETREL_MUTATED("start-keeps-positions")) continue;
    if (closed.log_before != Closed::kWholeLog) {
      core::log_info("tsdb", "the log ends before the position of the last flush",
                     {{"tenant", tenant}, {"position", closed.log_before}, {"end", high}});
    }
    closed.log_before = high;
    positions_unsettled = true;
  }
  for (auto& [tenant, before] : manifest.evicted) {
    if (before <= high || PETREL_MUTATED("start-keeps-positions")) continue;
    before = high;
    positions_unsettled = true;
  }
  for (Tombstone& one : manifest.tombstones) {
    if (one.log_before <= high || PETREL_MUTATED("start-keeps-positions")) continue;
    one.log_before = high;
    positions_unsettled = true;
  }
  // A log that was removed as a whole is missed only once.
  for (const storage::LogDamage& damage : log.damage()) {
    if (damage.lost() == 0 || damage.is_unread || log.low() != high) continue;
    const size_t known = manifest.incomplete.size();
    add_incomplete(manifest.incomplete, incomplete_of(damage, options.out_of_order_window_ms,
                                                      options.ahead_max_ms, clock.now_ms()));
    positions_unsettled |= manifest.incomplete.size() != known;
  }
  if (!positions_unsettled) return {};
  bool may_be_stored = false;
  const Result<void> stored = store_manifest(manifest, &may_be_stored);
  if (stored) return {};
  const std::string why =
      "the positions of the log cannot be stored in the manifest: " + stored.error().message;
  stop_writes(why, may_be_stored ? Stop::UntilRestart : Stop::UntilSettled);
  core::log_error("tsdb", "nothing is written", {{"err", why}});
  return core::fail(ErrorCode::Unavailable, "{}", why);
}

Result<void> Engine::Impl::open_blocks() {
  std::map<std::string, Blocks> by_tenant;
  for (const BlockMeta& meta : manifest.blocks) {
    by_tenant[meta.tenant].push_back(
        Block::open(files, blocks_dir() + "/" + meta.file_name(), meta, *block_cache));
  }
  for (auto& [id, blocks] : by_tenant) {
    Tenant& tenant = tenant_for(id);
    for (const auto& block : blocks) tenant.head.set_newest_at_least(block->meta().max_time_ms);
    tenant.set_blocks(std::move(blocks));
  }
  std::map<std::string, Tombstones> tombstones;
  for (const Tombstone& one : manifest.tombstones) tombstones[one.tenant].push_back(one);
  for (auto& [id, list] : tombstones) {
    Tenant& tenant = tenant_for(id);
    tenant.head.restore_deleted(list);
    tenant.set_tombstones(std::move(list));
  }
  for (const auto& [id, closed] : manifest.closed) {
    tenant_for(id).head.restore_closed(closed.before_ms, closed.log_before);
  }
  for (const auto& [id, before] : manifest.evicted) tenant_for(id).head.restore_evicted(before);
  return {};
}

}  // namespace tsdb
