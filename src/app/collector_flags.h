// node_exporter's flags for collectors, for every command that runs them.

#pragma once

#include "agent/collector.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace app {

// What the flags wrote; lives as long as the CLI::App.
struct CollectorFlags {
  bool disable_defaults = false;
  std::map<std::string, bool> chosen;
  std::map<std::string, std::string> texts;
  std::map<std::string, bool> switches;
  std::vector<std::string> unbuilt;  // collectors that were asked for and do not exist
};

// `petrel --help` leaves these flags to `petrel agent --help`.
enum class HelpOfCollectors { Shown, Hidden };

// --collector.<name>, --no-collector.<name>, --collector.disable-defaults, and
// --collector.<name>.<setting>. `flags` must outlive the parse.
void add_collector_flags(CLI::App& cli, CollectorFlags& flags, HelpOfCollectors help_of);

// Adds what was given.
void apply(const CollectorFlags& flags, agent::CollectorOptions& options);

// "--name=" as two arguments: CLI11 would take the next flag for the value.
std::vector<std::string> split_empty_values(const std::vector<std::string>& arguments);

// Whether the flag (without dashes) is a setting that node_exporter has and Petrel accepts
// without acting on it.
bool is_ignored_collector_setting(std::string_view name);

}  // namespace app
