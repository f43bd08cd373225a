// Any text: a parse error, or a template whose expansion ends within its bounds.

#include "templates/template.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (const bool strict : {false, true}) {
    const auto parsed = templates::Template::parse(text, {.strict = strict});
    if (!parsed) continue;
    templates::Data data;
    data.labels = model::Labels::of({{"host", "a.example:9100"}, {"job", "node"}});
    data.value = 0.25;
    data.query = [](std::string_view) -> core::Result<std::vector<templates::Sample>> {
      return std::vector<templates::Sample>(3);
    };
    (void)parsed->expand_or_error(data);
  }
  return 0;
}
