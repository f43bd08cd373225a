// `petrel agent`: the host collector alone, in node_exporter's place.

#pragma once

#include <string>
#include <vector>

namespace app {

// Until SIGTERM or SIGINT. Exit code: 0 fine, 1 it failed, 2 wrong usage.
int run_agent(const std::vector<std::string>& arguments);

}  // namespace app
