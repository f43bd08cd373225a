#include "app/route_command.h"

#include "alerting/config.h"
#include "alerting/matchers.h"
#include "core/file_system.h"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <optional>

namespace app {
namespace {

using alerting::Route;
using core::Result;

constexpr int kFailed = 1;
constexpr int kUsage = 2;

constexpr const char* kUsageText =
    "usage: petrel route test --config.file=FILE [--tree] [--verify.receivers=A,B] LABEL=VALUE...\n"
    "       petrel route show --config.file=FILE\n"
    "\n"
    "test prints the receivers that an alert with these labels goes to, in order, as amtool\n"
    "config routes test does; with --verify.receivers the exit code is 1 when they are others.\n"
    "show prints the routing tree.\n"
    "\n"
    "Exit code: 0 fine, 1 bad file or other receivers, 2 wrong usage.\n";

struct Options {
  std::string action;
  std::string config_file;
  std::optional<std::string> verify;
  bool tree = false;
  std::vector<std::pair<std::string, std::string>> labels;
};

std::optional<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const auto value_of = [&](std::string_view flag) -> std::optional<std::string> {
      if (argument.starts_with(std::string(flag) + "=")) return argument.substr(flag.size() + 1);
      if (argument == flag && i + 1 < arguments.size()) return arguments[++i];
      return std::nullopt;
    };
    if (auto file = value_of("--config.file")) {
      options.config_file = std::move(*file);
    } else if (auto verify = value_of("--verify.receivers")) {
      options.verify = std::move(*verify);
    } else if (argument == "--tree") {
      options.tree = true;
    } else if (options.action.empty() && (argument == "test" || argument == "show")) {
      options.action = argument;
    } else if (const size_t equals = argument.find('=');
               equals != std::string::npos && equals > 0 && !argument.starts_with("-")) {
      std::string value = argument.substr(equals + 1);
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
      }
      options.labels.emplace_back(argument.substr(0, equals), std::move(value));
    } else {
      std::fprintf(stderr, "petrel route: \"%s\": expected test, show, a flag or LABEL=VALUE\n",
                   argument.c_str());
      return std::nullopt;
    }
  }
  if (options.action.empty() || options.config_file.empty()) return std::nullopt;
  return options;
}

// `on_way` limits it to routes that lead to one of `found`.
void print_tree(const Route& route, const std::string& indent, bool is_last, bool is_root,
                const std::vector<const Route*>* found) {
  const std::string name = is_root ? "default-route" : alerting::matchers_text(route.matchers);
  std::printf("%s%s%s%s  receiver: %s\n", indent.c_str(), is_last ? "└── " : "├── ", name.c_str(),
              route.continues ? "  continue: true" : "", route.receiver.c_str());
  const auto leads = [found](const Route& child, const auto& self) -> bool {
    if (found == nullptr || std::ranges::count(*found, &child) > 0) return true;
    return std::ranges::any_of(child.routes,
                               [&self](const Route& deeper) { return self(deeper, self); });
  };
  std::vector<const Route*> shown;
  for (const Route& child : route.routes) {
    if (leads(child, leads)) shown.push_back(&child);
  }
  for (const Route* child : shown) {
    print_tree(*child, indent + (is_last ? "    " : "│   "), child == shown.back(), false, found);
  }
}

Result<alerting::Config> read(const std::string& path) {
  core::PosixFileSystem disk;
  const std::string text = TRY(disk.read_file(path));
  return TRY(alerting::read_config(text, path)).config;
}

int test(const Options& options, const alerting::Config& config) {
  const model::Labels labels = model::Labels::of(options.labels);
  const std::vector<const Route*> found = alerting::find_routes(config.route, labels);
  std::string receivers;
  for (const Route* route : found) receivers += (receivers.empty() ? "" : ",") + route->receiver;
  if (options.tree) {
    std::printf("Matching routes:\n.\n");
    print_tree(config.route, "", true, true, &found);
    std::printf("\n\n");
  }
  std::printf("%s\n", receivers.c_str());
  if (!options.verify || *options.verify == receivers) return 0;
  std::fprintf(stderr,
               "WARNING: Expected receivers did not match resolved receivers.\n"
               "expected: %s\n",
               options.verify->c_str());
  return kFailed;
}

}  // namespace

int run_route(const std::vector<std::string>& arguments) {
  const bool help =
      !arguments.empty() && (arguments.back() == "--help" || arguments.back() == "-h");
  const std::optional<Options> options = help ? std::nullopt : parse(arguments);
  if (!options) {
    std::fputs(kUsageText, help ? stdout : stderr);
    return help ? 0 : kUsage;
  }
  const Result<alerting::Config> config = read(options->config_file);
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().message.c_str());
    return kFailed;
  }
  if (options->action == "test") return test(*options, *config);
  std::printf("Routing tree:\n.\n");
  print_tree(config->route, "", true, true, nullptr);
  return 0;
}

}  // namespace app
