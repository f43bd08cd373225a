// petrel check config FILE...: promtool's checks of prometheus.yml and of what it refers
// to, its lint and exit codes.

#pragma once

#include <string>
#include <vector>

namespace app {

// `arguments` follow the word "config".
int run_check_config(const std::vector<std::string>& arguments);

}  // namespace app
