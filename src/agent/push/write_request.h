// Remote write 1.0 requests (prometheus/prompb/remote.proto), snappy-compressed.

#pragma once

#include "storage/write_batch.h"

#include <cstdint>
#include <string>

namespace agent {

struct WriteRequest {
  std::string body;  // of the POST: compressed
  int64_t first_ms = 0;
  int64_t last_ms = 0;
  uint32_t samples = 0;
};

// Float samples and metadata; precondition: no histograms and exemplars, which collectors
// do not write.
WriteRequest encode_write_request(const storage::WriteBatch& batch);

}  // namespace agent
