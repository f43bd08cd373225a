#pragma once

#include <string>
#include <vector>

namespace app {

// petrel route test --config.file=FILE [--tree] [--verify.receivers=a,b] label=value...
// petrel route show --config.file=FILE
int run_route(const std::vector<std::string>& arguments);

}  // namespace app
