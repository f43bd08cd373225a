// What `petrel tsdb repair` does to a data directory that nobody else uses. It deletes nothing,
// and may be killed at any moment: what it sets aside has its new name, durably, before there
// is a manifest that does not know the old one, since a start removes blocks that no manifest
// names.

#pragma once

#include "core/file_system.h"
#include "core/result.h"

#include <cstdint>
#include <functional>
#include <string>

namespace app {

struct RepairOptions {
  std::string log_dir = {};                             // empty: DATA/log
  bool is_dry_run = false;                              // only tells
  std::function<void(const std::string&)> say;          // what was found and done, a line or two
  std::function<void(uint64_t bytes)> on_checked = {};  // of blocks; may be empty
};

// What the disk refuses to read is given up: of log and series snapshots a copy of the rest
// takes its place, the file is kept as NAME.unreadable.
core::Result<void> repair_data_dir(core::FileSystem& files, const std::string& data_dir,
                                   const RepairOptions& options);

}  // namespace app
