#pragma once

#include <string>
#include <vector>

namespace app {

// petrel check alertmanager FILE...: exit code 0 fine, 1 a file is bad, 2 wrong usage, 3 a
// file is good for Alertmanager and holds receivers that Petrel cannot reach yet.
int run_check_alertmanager(const std::vector<std::string>& arguments);

}  // namespace app
