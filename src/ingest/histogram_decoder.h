// prometheus.Histogram of prometheus/prompb/types.proto: both protobuf versions of
// remote write carry it unchanged.

#pragma once

#include "model/histogram.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace ingest {

struct DecodedHistogram {
  int64_t timestamp_ms = 0;
  int64_t start_ms = 0;  // 2.0 only: when it began to count; 0: not said
  model::Histogram histogram;
};

// Where bytes are not of the wire format, and what was being read.
struct WireFault {
  const char* position = nullptr;
  const char* what = "";
};

// Integer histograms come as differences between neighbouring buckets and are summed up.
// False when the bytes are malformed.
bool decode_histogram(std::string_view bytes, DecodedHistogram& out, WireFault& fault);

// What contradicts itself in a histogram, as in prometheus/model/histogram's Validate;
// "" when nothing does.
std::string contradiction(const model::Histogram& histogram);

// Halves the resolution (schema - 1: neighbouring buckets become one) until there are at
// most `buckets_max` buckets of both signs together. False when that cannot be reached:
// custom buckets have no lower resolution, and schema -4 is the lowest.
bool reduce_buckets(model::Histogram& histogram, size_t buckets_max);

}  // namespace ingest
