#include "app/commands.h"

#include "app/agent_command.h"
#include "app/import_command.h"
#include "app/register_command.h"
#include "app/route_command.h"
#include "app/tsdb_command.h"

#include <array>

namespace app {
namespace {

int run_agent_command(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == "register") {
    return run_register({arguments.begin() + 1, arguments.end()});
  }
  return run_agent(arguments);
}

constexpr std::array kCommands = {
    Command{"check", "check configuration, rule files, metrics", run_check},
    Command{"agent", "this host's metrics only: serve or push them; register targets",
            run_agent_command},
    Command{"alert", "list, show, explain and acknowledge alerts", nullptr},
    Command{"backtest", "replay a rule over stored data", nullptr},
    Command{"backup", "copy the data folder while serving", nullptr},
    Command{"capacity", "size an installation", nullptr},
    Command{"cluster", "manage a cluster", nullptr},
    Command{"completion", "print a shell completion script", nullptr},
    Command{"dlq", "look into undeliverable notifications", nullptr},
    Command{"drill", "exercise an alert from end to end", nullptr},
    Command{"export", "write samples to files", nullptr},
    Command{"import", "take over the data of a Prometheus", run_import},
    Command{"man", "print the manual page", nullptr},
    Command{"oncall", "show who is on call", nullptr},
    Command{"query", "run a PromQL query", nullptr},
    Command{"restore", "load a backup", nullptr},
    Command{"route", "test the routing of alerts", run_route},
    Command{"rule", "promote rules", nullptr},
    Command{"silence", "manage silences", nullptr},
    Command{"slo", "manage service level objectives", nullptr},
    Command{"tenant", "manage tenants", nullptr},
    Command{"test", "run rule unit tests", nullptr},
    Command{"token", "manage access tokens", nullptr},
    Command{"tsdb", "look into, verify, dump, repair and compact the storage", run_tsdb},
};

}  // namespace

std::span<const Command> command_table() {
  return kCommands;
}

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

}  // namespace app
