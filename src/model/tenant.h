#pragma once

#include <string>
#include <string_view>

namespace model {

// Owner of series, rules, alerts and tokens. 1..150 bytes of [A-Za-z0-9!_.*'()-], as
// Mimir restricts X-Scope-OrgID.
using TenantId = std::string;

inline constexpr std::string_view kDefaultTenant = "default";

bool is_valid_tenant(std::string_view id);

}  // namespace model
