// petrel check web-config FILE...: promtool's check of TLS, headers and users.

#pragma once

#include <string>
#include <vector>

namespace app {

// `arguments` follow the word "web-config".
int run_check_web_config(const std::vector<std::string>& arguments);

}  // namespace app
