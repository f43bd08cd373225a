#include "app/check_alertmanager.h"

#include "alerting/config.h"
#include "core/file_system.h"

#include <algorithm>
#include <cstdio>

namespace app {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kRefused = 3;

constexpr const char* kUsageText =
    "usage: petrel check alertmanager FILE...\n"
    "\n"
    "Checks configuration files of Alertmanager, as amtool check-config does: 0 when all are\n"
    "fine, 1 when one is bad. 3 when all are fine and one leads alerts to a receiver that has\n"
    "only channels which Petrel does not have yet; petrel does not start with such a file.\n";

size_t count_routes(const alerting::Route& route) {
  size_t count = 1;
  for (const alerting::Route& child : route.routes) count += count_routes(child);
  return count;
}

int check(const std::string& path) {
  core::PosixFileSystem disk;
  const core::Result<std::string> text = disk.read_file(path);
  if (!text) {
    std::fprintf(stderr, "  FAILED: %s\n", text.error().message.c_str());
    return kFailed;
  }
  std::printf("Checking %s\n", path.c_str());
  const core::Result<alerting::LoadedConfig> loaded = alerting::read_config(*text, path);
  if (!loaded) {
    std::fprintf(stderr, "  FAILED: %s\n", loaded.error().message.c_str());
    return kFailed;
  }
  for (const std::string& key : loaded->unsupported) {
    std::printf("  WARNING: no effect yet: %s\n", key.c_str());
  }
  for (const std::string& receiver : loaded->unreachable) {
    std::fprintf(stderr, "  REFUSED: %s\n", receiver.c_str());
  }
  std::printf("  SUCCESS: %zu routes, %zu receivers\n", count_routes(loaded->config.route),
              loaded->config.receivers.size());
  return loaded->unreachable.empty() ? 0 : kRefused;
}

}  // namespace

int run_check_alertmanager(const std::vector<std::string>& arguments) {
  const bool help =
      !arguments.empty() && (arguments.back() == "--help" || arguments.back() == "-h");
  if (help || arguments.empty()) {
    std::fputs(kUsageText, help ? stdout : stderr);
    return help ? 0 : kUsage;
  }
  int worst = 0;
  for (const std::string& path : arguments) {
    const int code = check(path);
    worst = code == kFailed || worst == kFailed ? kFailed : std::max(worst, code);
  }
  return worst;
}

}  // namespace app
