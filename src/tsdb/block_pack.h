// The index of a block as it is stored: what follows from other parts is left out and
// neighbours share what they have in common (docs/formats/block.md).

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tsdb {

struct IndexParts {
  std::vector<std::string> pair_bytes;      // sorted by name and value
  std::vector<uint32_t> series_pairs;       // of all series, each series' rising
  std::vector<uint32_t> series_pairs_ends;  // of each series
  std::vector<uint64_t> region_ends;        // of each series
};

// Sizes and zstd included; see unpack_index().
std::string pack_index(const IndexParts& parts, uint64_t regions_begin);

// The arrays of version 1, which are also those in memory: with postings.
std::string index_arrays(const IndexParts& parts);

}  // namespace tsdb
