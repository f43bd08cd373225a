// Bounds on what one push request may hold. A breach that concerns one series refuses
// that series; one that concerns the request refuses the request.

#pragma once

#include <cstddef>
#include <cstdint>

namespace ingest {

struct Limits {
  // Per series.
  size_t labels_max = 64;
  size_t metric_name_size_max = 1024;
  size_t label_name_size_max = 1024;
  size_t label_value_size_max = 4096;
  // Both signs together; above it the resolution of a native histogram is halved.
  size_t histogram_buckets_max = 160;

  // Per request.
  size_t samples_max = 1'000'000;  // floats and histograms
  size_t body_size_max = size_t{16} << 20;
  size_t decoded_size_max = size_t{64} << 20;
  // Output beyond decoded_free_size may be at most this many times the input: real
  // requests stay below 30, bombs are above 1000.
  size_t decoded_ratio_max = 200;
  size_t decoded_free_size = size_t{1} << 20;
};

}  // namespace ingest
