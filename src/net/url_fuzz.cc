// Query strings and percent encoding, as they come from any client.

#include "core/result.h"
#include "net/http.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string decoded = net::percent_decode(text);
  ENSURE(decoded.size() <= text.size());
  ENSURE(net::percent_decode(net::percent_encode(text)) == text);

  const net::Params params = net::parse_query(text);
  if (const auto strict = net::parse_query_strict(text)) ENSURE(*strict == params);
  std::string again;
  for (const auto& [name, value] : params) {
    again += net::percent_encode(name) + "=" + net::percent_encode(value) + "&";
  }
  ENSURE(net::parse_query(again) == params);
  net::accepts_encoding(text, "gzip");
  return 0;
}
