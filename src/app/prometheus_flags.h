// Flags of Prometheus 3 that Petrel accepts without acting on them, so that an existing
// unit file starts; and the nearest match for what neither knows.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace app {

enum class FlagKind { Switch, Value };

struct IgnoredFlag {
  std::string_view name;  // without dashes
  FlagKind kind;
  std::string_view why;
};

// nullptr when Prometheus has no such flag.
const IgnoredFlag* find_ignored_flag(std::string_view name);

void append_ignored_flag_names(std::vector<std::string>& names);

// The candidate with the smallest edit distance, or "" when none is near.
std::string nearest_flag(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace app
