#include "app/help_format.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

namespace app {
namespace {

class HelpFormat : public CLI::Formatter {
 public:
  HelpFormat() { column_width(34); }

  std::string make_usage(const CLI::App* cli, std::string name) const override;
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override;
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
};

// A name may have the positionals already, as in "petrel import prometheus-tsdb DIR".
std::string HelpFormat::make_usage(const CLI::App* cli, std::string name) const {
  std::string text = "\nusage: " + name + " [flags]";
  for (const CLI::Option* option : cli->get_options()) {
    if (!option->get_positional() || name.find(' ' + option->get_name(true)) != name.npos) continue;
    text +=
        option->get_required() ? " " + option->get_name(true) : " [" + option->get_name(true) + "]";
  }
  return text + "\n\n";
}

std::string HelpFormat::make_group(std::string group, bool is_positional,
                                   std::vector<const CLI::Option*> options) const {
  std::string text = CLI::Formatter::make_group(std::move(group), is_positional, options);
  // make_groups() puts an empty line behind each group, and this one another in front.
  if (text.starts_with('\n')) text.erase(0, 1);
  return text;
}

std::string HelpFormat::make_option_name(const CLI::Option* option, bool is_positional) const {
  if (is_positional) return option->get_name(true);
  const std::vector<std::string>& names = option->get_lnames();
  std::string text;
  for (const std::string& name : names) {
    const std::string positive = name.starts_with("no-") ? name.substr(3) : "";
    if (!positive.empty() && names.front() == positive) continue;
    const bool has_negative = std::find(names.begin(), names.end(), "no-" + name) != names.end();
    text += (text.empty() ? "--" : ", --") + (has_negative ? "[no-]" + name : name);
  }
  for (const std::string& name : option->get_snames()) text = "-" + name + ", " + text;
  return text;
}

std::string HelpFormat::make_option_opts(const CLI::Option* option) const {
  if (option->get_expected_max() == 0) return "";  // a switch
  std::string text = "=";
  const std::string shown = option->get_default_str();
  if (!shown.empty()) {
    text += shown;
  } else {
    // Without the allowed values, which the text beside it names: "TEXT:{debug,info}".
    const std::string type = option->get_type_name();
    text += type.substr(0, type.find(":{"));
  }
  if (option->get_expected_max() == CLI::detail::expected_max_vector_size) text += " ...";
  if (option->get_required()) text += " (required)";
  return text;
}

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() {
  return std::make_shared<HelpFormat>();
}

}  // namespace app
