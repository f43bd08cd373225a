// The roles of a node and what each needs: the deployment in one table.

#pragma once

#include "app/node.h"
#include "core/result.h"

#include <span>
#include <string_view>
#include <vector>

namespace app {

struct Role {
  std::string_view name;
  std::string_view what;
  std::vector<std::string_view> needs;  // in the same process, until a cluster log is built
  core::Result<void> (*start)(Node&);
  void (*stop)(Node&);
};

// Started in this order, stopped in reverse.
std::span<const Role> role_table();

// The roles named in --roles, in table order. InvalidArgument: an unknown name, or a
// role whose needs are not among them.
core::Result<std::vector<const Role*>> select_roles(std::string_view text);

}  // namespace app
