// Lists of target groups as file_sd_configs and http_sd_configs read them:
//
//   [{"targets": ["host:9100"], "labels": {"env": "prod"}}]

#pragma once

#include "config/discovery_config.h"
#include "core/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace discovery {

// `origin` names the text in errors, and the source of group i is "<origin>:<i>".
// InvalidArgument tells the place and what was expected.
core::Result<std::vector<config::TargetGroup>> parse_target_groups_json(std::string_view text,
                                                                        const std::string& origin);
core::Result<std::vector<config::TargetGroup>> parse_target_groups_yaml(std::string_view text,
                                                                        const std::string& origin);

// Adds a label to every group, over one of the same name.
void add_label(std::vector<config::TargetGroup>& groups, std::string_view name,
               std::string_view value);

}  // namespace discovery
