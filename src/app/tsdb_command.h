// `petrel tsdb WHAT ...`: looks into, checks, repairs and copies out a data directory.

#pragma once

#include <string>
#include <vector>

namespace app {

// Exit code: 0 fine, 1 the operation failed or something is damaged, 2 wrong usage.
int run_tsdb(const std::vector<std::string>& arguments);

}  // namespace app
