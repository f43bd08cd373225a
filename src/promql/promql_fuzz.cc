// Any text parses or is refused; what parses prints to text that parses to the same.

#include "core/result.h"
#include "promql/parser.h"
#include "promql/printer.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto expr = promql::parse(text);
  (void)promql::parse_selector(text);
  if (!expr) return 0;
  const std::string once = promql::print(**expr);
  (void)promql::pretty_print(**expr);
  const auto again = promql::parse(once);
  ENSURE(again.has_value());
  ENSURE(promql::print(**again) == once);
  return 0;
}
