#include "app/check_config.h"

#include "app/check_rules.h"
#include "config/prometheus_config.h"
#include "core/file_system.h"
#include "core/time.h"
#include "discovery/target_groups.h"
#include "scrape/target.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace app {
namespace {

using core::ErrorCode;
using core::Result;

constexpr int kUsage = 2;
constexpr const char* kUsageText =
    "usage: petrel check config FILE...\n"
    "\n"
    "Checks configuration files, the rule files, credentials and target files they name.\n"
    "\n"
    "  --syntax-only               leave alone what the file refers to\n"
    "  --lint=duplicate-rules      also look for this: all, duplicate-rules (default),\n"
    "                              too-long-scrape-interval, none\n"
    "  --lint-fatal                such findings end with status 3\n"
    "  --agent                     refuse what an agent does not do\n"
    "  --query.lookback-delta=5m   a scrape interval from here on is too long\n"
    "  --ignore-unknown-fields     fields that are no rule file's are passed over\n"
    "\n"
    "Exit code: 0 fine, 1 a file is bad, 2 wrong usage, 3 lint (with --lint-fatal).\n";

struct Options {
  LintOptions lint;
  bool syntax_only = false;
  bool agent = false;
  int64_t lookback_ms = 5 * 60'000;
  std::vector<std::string> files;
};

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (take_lint_flag(arguments, i, options.lint)) continue;
    if (argument == "--syntax-only") {
      options.syntax_only = true;
    } else if (argument == "--agent") {
      options.agent = true;
    } else if (const char* text = take_value(arguments, i, "--query.lookback-delta")) {
      options.lookback_ms = TRY(core::parse_duration_ms(text).context("--query.lookback-delta"));
    } else if (argument.starts_with('-')) {
      return core::fail(ErrorCode::InvalidArgument, "unknown flag {}", argument);
    } else {
      options.files.push_back(argument);
    }
  }
  if (options.files.empty()) return core::fail(ErrorCode::InvalidArgument, "expected a file");
  return options;
}

Result<void> check_agent(const config::PrometheusConfig& config) {
  const auto refuse = [](std::string_view field) {
    return core::fail(ErrorCode::InvalidArgument, "field {} is not allowed in agent mode", field);
  };
  if (!config.alertmanagers.empty() || !config.alert_relabel_rules.empty()) {
    return refuse("alerting");
  }
  if (!config.rule_globs.empty()) return refuse("rule_files");
  const bool reads = std::ranges::any_of(config.unsupported_keys, [](const std::string& key) {
    return key.starts_with("remote_read ");
  });
  if (reads) return refuse("remote_read");
  return {};
}

class Checker {
 public:
  explicit Checker(const Options& options) : options_(options) {}

  CheckOutcome outcome;

  void check(const std::string& path) {
    std::printf("Checking %s\n", path.c_str());
    const Result<config::PrometheusConfig> config = read(path);
    Result<std::vector<std::string>> rule_files = std::vector<std::string>{};
    Result<void> good = {};
    if (config && !options_.syntax_only) {
      rule_files = config::expand_globs(config->rule_globs);
      good = rule_files ? check_references(*config) : tl::unexpected(rule_files.error());
    }
    if (!config) good = tl::unexpected(config.error());
    if (!good) {
      std::fprintf(stderr, "  FAILED: %s\n", good.error().message.c_str());
      outcome.has_errors = true;
    } else {
      for (const std::string& key : config->unsupported_keys) {
        std::printf("  WARNING: no effect yet: %s\n", key.c_str());
      }
      if (!rule_files->empty())
        std::printf("  SUCCESS: %zu rule files found\n", rule_files->size());
      std::printf(" SUCCESS: %s is valid prometheus config file syntax\n", path.c_str());
    }
    std::printf("\n");
    if (!good || options_.syntax_only) return;
    lint_intervals(*config);
    for (const std::string& file : *rule_files) check_rule_file(file, options_.lint, outcome);
  }

 private:
  Result<config::PrometheusConfig> read(const std::string& path) {
    const std::string text = TRY(disk_.read_file(path));
    const auto environment = [](const std::string& name) {
      const char* value = std::getenv(name.c_str());
      return std::string(value == nullptr ? "" : value);
    };
    config::PrometheusConfig config =
        TRY(config::parse_prometheus_config(text, path, {disk_, environment}));
    if (options_.agent) TRY(check_agent(config));
    return config;
  }

  Result<void> check_exists(const std::string& path, std::string_view what) {
    if (path.empty() || disk_.exists(path)) return {};
    return core::fail(ErrorCode::NotFound, "error checking {} \"{}\": there is no such file", what,
                      path);
  }

  Result<void> check_references(const config::PrometheusConfig& config) {
    for (const config::ScrapeConfig& scrape : config.scrapes) {
      if (scrape.client.authorization) {
        TRY(check_exists(scrape.client.authorization->credentials.file,
                         "authorization credentials or bearer token file"));
      }
      TRY(check_exists(scrape.client.tls.cert_file, "client cert file"));
      TRY(check_exists(scrape.client.tls.key.file, "client key file"));
      TRY(check_discoveries(
          scrape.discoveries, fmt::format("scrape job \"{}\"", scrape.job_name),
          [&scrape](const config::TargetGroup& group) { return check_targets(scrape, group); }));
    }
    for (const config::AlertmanagerConfig& alertmanager : config.alertmanagers) {
      TRY(check_discoveries(alertmanager.discoveries, "alertmanager config",
                            [&alertmanager](const config::TargetGroup& group) {
                              return check_alertmanagers(alertmanager, group);
                            }));
    }
    return {};
  }

  using CheckGroup = std::function<Result<void>(const config::TargetGroup&)>;

  Result<void> check_discoveries(const std::vector<config::DiscoveryConfig>& discoveries,
                                 const std::string& whose, const CheckGroup& check_group) {
    for (const config::DiscoveryConfig& discovery : discoveries) {
      if (const auto* fixed = std::get_if<config::StaticDiscovery>(&discovery)) {
        for (const config::TargetGroup& group : fixed->groups) TRY(check_group(group));
      }
      const auto* files = std::get_if<config::FileDiscovery>(&discovery);
      if (files == nullptr) continue;
      for (const std::string& pattern : files->files) {
        const auto found = config::expand_globs({pattern});
        if (!found || found->empty()) {
          std::printf("  WARNING: file \"%s\" for file_sd in %s does not exist\n", pattern.c_str(),
                      whose.c_str());
          continue;
        }
        for (const std::string& file : *found) {
          const std::vector<config::TargetGroup> groups =
              TRY(read_targets(file).context("checking SD file \"{}\"", file));
          for (const config::TargetGroup& group : groups) TRY(check_group(group));
        }
      }
    }
    return {};
  }

  Result<std::vector<config::TargetGroup>> read_targets(const std::string& file) {
    const std::string text = TRY(disk_.read_file(file));
    std::string ending = file.substr(file.rfind('.') + 1);
    for (char& c : ending) c = static_cast<char>(c | 0x20);
    if (ending == "json") return discovery::parse_target_groups_json(text, file);
    return discovery::parse_target_groups_yaml(text, file);
  }

  static Result<void> check_targets(const config::ScrapeConfig& scrape,
                                    const config::TargetGroup& group) {
    for (size_t i = 0; i < group.targets.size(); ++i) {
      const scrape::TargetDecision decision =
          scrape::decide_target(scrape, group.labels, group.targets[i]);
      const bool has_no_address = decision.outcome == scrape::Outcome::NoAddress;
      if (!has_no_address && decision.outcome != scrape::Outcome::Invalid) continue;
      return core::fail(ErrorCode::InvalidArgument, "instance {} in group {}: {}", i, group.source,
                        has_no_address ? "no address" : decision.error);
    }
    return {};
  }

  static Result<void> check_alertmanagers(const config::AlertmanagerConfig& alertmanager,
                                          const config::TargetGroup& group) {
    for (const model::Labels& target : group.targets) {
      model::LabelsBuilder labels{group.labels.view()};
      for (const model::Label& label : target) labels.set(label.name, label.value);
      if (!model::relabel(alertmanager.relabel_rules, labels)) continue;
      const std::string address(labels.get("__address__"));
      if (address.find('/') == std::string::npos) continue;
      return core::fail(ErrorCode::InvalidArgument, "\"{}\" is not a valid hostname", address);
    }
    return {};
  }

  void lint_intervals(const config::PrometheusConfig& config) {
    if (!options_.lint.too_long_scrape_interval) return;
    for (const config::ScrapeConfig& scrape : config.scrapes) {
      if (scrape.interval_ms < options_.lookback_ms) continue;
      std::fprintf(stderr,
                   "  FAILED: too long scrape interval found, data point will be marked as stale - "
                   "job: %s, interval: %s\n",
                   scrape.job_name.c_str(), core::format_duration(scrape.interval_ms).c_str());
      outcome.has_lint = true;
      return;
    }
  }

  const Options& options_;
  core::PosixFileSystem disk_;
};

}  // namespace

int run_check_config(const std::vector<std::string>& arguments) {
  if (std::ranges::count(arguments, "--help") + std::ranges::count(arguments, "-h") > 0) {
    std::fputs(kUsageText, stdout);
    return 0;
  }
  const Result<Options> options = parse_options(arguments);
  if (!options) {
    std::fprintf(stderr, "%s\n%s", options.error().message.c_str(), kUsageText);
    return kUsage;
  }
  Checker checker(*options);
  for (const std::string& path : options->files) checker.check(path);
  return checker.outcome.exit_code(options->lint);
}

}  // namespace app
