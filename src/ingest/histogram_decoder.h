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

}  // namespace ingest
