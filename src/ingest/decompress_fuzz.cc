#include "core/result.h"
#include "ingest/decompress.h"

#include <cstdint>
#include <string>
#include <string_view>

// The first byte chooses the encoding.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ingest::Limits limits;
  limits.decoded_size_max = size_t{1} << 20;
  const auto encoding = static_cast<ingest::ContentEncoding>(data[0] % 5);
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string out;
  if (ingest::decompress(encoding, body, limits, out)) {
    ENSURE(out.size() <= limits.decoded_size_max);
  }
  return 0;
}
