// A snapshot of the storage: a folder that is a data directory of its own.
//
//   <data>/snapshots/20260102T030405Z-1f0e...  ─ manifest, series_snapshot-N, blocks/*, log/*
//
// Block files are never written to once a manifest names them, so the snapshot has hard
// links: it costs names now, and disk only when the original's blocks are merged or expire.
// Its log is one of its own, of what no block has: samples of times that the clock has not
// reached, or that only a clock which jumped ahead has. Positions are 0 in its manifest: all
// of that log comes after what blocks hold and what was deleted. The manifest is written
// last, when everything else is durable: a folder without one is what a crash left behind,
// and the next start removes it.

#include "core/log.h"
#include "core/mutation.h"
#include "core/rng.h"
#include "core/time.h"
#include "tsdb/block.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine_impl.h"
#include "tsdb/series_snapshot.h"

#include <algorithm>
#include <fmt/format.h>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

// A snapshot's own files are its manifest, metadata and exemplars: little, but on a full
// disk even they would take what the log needs.
constexpr uint64_t kSpaceMin = 32ULL << 20U;
// Of the snapshot's log, which is short: only what was used of the last segment stays.
constexpr uint64_t kSegmentBytes = 4ULL << 20U;

// "20260102T030405Z"
std::string compact_time(int64_t time_ms) {
  std::string text = core::format_rfc3339(time_ms - time_ms % 1000);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

// As snapshot_name() makes them. People keep other things beside snapshots, archives of them.
bool is_snapshot_name(std::string_view name) {
  constexpr std::string_view kShape = "00000000T000000Z-xxxxxxxxxxxxxxxx";
  if (name.size() != kShape.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool is_digit = name[i] >= '0' && name[i] <= '9';
    const bool is_hex = is_digit || (name[i] >= 'a' && name[i] <= 'f');
    const bool fits = kShape[i] == '0'   ? is_digit
                      : kShape[i] == 'x' ? is_hex
                                         : name[i] == kShape[i];
    if (!fits) return false;
  }
  return true;
}

Result<void> link_blocks(core::FileSystem& files, const Manifest& manifest, const std::string& from,
                         const std::string& to) {
  TRY(files.create_dirs(to));
  for (const BlockMeta& meta : manifest.blocks) {
    const std::string name = meta.file_name();
    const Result<void> linked = files.link(from + "/" + name, to + "/" + name);
    if (linked) continue;
    if (linked.error().code != ErrorCode::NotFound) return linked;
    // The copy's manifest still names it, so that its answers have the same gap and say so.
    core::log_error("tsdb", "a block is missing and not in the snapshot", {{"file", name}});
  }
  if (!PETREL_MUTATED("snapshot-no-sync-blocks-dir")) TRY(files.sync_dir(to));
  return {};
}

// The log names the labels of all its series: only what is neither in blocks nor in the log
// is needed.
Result<void> write_metadata(core::FileSystem& files, const std::string& path,
                            const std::vector<Tenant*>& tenants) {
  std::unique_ptr<SeriesSnapshotWriter> writer = TRY(SeriesSnapshotWriter::create(files, path));
  for (const Tenant* tenant : tenants) {
    const std::string& id = tenant->head.tenant();
    for (const model::Metadata& one : tenant->head.metadata("")) {
      TRY(writer->add_metadata(id, one));
    }
    for (const auto& [labels, exemplar] : tenant->head.exemplars()) {
      TRY(writer->add_exemplar(id, *labels, exemplar));
    }
  }
  return writer->finish();
}

// What the copy starts with: the same blocks, and a log that begins after them.
Manifest with_new_log(const Manifest& manifest) {
  Manifest copy = manifest;
  for (auto& [tenant, closed] : copy.closed) closed.log_before = 0;
  for (Tombstone& one : copy.tombstones) one.log_before = 0;
  copy.snapshot_number = copy.next_number++;
  return copy;
}

}  // namespace

Result<std::string> Engine::Impl::snapshot_name() const {
  const int64_t now_ms = clock.now_ms();
  for (int64_t attempt = 0; attempt < 100; ++attempt) {
    const Identity id = hasher(fmt::format("{} {} {}", now_ms, clock.monotonic_ns(), attempt));
    std::string name = fmt::format("{}-{:016x}", compact_time(now_ms), id.low);
    if (!files.exists(snapshots_dir() + "/" + name)) return name;
  }
  return core::fail(ErrorCode::Internal, "no free name for a snapshot in {}", snapshots_dir());
}

// After a flush: the log of the copy gets what is left of the heads.
Result<void> Engine::Impl::write_rest(const std::string& dir) {
  const std::vector<Tenant*> all = all_tenants();
  if (std::none_of(all.begin(), all.end(), [](Tenant* one) { return one->head.has_unflushed(); })) {
    return {};
  }
  core::SeededRng rng(hasher(dir).high);
  const std::unique_ptr<EmbeddedLog> rest = TRY(EmbeddedLog::open(
      {.dir = dir + "/log", .segment_bytes = kSegmentBytes, .reserve_bytes = kSpaceMin}, files,
      clock, rng));
  for (Tenant* tenant : all) TRY(tenant->head.log_unflushed(*rest, clock.now_ms()));
  return rest->high() == 0 ? Result<void>() : rest->wait_durable(rest->high() - 1);
}

Result<void> Engine::Impl::build_snapshot(const std::string& dir, bool skip_head) {
  TRY(link_blocks(files, manifest, blocks_dir(), dir + "/blocks"));
  if (!skip_head) TRY(write_rest(dir));
  Manifest copy = with_new_log(manifest);
  copy.next_series_id = share.next_series_id;
  const std::string metadata =
      fmt::format("{}/{}", dir, series_snapshot_name(copy.snapshot_number));
  TRY(write_metadata(files, metadata, all_tenants()));
  if (!PETREL_MUTATED("snapshot-no-sync-dir")) TRY(files.sync_dir(dir));
  return copy.store(files, dir);
}

// Under maintain_mutex, so that neither a merge nor retention removes a file that is about
// to be linked, and no flush comes between the blocks and the rest.
Result<std::string> Engine::Impl::snapshot(bool skip_head) {
  if (!skip_head) TRY(maintain(true).context("flush for the snapshot"));
  const core::DiskSpace space = TRY(files.disk_space(options.data_dir));
  if (space.available_bytes < kSpaceMin) {
    return core::fail(ErrorCode::LimitExceeded,
                      "snapshot: {} bytes are free in {}, expected at least {}",
                      space.available_bytes, options.data_dir, kSpaceMin);
  }
  const std::string name = TRY(snapshot_name());
  const std::string dir = snapshots_dir() + "/" + name;
  if (Result<void> built = build_snapshot(dir, skip_head); !built) {
    remove_failed_snapshot(dir);
    return tl::unexpected(std::move(built).context("snapshot {}", dir).error());
  }
  core::log_info("tsdb", "made a snapshot", {{"dir", dir}, {"blocks", manifest.blocks.size()}});
  return name;
}

// The manifest may have its name already, and a power failure may keep it and lose the blocks.
void Engine::Impl::remove_failed_snapshot(const std::string& dir) {
  if (!PETREL_MUTATED("snapshot-removes-in-any-order")) {
    const std::string path = Manifest::path_in(dir);
    if (files.exists(path) && !files.remove(path)) return;
    if (files.exists(dir) && !files.sync_dir(dir)) return;
  }
  (void)files.remove_all(dir);
}

Result<void> Engine::Impl::remove_unfinished_snapshots() {
  if (!files.exists(snapshots_dir())) return {};
  const std::vector<std::string> names = TRY(files.list(snapshots_dir()));
  for (const std::string& name : names) {
    const std::string dir = snapshots_dir() + "/" + name;
    if (!is_snapshot_name(name)) continue;
    // Not asked with exists(): a folder that cannot be read is not an unfinished one.
    const Result<std::vector<std::string>> content = files.list(dir);
    if (!content || std::ranges::find(*content, "manifest") != content->end()) continue;
    core::log_info("tsdb", "removing an unfinished snapshot", {{"dir", dir}});
    TRY(files.remove_all(dir));
  }
  return {};
}

Result<std::string> Engine::snapshot(bool skip_head) {
  TRY(impl_->check_ready());
  TRY(impl_->check_not_held());
  const std::lock_guard step(impl_->maintain_mutex);
  return impl_->snapshot(skip_head);
}

std::vector<BlockMeta> Engine::blocks(const model::TenantId& tenant) const {
  std::vector<BlockMeta> metas;
  const Tenant* const found = impl_->find_tenant(tenant);
  if (found == nullptr) return metas;
  for (const auto& block : *found->blocks()) metas.push_back(block->meta());
  return metas;
}

}  // namespace tsdb
