// The faults that can be built into the engine with PETREL_MUTATIONS, to prove that the
// crash simulator notices each of them. tools/run_gates.py compares the list with the source.

#pragma once

#include <string_view>

namespace tsdb::testing {

struct Mutation {
  std::string_view name;  // of core/mutation.h
  std::string_view file;  // where it is switched
  std::string_view why;   // what it takes away
};

inline constexpr Mutation kMutations[] = {
    // Log
    {"log-no-sync", "src/tsdb/embedded_log_write.cc", "records are acknowledged without a sync"},
    {"log-no-segment-sync", "src/tsdb/embedded_log_write.cc",
     "a new segment gets its name unsynced"},
    {"log-no-dir-sync", "src/tsdb/embedded_log_write.cc", "the name of a segment is not synced"},
    {"log-no-rewrite", "src/tsdb/embedded_log_write.cc", "what was perhaps never synced stays so"},
    {"log-truncate-no-dir-sync", "src/tsdb/embedded_log.cc", "segments may go in any order"},
    {"log-truncate-too-early", "src/tsdb/embedded_log.cc", "a segment goes that is needed"},
    {"log-spares-no-dir-sync", "src/tsdb/embedded_log_open.cc",
     "a spare may still have its old name"},
    {"log-no-salt", "src/tsdb/embedded_log_write.cc", "records of a former life may match"},
    {"log-rewrites-runs-as-they-are", "src/tsdb/embedded_log_open.cc",
     "records that need others are moved away from them"},
    {"log-run-ignores-gaps", "src/tsdb/embedded_log_run.cc",
     "values are told from those of a lost record"},
    {"log-all-damage-is-torn", "src/tsdb/embedded_log_segment.cc", "damage ends the log silently"},
    {"log-bounds-no-sync", "src/tsdb/embedded_log_write.cc", "the bounds are renamed unsynced"},
    {"log-bounds-no-dir-sync", "src/tsdb/embedded_log_write.cc", "the bounds' name is not synced"},
    {"log-takes-reserve", "src/tsdb/embedded_log_write.cc", "the log takes the space of blocks"},
    {"log-no-record-checksum", "src/tsdb/embedded_log_segment.cc", "torn records count"},
    {"log-goes-on-after-failure", "src/tsdb/embedded_log_write.cc",
     "a file is synced again after EIO"},
    {"log-truncate-keeps-bounds", "src/tsdb/embedded_log.cc", "removed segments are missed"},
    // Writes
    {"append-duplicates-no-wait", "src/tsdb/head_append.cc", "what is repeated is not waited for"},
    {"delete-forgets-running-merge", "src/tsdb/engine_delete.cc",
     "a merge that runs brings deleted samples back"},
    {"delete-goes-on-in-doubt", "src/tsdb/engine_delete.cc",
     "writes go on when nobody knows whether a deletion happened"},
    // Manifest
    {"manifest-no-sync", "src/tsdb/manifest.cc", "a manifest is renamed unsynced"},
    {"manifest-no-dir-sync", "src/tsdb/manifest.cc", "a manifest's name is not synced"},
    {"manifest-in-place", "src/tsdb/manifest.cc", "the manifest is overwritten"},
    {"manifest-no-checksum", "src/tsdb/manifest.cc", "a damaged manifest is believed"},
    {"start-no-dir-sync", "src/tsdb/engine_open.cc", "left-overs go by an unsynced manifest"},
    {"start-no-first-manifest", "src/tsdb/engine_recovery.cc", "the first block has no manifest"},
    {"start-keeps-positions", "src/tsdb/engine_open.cc", "positions beyond the log's end stay"},
    // Flush
    {"block-no-sync", "src/tsdb/block_writer.cc", "a block is not synced before it counts"},
    {"flush-no-blocks-dir-sync", "src/tsdb/engine_maintain.cc", "a block's name is not synced"},
    {"flush-no-data-dir-sync", "src/tsdb/engine_maintain.cc", "a snapshot's name is not synced"},
    {"flush-hides-before-publish", "src/tsdb/engine_maintain.cc", "samples leave the head early"},
    {"flush-cuts-log-before-publish", "src/tsdb/engine_maintain.cc", "the log is cut too early"},
    {"flush-removes-doubtful-files", "src/tsdb/engine_maintain.cc",
     "files of a manifest that may have been stored are removed"},
    {"flush-forgets-position", "src/tsdb/engine_maintain.cc", "what blocks hold is replayed too"},
    {"flush-position-late", "src/tsdb/engine_maintain.cc", "what comes during a flush is skipped"},
    {"flush-snapshot-position-late", "src/tsdb/engine_maintain.cc",
     "metadata that comes during a flush is cut from the log"},
    {"flush-forgets-rest", "src/tsdb/head_late.cc", "the rest of a range is cut from the log"},
    {"flush-cuts-patches", "src/tsdb/head_flush.cc", "late samples are cut from the log"},
    {"carry-no-wait", "src/tsdb/head_carry.cc", "samples of the future are cut from the log"},
    {"retention-removes-before-publish", "src/tsdb/engine_retention.cc",
     "blocks go before the manifest without them counts"},
    {"left-overs-ignore-manifest", "src/tsdb/engine_open.cc", "a live block is removed"},
    {"snapshot-no-sync", "src/tsdb/series_snapshot.cc", "labels are not synced before they count"},
    {"snapshot-no-checksum", "src/tsdb/series_snapshot.cc", "damaged labels are believed"},
    {"snapshot-no-sync-blocks-dir", "src/tsdb/engine_snapshot.cc", "blocks of a copy vanish"},
    {"snapshot-no-sync-dir", "src/tsdb/engine_snapshot.cc", "a copy vanishes"},
    {"unread-is-damage", "src/tsdb/read_again.h", "what the disk refuses to read counts as lost"},
    {"snapshot-removes-in-any-order", "src/tsdb/engine_snapshot.cc",
     "of a copy that failed the manifest may stay alone"},
    // Replay
    {"replay-ignores-closed", "src/tsdb/head_replay.cc", "replay takes what blocks hold"},
    {"replay-ignores-position", "src/tsdb/head_replay.cc", "late samples are not replayed"},
    {"replay-ignores-tombstones", "src/tsdb/head_replay.cc", "deleted samples are replayed"},
    {"replay-deletes-later-samples", "src/tsdb/head_replay.cc",
     "what came after a deletion is deleted"},
    {"replay-keeps-duplicates", "src/tsdb/head_replay.cc", "samples are in memory twice"},
    {"replay-keeps-first-id", "src/tsdb/head_replay.cc",
     "records of a series' second life are lost"},
    {"window-keeps-time", "src/tsdb/replay_window.h", "samples get the time of the one before"},
    {"window-keeps-duplicates", "src/tsdb/head_window.cc", "floats are in memory twice"},
    {"window-takes-patches", "src/tsdb/head_replay.cc", "late samples are where nobody reads them"},
    {"window-forgets-position", "src/tsdb/head_replay.cc", "the log is cut where it is needed"},
    {"window-forgets-rest", "src/tsdb/head_replay.cc", "samples that wait at the end are lost"},
    // Blocks
    {"block-index-no-checksum", "src/tsdb/block.cc", "a damaged index is believed"},
    {"region-no-checksum", "src/tsdb/block_region.cc", "damaged samples are believed"},
    {"block-mask-skipped", "src/tsdb/block_mask.cc", "deleted samples in blocks are read"},
    {"tombstones-ignore-log", "src/tsdb/engine_delete.cc",
     "a deletion is forgotten while the log has its samples"},
    {"merge-drops-tombstones-early", "src/tsdb/engine_compact.cc",
     "a deletion is forgotten while the log has its samples"},
    {"merge-removes-doubtful-file", "src/tsdb/engine_compact.cc",
     "the output of a manifest that may have been stored is removed"},
    {"merge-order-reversed", "src/tsdb/block_merge.cc", "of two values the later one wins"},
    {"merge-forgets-tombstones", "src/tsdb/engine_compact.cc", "a merge keeps deleted samples"},
    {"evict-no-dir-sync", "src/tsdb/engine_evict.cc", "the block of evicted series has no name"},
    {"evict-before-publish", "src/tsdb/engine_evict.cc", "series leave before their block counts"},
    {"evict-takes-new-samples", "src/tsdb/head_evict.cc",
     "evicted series take newer samples along"},
    {"evict-ignores-retention", "src/tsdb/engine_retention.cc",
     "retention takes a block that the log brings back"},
    {"evict-forgets-position", "src/tsdb/head_replay.cc", "evicted series are taken for lost ones"},
    {"merge-no-input-check", "src/tsdb/engine_compact.cc", "a merge brings back what was removed"},
    {"merge-no-dir-sync", "src/tsdb/engine_compact.cc", "a merged block's name is not synced"},
    {"merge-remove-before-publish", "src/tsdb/engine_compact.cc",
     "inputs go before the output counts"},
};

}  // namespace tsdb::testing
