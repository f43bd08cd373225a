#include "core/result.h"
#include "discovery/target_groups.h"

#include <cstdint>
#include <string_view>

// The first byte chooses the format. A text that is taken names its groups by their place.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto groups = data[0] == 'j' ? discovery::parse_target_groups_json(text, "f")
                                     : discovery::parse_target_groups_yaml(text, "f");
  if (!groups) {
    ENSURE(groups.error().message.starts_with("f:"));
    return 0;
  }
  for (size_t i = 0; i < groups->size(); ++i) {
    ENSURE((*groups)[i].source == fmt::format("f:{}", i));
  }
  return 0;
}
