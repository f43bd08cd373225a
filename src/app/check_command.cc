// petrel check rules FILE... | petrel check config FILE...
//
// promtool's habits: one line per file on stdout, errors on stderr, exit code 1 when a
// file is bad and 2 for wrong usage.

#include "alerting/config.h"
#include "app/commands.h"
#include "app/config.h"
#include "core/file_system.h"
#include "promql/parser.h"
#include "rules/rule_manager.h"

#include <cstdio>

namespace app {
namespace {

using core::Result;

constexpr int kFailed = 1;
constexpr int kUsage = 2;

Result<void> check_expression(std::string_view expression) {
  const auto parsed = promql::parse(expression);
  if (!parsed) return tl::unexpected(parsed.error());
  return {};
}

bool check_rules(const std::string& path, const std::string& text) {
  const std::vector<std::string> errors =
      rules::check_rule_files({{path, text}}, {}, check_expression);
  std::printf("Checking %s\n", path.c_str());
  for (const std::string& error : errors) std::fprintf(stderr, "  FAILED: %s\n", error.c_str());
  if (errors.empty()) std::printf("  SUCCESS: rules found valid\n");
  return errors.empty();
}

bool check_config(const std::string& path, const std::string& text) {
  std::printf("Checking %s\n", path.c_str());
  const Result<Config> config = parse_config(text, path);
  if (!config) {
    std::fprintf(stderr, "  FAILED: %s\n", config.error().message.c_str());
    return false;
  }
  for (const std::string& key : config->unsupported_keys) {
    std::printf("  WARNING: no effect yet: %s\n", key.c_str());
  }
  const Result<std::vector<std::string>> files = expand_globs(config->rule_globs);
  if (!files) {
    std::fprintf(stderr, "  FAILED: %s\n", files.error().message.c_str());
    return false;
  }
  std::printf("  SUCCESS: %s is valid configuration, %zu rule files found\n", path.c_str(),
              files->size());
  core::PosixFileSystem disk;
  bool good = true;
  for (const std::string& file : *files) {
    const Result<std::string> rules = disk.read_file(file);
    if (!rules) std::fprintf(stderr, "  FAILED: %s\n", rules.error().message.c_str());
    good = rules && check_rules(file, *rules) && good;
  }
  return good;
}

}  // namespace

int run_check(const std::vector<std::string>& arguments) {
  const bool config = !arguments.empty() && arguments[0] == "config";
  const bool rules = !arguments.empty() && arguments[0] == "rules";
  const bool help =
      !arguments.empty() && (arguments.back() == "--help" || arguments.back() == "-h");
  if (help || (!config && !rules) || arguments.size() < 2) {
    std::fprintf(help ? stdout : stderr,
                 "usage: petrel check rules FILE...\n       petrel check config FILE...\n");
    return help ? 0 : kUsage;
  }
  core::PosixFileSystem disk;
  bool good = true;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const Result<std::string> text = disk.read_file(arguments[i]);
    if (!text) {
      std::fprintf(stderr, "  FAILED: %s\n", text.error().message.c_str());
      good = false;
      continue;
    }
    good = (config ? check_config(arguments[i], *text) : check_rules(arguments[i], *text)) && good;
  }
  return good ? 0 : kFailed;
}

}  // namespace app
