// Chunked bodies: any bytes, whole and byte by byte, with the same outcome.

#include "core/result.h"
#include "net/chunked_decoder.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kBodyMax = 64;
  const std::string_view wire(reinterpret_cast<const char*>(data), size);
  net::ChunkedDecoder whole(kBodyMax);
  std::string whole_body;
  std::string_view rest(wire);
  const bool whole_good = whole.feed(rest, whole_body).has_value();
  ENSURE(whole_body.size() <= kBodyMax);

  net::ChunkedDecoder bytewise(kBodyMax);
  std::string body;
  bool good = true;
  size_t used = 0;
  for (; good && used < wire.size() && !bytewise.is_done(); ++used) {
    std::string_view one = wire.substr(used, 1);
    good = bytewise.feed(one, body).has_value();
  }
  ENSURE(good == whole_good);
  ENSURE(body == whole_body);
  if (good) ENSURE(used == wire.size() - rest.size());
  return 0;
}
