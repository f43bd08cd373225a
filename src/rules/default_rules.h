// The rules that watch Petrel's own host when no configuration was given.

#pragma once

#include "rules/rule_manager.h"

namespace rules {

// The text as one would write it in a file, named "default_rules.yml".
RuleText default_rules();

}  // namespace rules
