// Any bytes: a tree or an error, within the limits.

#include "core/yaml.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = core::parse_yaml(text, "fuzz");
  if (!parsed && parsed.error().message.empty()) std::abort();
  return 0;
}
