// Several blocks of one tenant become one.
//
// The series of all inputs come in the order of their labels, so one pass over each file
// is enough: inputs are read front to back, the output is written front to back.
//
// Memory, whatever the number of samples in the blocks:
//   - kMergeBuffer per input and for the output (more for a region that is larger);
//   - the samples of one series in the output's range, decoded: 16 bytes each and twice
//     that while they are sorted;
//   - the indexes of the inputs, and the index of the output being built.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "tsdb/block.h"
#include "tsdb/block_mask.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tsdb {

inline constexpr size_t kMergeBuffer = 1 << 20U;

struct MergeRequest {
  std::vector<std::shared_ptr<Block>> inputs;  // those whose samples count first
  Tombstones tombstones;                       // what they delete is not written
  BlockMeta output;                            // number, tenant, level, order and range
  std::string path;                            // must not exist
  const std::atomic<bool>* stop = nullptr;     // Cancelled soon after it is set
};

struct MergeResult {
  BlockMeta output;  // complete. Without samples: everything was deleted
  uint64_t bytes_read = 0;
  uint64_t duplicates = 0;  // samples for a time that an input before has too
  uint64_t deleted = 0;
};

// Writes and syncs the output; its name is durable after a sync of the folder. On an error
// the file may be left. `damaged` is the input that could not be read, if that was it.
core::Result<MergeResult> merge_blocks(core::FileSystem& files, const MergeRequest& request,
                                       std::optional<size_t>& damaged);

}  // namespace tsdb
