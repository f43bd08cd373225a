// The AlertStore seam: durable state of rules, alerts, outbox and deliveries as an
// ordered map of byte strings (ALERTING: state first, transport second).

#pragma once

#include "core/result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alertstore {

struct Mutation {
  std::string key;
  std::optional<std::string> value;  // nullopt removes the key
};

// The batch applies only if every key has exactly this value (nullopt: is absent).
struct Condition {
  std::string key;
  std::optional<std::string> value;
};

using Entry = std::pair<std::string, std::string>;  // key, value

// Thread-safe.
class AlertStore {
 public:
  virtual ~AlertStore() = default;
  // All mutations or none, durable when it returns. Conflict when a condition fails.
  virtual core::Result<void> apply(std::span<const Mutation> mutations,
                                   std::span<const Condition> conditions = {}) = 0;
  virtual core::Result<std::optional<std::string>> get(const std::string& key) const = 0;
  // Entries whose key starts with `prefix`, in key order, behind `after` if given.
  virtual core::Result<std::vector<Entry>> scan(const std::string& prefix, size_t limit,
                                                const std::string& after = {}) const = 0;
};

}  // namespace alertstore
