#include "app/check_web_config.h"

#include "config/web_config.h"
#include "core/file_system.h"

#include <algorithm>
#include <cstdio>

namespace app {
namespace {

using core::Result;

constexpr const char* kUsageText =
    "usage: petrel check web-config FILE...\n"
    "\n"
    "Checks web configuration files and the certificates they name.\n"
    "\n"
    "Exit code: 0 fine, 1 a file is bad, 2 wrong usage.\n";

Result<void> check(const std::string& path, core::FileSystem& files) {
  const std::string text = TRY(files.read_file(path));
  const config::WebConfig config = TRY(config::parse_web_config(text, path));
  return config::check_web_files(config, files);
}

}  // namespace

int run_check_web_config(const std::vector<std::string>& arguments) {
  const bool help = std::ranges::count(arguments, "--help") + std::ranges::count(arguments, "-h");
  const bool has_flag = std::ranges::any_of(
      arguments, [](const std::string& argument) { return argument.starts_with('-'); });
  if (help || has_flag || arguments.empty()) {
    std::fputs(kUsageText, help ? stdout : stderr);
    return help ? 0 : 2;
  }
  core::PosixFileSystem files;
  bool good = true;
  for (const std::string& path : arguments) {
    const Result<void> checked = check(path, files);
    if (!checked) {
      std::fprintf(stderr, "%s FAILED: %s\n", path.c_str(), checked.error().message.c_str());
      good = false;
    } else {
      std::fprintf(stderr, "%s SUCCESS\n", path.c_str());
    }
  }
  return good ? 0 : 1;
}

}  // namespace app
