// From discovery configurations as they were read to what providers are made of.

#pragma once

#include "config/discovery_config.h"
#include "config/schema.h"
#include "core/result.h"

#include <vector>

namespace config {

// `value` is a mapping with kDiscoveryFields among its members. Kinds without a provider
// are judged and left out.
core::Result<std::vector<DiscoveryConfig>> take_discoveries(Value& value, const Source& source);

// Static targets are host:port; only relabelling can make something of a URL.
core::Result<void> check_static_targets(const Value& value, const Source& source);

}  // namespace config
