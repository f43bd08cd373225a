// How --help shows flags: as Prometheus's does, --name=DEFAULT and --[no-]name.

#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace app {

class HelpFormat : public CLI::Formatter {
 public:
  HelpFormat() { column_width(34); }

  std::string make_usage(const CLI::App* cli, std::string name) const override;
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override;
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
};

}  // namespace app
