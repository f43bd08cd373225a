// What a service writes into etcd or ZooKeeper to be scraped: a JSON value under
// <prefix>/<tenant>/<job>/<instance>. The format is documented in docs/discovery.md.

#pragma once

#include "config/discovery_config.h"
#include "core/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace discovery {

inline constexpr size_t kRegistrationSizeMax = 64 << 10;
inline constexpr size_t kRegistrationTargetsMax = 100;
// Bounds of a registered interval: anybody who may write to the store chooses it.
inline constexpr int64_t kRegistrationIntervalMinMs = 1'000;
inline constexpr int64_t kRegistrationIntervalMaxMs = 10 * 60'000;
inline constexpr uint32_t kRegistrationRetriesMax = 3;

enum class RegistrationState : uint8_t {
  Up,
  Drain,   // leaves: not scraped any more
  Paused,  // stays registered, is not scraped
};

struct Registration {
  std::vector<std::string> targets;  // host:port
  std::vector<std::pair<std::string, std::string>> labels;
  std::string scheme;        // "": of the scrape configuration, like all that is unset
  std::string metrics_path;  // ""
  std::vector<std::pair<std::string, std::string>> params;
  std::optional<int64_t> interval_ms;
  std::optional<int64_t> timeout_ms;
  std::optional<uint32_t> retry_max;
  std::optional<int64_t> retry_backoff_ms;
  RegistrationState state = RegistrationState::Up;

  bool operator==(const Registration&) const = default;
};

// InvalidArgument names the field, its value and what was expected. What is documented
// and cannot be done (auth_ref, honor_labels, honor_timestamps) is refused, not ignored.
core::Result<Registration> parse_registration(std::string_view json);
// The shortest JSON that parse_registration() reads back.
std::string format_registration(const Registration& registration);

struct RegistrationPath {
  std::string tenant;
  std::string job;
  std::string instance;
};

// `prefix` with or without its last '/'. InvalidArgument unless `path` is
// <prefix>/<tenant>/<job>/<instance>.
core::Result<RegistrationPath> parse_registration_path(std::string_view prefix,
                                                       std::string_view path);

enum class RegistrationStore : uint8_t { Etcd, Zookeeper };

// `path` is the source of the group. Without targets unless the state is Up.
config::TargetGroup target_group(const Registration& registration, const RegistrationPath& parts,
                                 const std::string& path, RegistrationStore store);

}  // namespace discovery
