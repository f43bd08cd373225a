// The last-known-good file: the entries of one configuration, kept for a start while the
// store is away. One JSON object, its payload under a CRC-32C (docs/formats/discovery-state.md).

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace discovery {

struct SavedEntries {
  std::string kind;    // "etcd", "zookeeper"
  std::string prefix;  // entries of another prefix belong to another configuration
  int64_t saved_ms = 0;
  std::vector<std::pair<std::string, std::string>> entries;  // path, value

  bool operator==(const SavedEntries&) const = default;
};

std::string format_saved_entries(const SavedEntries& saved);
// Corruption tells what is wrong.
core::Result<SavedEntries> parse_saved_entries(std::string_view text);

// "<job>/<index>" as a file name; different for different names.
std::string saved_entries_file(std::string_view name);

}  // namespace discovery
