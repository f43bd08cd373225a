#include "core/json.h"
#include "core/result.h"

#include <cstdint>
#include <string_view>

// What simdjson refuses, the scanner must explain: an unexplained refusal is a bug.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const core::Result<core::Json> json = core::parse_json(text);
  if (!json) ENSURE(!json.error().message.starts_with("not JSON"));
  return 0;
}
