// petrel agent register: writes a registration into etcd or ZooKeeper, keeps it there and
// takes it away at the end (docs/discovery.md).

#pragma once

#include <string>
#include <vector>

namespace app {

// `arguments` behind "agent register". Exit code: 0 fine, 1 it failed, 2 wrong usage.
int run_register(const std::vector<std::string>& arguments);

}  // namespace app
