// Any text as a rule file: groups or errors that name their place.

#include "promql/parser.h"
#include "rules/rule_file.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const rules::CheckExpression check = [](std::string_view expression) -> core::Result<void> {
    TRY(promql::parse(expression));
    return {};
  };
  const rules::RuleFile file = rules::read_rule_file({"f", text}, check, false);
  for (const std::string& error : file.errors) {
    if (!error.starts_with("f:")) std::abort();
  }
  for (const rules::GroupSpec& group : file.groups) (void)group.definition();
  return 0;
}
