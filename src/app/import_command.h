// `petrel import prometheus-tsdb DIR`: takes over a Prometheus data directory.

#pragma once

#include <string>
#include <vector>

namespace app {

// Exit code as in Command.
int run_import(const std::vector<std::string>& arguments);

}  // namespace app
