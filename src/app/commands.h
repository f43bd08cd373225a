// Subcommands: `petrel NAME ...`. Without one, petrel serves.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace app {

struct Command {
  std::string_view name;
  std::string_view what;
  // Exit code: 0 fine, 1 the operation failed, 2 wrong usage. nullptr: not built yet.
  int (*run)(const std::vector<std::string>& arguments);
};

std::span<const Command> command_table();

// nullptr when there is no such command.
const Command* find_command(std::string_view name);

// `petrel check rules FILE...` and `petrel check config FILE...`.
int run_check(const std::vector<std::string>& arguments);

}  // namespace app
