// Finds out what counts when the manifest does not say.
//
// Without a readable manifest its copy counts; without that the block files themselves
// say what they are. No block is ever deleted because a manifest is gone: what cannot be
// placed is kept aside. What cannot be read is another matter: it may be read at the next
// start, so nothing is renamed then, and what stands in for it must not be stored.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "tsdb/manifest.h"
#include "tsdb/read_again.h"

#include <string>
#include <vector>

namespace tsdb {

struct RecoveredManifest {
  Manifest manifest;
  // Whether it is what was stored, or that of a new directory. If not, `problems` say what
  // was wrong, and it has to be stored before anything is removed.
  bool is_original = true;
  bool is_new = false;   // there was none, and nothing that one would name
  bool is_copy = false;  // not original: its copy; otherwise put together from the blocks
  std::vector<std::string> problems;
  std::vector<UnreadFile> unread;  // without these it would be another one: not to be stored
};

// Fails when a file of a later version lies there. `block_range_ms` is the range of blocks
// whose version does not name theirs.
core::Result<RecoveredManifest> load_manifest(core::FileSystem& files, const std::string& data_dir,
                                              int64_t block_range_ms);

// What a manifest that is not the original may have forgotten, for its list: the copy may be
// older than the last deletions, and blocks know of none. No sample is newer than
// `now_ms` + `ahead_ms`, or than the blocks say.
Incomplete forgotten_deletions(const RecoveredManifest& recovered, int64_t now_ms,
                               int64_t ahead_ms);

}  // namespace tsdb
