// Merging: blocks of the same tenant become one, beside appends, reads and flushes.
//
//   plan, number     under maintain_mutex; the number tells later deletions that they
//                    apply to the output too
//   merge            without locks, to a file that no manifest names
//   publish          under maintain_mutex; if an input has gone meanwhile (retention), the
//                    output is thrown away
//   remove inputs    after the manifest that does not name them is durable; readers keep
//                    the files that they have open
//
// A crash at any point leaves either the inputs or the output in the manifest; the files of
// the other are removed at the next start.

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/block.h"
#include "tsdb/block_merge.h"
#include "tsdb/compaction_plan.h"
#include "tsdb/engine_impl.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::TimeRange;

namespace {

core::Counter& dropped_counter(const std::string& reason) {
  return core::counter("petrel_tsdb_merge_dropped_samples_total",
                       "Samples that merges did not write again: deleted ones, and second "
                       "values for one time.",
                       {{"reason", reason}});
}

core::Counter& bytes_counter(const std::string& direction) {
  return core::counter("petrel_tsdb_merge_bytes_total",
                       "Bytes of blocks that merges read or wrote.", {{"direction", direction}});
}

core::Gauge& running_gauge() {
  static core::Gauge& gauge =
      core::gauge("petrel_tsdb_merge_running", "1 while blocks are being merged.");
  return gauge;
}

bool is_spent(const Tombstone& tombstone, const Manifest& manifest, storage::LogPosition log_low) {
  if (log_low < tombstone.log_before && !PETREL_MUTATED("merge-drops-tombstones-early")) {
    return false;
  }
  return std::none_of(manifest.blocks.begin(), manifest.blocks.end(),
                      [&](const BlockMeta& meta) { return applies_to(tombstone, meta); });
}

std::string list_of(const std::vector<BlockMeta>& blocks) {
  std::string text;
  for (const BlockMeta& meta : blocks) {
    fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "" : " ", meta.number);
  }
  return text;
}

}  // namespace

// With maintain_mutex held.
std::optional<Engine::Impl::Merge> Engine::Impl::begin_merge(Tenant& tenant,
                                                             std::vector<BlockMeta> inputs,
                                                             BlockMeta output) {
  Merge merge;
  merge.tenant = &tenant;
  merge.output = std::move(output);
  merge.output.tenant = tenant.head.tenant();
  const std::shared_ptr<const Blocks> blocks = tenant.blocks();
  for (const BlockMeta& meta : inputs) {
    const auto found = std::find_if(blocks->begin(), blocks->end(), [&](const auto& block) {
      return block->meta().number == meta.number;
    });
    if (found == blocks->end()) return std::nullopt;
    merge.blocks.push_back(*found);
    merge.output.order = std::max(merge.output.order, meta.order);
  }
  merge.inputs = std::move(inputs);
  for (const Tombstone& one : manifest.tombstones) {
    if (one.tenant == merge.output.tenant && !PETREL_MUTATED("merge-forgets-tombstones")) {
      merge.tombstones.push_back(one);
    }
  }
  merge.output.number = manifest.next_number++;
  return merge;
}

std::optional<Engine::Impl::Merge> Engine::Impl::next_merge(const BlockNumbers& without_room) {
  const std::lock_guard step(maintain_mutex);
  const PlanOptions plan_options{.block_range_ms = options.block_range_ms,
                                 .block_range_max_ms = options.block_range_max_ms,
                                 .out_of_order_window_ms = options.out_of_order_window_ms,
                                 .retention_ms = options.retention_ms};
  const int64_t now_ms = trusted_clock.now_ms();
  for (Tenant* tenant : all_tenants()) {
    std::vector<PlanBlock> blocks;
    for (const auto& block : *tenant->blocks()) {
      // One that may be back at the next start keeps its place among the others.
      if (!block->damage().empty() && !block->is_unread()) continue;
      const bool has_room = !without_room.contains(block->meta().number);
      blocks.push_back({block->meta(), has_room && block->can_merge()});
    }
    if (blocks.size() < 2) continue;
    PlanTimes times{.newest_ms = tenant->head.newest_ms(now_ms)};
    if (const auto closed = manifest.closed.find(tenant->head.tenant());
        closed != manifest.closed.end()) {
      times.flushed_before_ms = closed->second.before_ms;
    }
    std::optional<MergePlan> plan = plan_merge(blocks, times, plan_options);
    if (!plan) continue;
    BlockMeta output;
    output.level = plan->level;
    output.start_ms = plan->range.start_ms;
    output.end_ms = plan->range.end_ms;
    if (auto merge = begin_merge(*tenant, std::move(plan->inputs), std::move(output))) return merge;
  }
  return std::nullopt;
}

// The next block that has deleted samples, to be written anew.
std::optional<Engine::Impl::Merge> Engine::Impl::next_rewrite(const BlockNumbers& done) {
  const std::lock_guard step(maintain_mutex);
  for (const Tombstone& tombstone : manifest.tombstones) {
    Tenant* tenant = find_tenant(tombstone.tenant);
    if (tenant == nullptr) continue;
    for (const auto& block : *tenant->blocks()) {
      const BlockMeta& meta = block->meta();
      if (!applies_to(tombstone, meta) || !block->can_merge() || done.contains(meta.number)) {
        continue;
      }
      BlockMeta output = meta;
      if (auto merge = begin_merge(*tenant, {meta}, std::move(output))) return merge;
    }
  }
  return std::nullopt;
}

void Engine::Impl::abandon(const Merge& merge) {
  const std::lock_guard step(maintain_mutex);
  drop_file(blocks_dir() + "/" + merge.output.file_name());
}

// A merge needs room for its output beside the inputs. Twice the reserve stays free, where
// merging stops anyway: appends go on meanwhile, and must not become read-only for it.
std::optional<uint64_t> Engine::Impl::lacks_space_for(const Merge& merge) {
  uint64_t needed = 2 * options.reserve_bytes;
  for (const BlockMeta& meta : merge.inputs) needed += meta.size_bytes;
  const Result<core::DiskSpace> space = files.disk_space(options.data_dir);
  if (!space || space->available_bytes >= needed) return std::nullopt;
  return needed - space->available_bytes;
}

// Once, until a round goes through.
void Engine::Impl::note_skipped(const BlockNumbers& without_room, uint64_t lacking_bytes) {
  static core::Counter& skipped =
      core::counter("petrel_tsdb_merges_skipped_total",
                    "Rounds of merging in which the disk had no room for some output.");
  if (!without_room.empty()) {
    skipped.add();
    if (!told_skipped) {
      core::log_warn("tsdb", "blocks are not merged, the disk is too full",
                     {{"blocks", without_room.size()}, {"lacking_bytes", lacking_bytes}});
    }
  }
  told_skipped = !without_room.empty();
}

// False when an input has gone; the output is then not needed.
Result<bool> Engine::Impl::publish_merge(const Merge& merge, const std::shared_ptr<Block>& block) {
  const BlockMeta& output = block->meta();
  const auto is_input = [&](const BlockMeta& meta) {
    return std::any_of(merge.inputs.begin(), merge.inputs.end(),
                       [&](const BlockMeta& input) { return input.number == meta.number; });
  };
  const auto remove_inputs = [&] {
    for (const BlockMeta& meta : merge.inputs) {
      block_cache->erase(meta.number);
      drop_file(blocks_dir() + "/" + meta.file_name());
    }
  };

  const std::lock_guard step(maintain_mutex);
  Manifest next = manifest;
  const size_t found = std::erase_if(next.blocks, is_input);
  if (found != merge.inputs.size() && !PETREL_MUTATED("merge-no-input-check")) return false;
  if (output.samples != 0) next.blocks.push_back(output);
  const storage::LogPosition log_low = log.low();
  std::erase_if(next.tombstones,
                [&](const Tombstone& one) { return is_spent(one, next, log_low); });
  // The name has to be durable before the manifest that uses it is.
  if (!PETREL_MUTATED("merge-no-dir-sync")) {
    if (Result<void> named = files.sync_dir(blocks_dir()); !named) {
      drop_file(block->path());
      return tl::unexpected(std::move(named).error());
    }
  }
  if (PETREL_MUTATED("merge-remove-before-publish")) remove_inputs();
  // If this fails nobody knows which manifest a restart will find: both must find their
  // files.
  bool may_be_stored = false;
  if (Result<void> stored = store_manifest(std::move(next), &may_be_stored); !stored) {
    const bool is_in_doubt = may_be_stored && !PETREL_MUTATED("merge-removes-doubtful-file");
    is_in_doubt ? unsure_files.push_back(block->path()) : drop_file(block->path());
    return tl::unexpected(std::move(stored).context("publish a merge").error());
  }
  Blocks blocks = *merge.tenant->blocks();
  std::erase_if(blocks, [&](const auto& one) { return is_input(one->meta()); });
  if (output.samples != 0) blocks.push_back(block);
  Tombstones tombstones;
  for (const Tombstone& one : manifest.tombstones) {
    if (one.tenant == output.tenant) tombstones.push_back(one);
  }
  merge.tenant->set_stored(std::move(blocks), std::move(tombstones));
  refresh_tombstones();  // the spent ones of other tenants
  remove_inputs();
  if (output.samples == 0) drop_file(block->path());
  return true;
}

Result<void> Engine::Impl::run_merge(const Merge& merge, CompactReport& report) {
  static core::Counter& merges =
      core::counter("petrel_tsdb_merges_total", "Merges of blocks that were published.");
  static core::Counter& failures =
      core::counter("petrel_tsdb_merge_failures_total", "Merges that failed; each is tried again.");
  static core::DurationHistogram& duration = core::duration_histogram(
      "petrel_tsdb_merge_duration_seconds", "Time to merge blocks to one.");
  const int64_t started_ns = clock.monotonic_ns();
  const std::string path = blocks_dir() + "/" + merge.output.file_name();
  running_gauge().set(1);
  std::optional<size_t> damaged;
  const Result<MergeResult> merged = merge_blocks(files,
                                                  {.inputs = merge.blocks,
                                                   .tombstones = merge.tombstones,
                                                   .output = merge.output,
                                                   .path = path,
                                                   .stop = &stop_merging},
                                                  damaged);
  running_gauge().set(0);
  if (!merged) {
    abandon(merge);
    if (merged.error().code != ErrorCode::Cancelled) failures.add();
    if (!damaged) return tl::unexpected(merged.error());
    // The others can be merged without it: never a halt.
    merge.blocks[*damaged]->exclude_from_merges(merged.error());
    return {};
  }
  const std::shared_ptr<Block> block = Block::open(files, path, merged->output, *block_cache);
  if (std::string damage = block->damage(); !damage.empty()) {
    abandon(merge);
    failures.add();
    return core::fail(ErrorCode::Io, "reading back what was written: {}", damage);
  }
  Result<bool> published = publish_merge(merge, block);
  if (!published) {
    failures.add();
    return tl::unexpected(published.error());
  }
  if (!*published) {
    core::log_info("tsdb", "a merge was dropped, an input was deleted meanwhile",
                   {{"tenant", merge.output.tenant}, {"inputs", list_of(merge.inputs)}});
    abandon(merge);
    return {};
  }
  ++report.merges;
  report.blocks_read += static_cast<uint32_t>(merge.inputs.size());
  report.bytes_read += merged->bytes_read;
  report.bytes_written += merged->output.size_bytes;
  report.samples_dropped += merged->deleted + merged->duplicates;
  const double seconds = static_cast<double>(clock.monotonic_ns() - started_ns) / 1e9;
  merges.add();
  duration.observe(seconds);
  bytes_counter("read").add(static_cast<double>(merged->bytes_read));
  bytes_counter("written").add(static_cast<double>(merged->output.size_bytes));
  dropped_counter("deleted").add(static_cast<double>(merged->deleted));
  dropped_counter("duplicate").add(static_cast<double>(merged->duplicates));
  core::log_info("tsdb", "merged blocks",
                 {{"tenant", merge.output.tenant},
                  {"inputs", list_of(merge.inputs)},
                  {"file", merge.output.file_name()},
                  {"start_ms", merge.output.start_ms},
                  {"end_ms", merge.output.end_ms},
                  {"series", merged->output.series},
                  {"samples", merged->output.samples},
                  {"duplicates", merged->duplicates},
                  {"deleted", merged->deleted},
                  {"bytes", merged->output.size_bytes},
                  {"seconds", seconds}});
  return {};
}

Result<CompactReport> Engine::compact(uint32_t steps) {
  TRY(impl_->check_ready());
  TRY(impl_->check_not_held());
  const std::lock_guard merging(impl_->merge_mutex);
  CompactReport report;
  Impl::BlockNumbers without_room;  // of merges that are left out: smaller ones may fit
  uint64_t lacking_bytes = 0;       // for the smallest of them
  Result<void> done;
  for (uint32_t i = 0; i < steps && done && !impl_->stop_merging;) {
    const std::optional<Impl::Merge> merge = impl_->next_merge(without_room);
    if (!merge) break;
    if (const std::optional<uint64_t> lacking = impl_->lacks_space_for(*merge)) {
      lacking_bytes = without_room.empty() ? *lacking : std::min(lacking_bytes, *lacking);
      for (const BlockMeta& meta : merge->inputs) without_room.insert(meta.number);
      impl_->abandon(*merge);
      continue;
    }
    done = impl_->run_merge(*merge, report);
    ++i;
  }
  impl_->note_skipped(without_room, lacking_bytes);
  TRY(std::move(done));
  return report;
}

Result<CompactReport> Engine::clean_tombstones() {
  TRY(impl_->check_ready());
  TRY(impl_->check_not_held());
  const std::lock_guard merging(impl_->merge_mutex);
  CompactReport report;
  Impl::BlockNumbers done;  // each block at most once, also when it stays
  std::string without_room;
  while (!impl_->stop_merging) {
    const std::optional<Impl::Merge> merge = impl_->next_rewrite(done);
    if (!merge) break;
    done.insert(merge->inputs.front().number);
    if (impl_->lacks_space_for(*merge)) {
      if (without_room.empty()) without_room = merge->inputs.front().file_name();
      impl_->abandon(*merge);
      continue;
    }
    TRY(impl_->run_merge(*merge, report));
  }
  if (!without_room.empty()) {
    return core::fail(ErrorCode::Unavailable,
                      "block {} has deleted samples, but the disk has no room to write it anew",
                      without_room);
  }
  return report;
}

void Engine::stop_merging() {
  impl_->stop_merging = true;
}

}  // namespace tsdb
