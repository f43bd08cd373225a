// petrel: serves by default, or runs a subcommand.

#include "alerting/config.h"
#include "app/commands.h"
#include "app/flags.h"
#include "app/node.h"
#include "core/allocator.h"
#include "core/log.h"
#include "rules/rule_manager.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr size_t kLineWidth = 70;

// Signals are taken by sigwait() in main(), so no thread ever runs a handler.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write
  return signals;
}

void log_started(const app::Node& node) {
  const std::string host(app::host_part(node.flags.listen_address));
  const std::string shown = host.empty() || host == "0.0.0.0" || host == "::" ? "localhost" : host;
  const bool needs_brackets = shown.find(':') != std::string::npos;
  core::log_info(
      "petrel", "ready",
      {{"url", needs_brackets ? fmt::format("http://[{}]:{}/", shown, node.server->port())
                              : fmt::format("http://{}:{}/", shown, node.server->port())},
       {"version", app::petrel_version()},
       {"data", node.flags.data_path}});
  if (!node.rules) return;
  size_t rules = 0;
  for (const rules::GroupView& group : node.rules->snapshot().groups) rules += group.rules.size();
  const alerting::Config& alerting = node.loaded.alerting.config;
  const alerting::Receiver* const receiver = alerting.find_receiver(alerting.route.receiver);
  const bool is_heard = rules == 0 || (receiver != nullptr && receiver->sends());
  core::log_info("rules",
                 is_heard ? "rules are evaluated"
                          : "rules are evaluated, their alerts are shown and sent to nobody; "
                            "--alertmanager.config.file or --alerting.webhook-url sends them",
                 {{"rules", rules}});
}

int serve(app::Flags flags) {
  core::set_log_level(flags.log_level);
  core::set_log_format(flags.log_format);
  for (const std::string& warning : flags.warnings) core::log_warn("flags", warning);
  if (flags.allow_anonymous) {
    core::log_warn("security", "anyone who reaches the port can read and write",
                   {{"waiver", "web.allow-anonymous"}});
  }
  const sigset_t signals = block_signals();
  auto node = std::make_unique<app::Node>(std::move(flags));

  // The replay may take long; meanwhile the main thread listens to signals.
  std::atomic<bool> started = false;
  std::optional<core::Error> failure;
  std::thread starter([&] {
    const core::Result<void> result = app::start_node(*node);
    if (result) {
      log_started(*node);
      started = true;
    } else {
      failure = result.error();
      kill(getpid(), SIGTERM);
    }
  });

  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
    // Its outcome is in the log and in petrel_config_last_reload_successful.
    if (started) (void)app::reload(*node);
  }
  if (!started && !failure) {
    core::log_info("petrel", "stopped during the replay; nothing acknowledged is lost");
    std::_Exit(0);
  }
  starter.join();
  if (failure) {
    core::log_error("petrel", "cannot start", {{"error", failure->message}});
  } else {
    core::log_info("petrel", "stopping", {{"signal", strsignal(signal)}});
  }
  app::stop_node(*node);
  return failure ? kFailed : 0;
}

std::string command_list() {
  std::string text = "\nCommands (petrel COMMAND --help):\n";
  std::string unbuilt;
  for (const app::Command& command : app::command_table()) {
    if (command.run != nullptr) {
      text += fmt::format("  {:<12}{}\n", command.name, command.what);
    } else {
      const bool is_wide = unbuilt.size() - (unbuilt.rfind('\n') + 1) > kLineWidth;
      unbuilt += unbuilt.empty() ? "" : is_wide ? ",\n  " : ", ";
      unbuilt += command.name;
    }
  }
  return text + "\nReserved for commands that are not built yet:\n  " + unbuilt + "\n";
}

}  // namespace

int main(int argc, char** argv) {
  core::tune_allocator();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == "serve") arguments.erase(arguments.begin());
  if (arguments == std::vector<std::string>{"help"}) arguments = {"--help"};
  if (arguments == std::vector<std::string>{"version"}) arguments = {"--version"};
  if (!arguments.empty() && !arguments[0].starts_with("-")) {
    const app::Command* command = app::find_command(arguments[0]);
    if (command == nullptr) {
      std::fprintf(stderr, "petrel: unknown command \"%s\"%s", arguments[0].c_str(),
                   command_list().c_str());
      return kUsage;
    }
    if (command->run == nullptr) {
      std::fprintf(stderr, "petrel: the command \"%s\" is not built yet\n", arguments[0].c_str());
      return kFailed;
    }
    return command->run({arguments.begin() + 1, arguments.end()});
  }
  core::Result<app::FlagsOutcome> outcome = app::parse_flags(arguments);
  if (!outcome) {
    std::fprintf(stderr, "petrel: %s\n", outcome.error().message.c_str());
    return kUsage;
  }
  if (outcome->print_and_exit) {
    const bool is_help = *outcome->print_and_exit != "" &&
                         outcome->print_and_exit->find("--config.file") != std::string::npos;
    std::fputs((*outcome->print_and_exit + (is_help ? command_list() : "")).c_str(), stdout);
    return 0;
  }
  return serve(std::move(outcome->flags));
}
