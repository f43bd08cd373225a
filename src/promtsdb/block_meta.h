// meta.json of a Prometheus block: which time it covers and where it came from.

#pragma once

#include "core/result.h"
#include "model/time_range.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace promtsdb {

struct BlockMeta {
  std::string ulid;
  model::TimeRange range;
  uint64_t samples = 0;  // as meta.json says
  uint64_t series = 0;
  uint64_t chunks = 0;
  int64_t level = 0;
  std::vector<std::string> parents;  // ULIDs of the blocks that it was merged from
  bool out_of_order = false;         // written from late samples
};

// Errors name the field, what was found and what was expected.
core::Result<BlockMeta> parse_block_meta(std::string_view json);

// 26 characters of Crockford's base 32: the name of a block's folder.
bool is_ulid(std::string_view name);

}  // namespace promtsdb
