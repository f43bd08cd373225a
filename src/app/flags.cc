#include "app/flags.h"

#include "app/agent_flags.h"
#include "app/collector_flags.h"
#include "app/help_format.h"
#include "app/prometheus_flags.h"
#include "app/sizes.h"
#include "core/time.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <map>

namespace app {
namespace {

using core::ErrorCode;

// A duration flag keeps its text until the command line is whole.
struct DurationFlag {
  std::string text;
  int64_t* target;
  bool may_be_zero;
};

struct SizeFlag {
  std::string text;
  uint64_t* target;
};

struct Definition {
  CLI::App cli{
      "Petrel collects, stores, queries and alerts on metrics.\n"
      "Without a configuration file it watches this host.",
      "petrel"};
  std::map<std::string, DurationFlag> durations;
  std::map<std::string, SizeFlag> sizes;
  CollectorFlags collectors;
  std::string min_free_disk;
  std::string log_level = "info";
  std::string log_format = "logfmt";
  bool remote_write_receiver = true;
  bool version = false;
};

void add_duration(Definition& all, const std::string& name, int64_t& target,
                  const std::string& help, bool may_be_zero = false) {
  DurationFlag& flag =
      all.durations.emplace(name, DurationFlag{core::format_duration(target), &target, may_be_zero})
          .first->second;
  all.cli.add_option("--" + name, flag.text, help)->type_name("DURATION")->capture_default_str();
}

void add_size(Definition& all, const std::string& name, uint64_t& target, const std::string& help) {
  const std::string text = target == 0 ? "0" : format_size(target);
  SizeFlag& flag = all.sizes.emplace(name, SizeFlag{text, &target}).first->second;
  all.cli.add_option("--" + name, flag.text, help)->type_name("SIZE")->capture_default_str();
}

// Where --help shows a flag, by how its name begins; the first that fits.
constexpr std::pair<std::string_view, std::string_view> kGroups[] = {
    {"config.", "Configuration"},
    {"rules.default", "This host"},
    {"rules.", "Rules and alerts"},
    {"alert", "Rules and alerts"},
    {"web.", "Web"},
    {"storage.", "Storage"},
    {"query.", "Queries"},
    {"scrape.", "Scraping"},
    {"collector.", "This host"},
};

void group_flags(CLI::App& cli) {
  for (CLI::Option* option : cli.get_options()) {
    for (const auto& [prefix, group] : kGroups) {
      if (!option->get_lnames().front().starts_with(prefix)) continue;
      option->group(std::string(group));
      break;
    }
  }
  // As in Prometheus: for those who know what they do.
  for (const char* const name :
       {"--storage.tsdb.min-block-duration", "--storage.tsdb.max-block-duration"}) {
    cli.get_option(name)->group("");
  }
}

constexpr const char* kCollectorFlagsNote =
    "Flags of the host collector (--collector.NAME, --no-collector.NAME,\n"
    "--collector.disable-defaults and the collectors' settings) are those of\n"
    "petrel agent --help. Flags of Prometheus without effect here are accepted with a\n"
    "warning.";

// A switch that tells "not given" from yes and no.
void add_choice(CLI::App& cli, const std::string& name, std::optional<bool>& target,
                const std::string& help) {
  cli.add_flag_function(
      "--" + name + ",!--no-" + name, [&target](int64_t count) { target = count > 0; }, help);
}

void define_web(Definition& all, Flags& flags) {
  CLI::App& cli = all.cli;
  cli.add_option("--web.listen-address", flags.listen_address,
                 "Address to listen on for UI, API and metrics.")
      ->capture_default_str();
  cli.add_option("--web.external-url", flags.external_url,
                 "URL under which Petrel is reachable from outside; used in "
                 "notifications\n(default: http:// with host name and port).");
  add_duration(all, "web.read-timeout", flags.read_timeout_ms,
               "Longest time to read a request, and to keep an idle connection.");
  cli.add_option("--web.max-connections", flags.connections_max, "Most simultaneous connections.")
      ->capture_default_str();
  cli.add_flag("--web.enable-lifecycle,!--no-web.enable-lifecycle", flags.enable_lifecycle,
               "Allow reload by HTTP (default on, loopback only unless waived).");
  cli.add_flag("--web.enable-admin-api,!--no-web.enable-admin-api", flags.enable_admin_api,
               "Offer /api/v1/admin: snapshots, deletion of series, flush and compaction.");
  cli.add_flag("--web.enable-remote-write-receiver,!--no-web.enable-remote-write-receiver",
               all.remote_write_receiver, "Accepted; the receiver is always on.");
  cli.add_option("--web.cors.origin", flags.cors_origin,
                 "Regular expression of the origins that CORS allows, fully anchored.")
      ->capture_default_str();
  cli.add_flag("--web.allow-anonymous", flags.allow_anonymous,
               "Serve beyond loopback without authentication. Anyone who reaches the port can\n"
               "read and write.");
  cli.add_option("--web.allowed-hosts", flags.allowed_hosts,
                 "Further host names under which browsers may reach this server.")
      ->delimiter(',');
}

void define_rest(Definition& all, Flags& flags) {
  CLI::App& cli = all.cli;
  cli.add_option("--config.file", flags.config_file,
                 "Prometheus configuration file. With it, the host collector and the default\n"
                 "rules are off unless asked for.")
      ->type_name("FILE");
  add_duration(all, "config.auto-reload-interval", flags.auto_reload_interval_ms,
               "How often to look whether the configuration's files have changed, and to reload\n"
               "if so; 0s: never (30s with --enable-feature=auto-reload-config).",
               true);
  cli.add_option("--rules.file", flags.rule_globs, "Rule files (a pattern); may be repeated.")
      ->type_name("GLOB");
  cli.add_option("--storage.tsdb.path", flags.data_path, "Folder of all data.")
      ->capture_default_str();
  add_duration(all, "storage.tsdb.retention.time", flags.retention_ms,
               "How long raw samples are kept; 0s: for ever. With a limit by size and none\n"
               "by time only the size counts.",
               true);
  add_size(all, "storage.tsdb.retention.size", flags.retention_bytes,
           "Most bytes that blocks and log may take, as in 512MB or 1TB; 0: no limit.");
  add_size(all, "storage.tsdb.wal-segment-size", flags.log_segment_bytes,
           "Size of the log's files, 10MB to 256MB.");
  add_duration(all, "storage.tsdb.min-block-duration", flags.block_range_ms,
               "Time range of a block from the head.");
  add_duration(all, "storage.tsdb.max-block-duration", flags.block_range_max_ms,
               "Longest time range of a merged block; a multiple of the shortest.");
  add_duration(all, "storage.tsdb.out-of-order-time-window", flags.out_of_order_window_ms,
               "How much older than the newest sample a sample may be.", true);
  cli.add_option("--storage.tsdb.series-limit", flags.series_max,
                 "Most series with recent samples; above it new ones are refused;\n0: no limit.")
      ->capture_default_str();
  cli.add_option("--storage.tsdb.min-free-disk", all.min_free_disk,
                 "Space that is kept free on the disk, as in 512MiB: below it no samples are\n"
                 "taken; 0: none (default: 5 % of the disk, at most 256MiB).")
      ->type_name("SIZE");
  add_duration(all, "query.lookback-delta", flags.lookback_ms,
               "How far back an instant selector looks for a sample.");
  add_duration(all, "query.timeout", flags.query_timeout_ms, "Longest time a query may take.");
  cli.add_option("--query.max-concurrency", flags.query_concurrency,
                 "Most queries that are worked on at a time.")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1024U).description(""));
  cli.add_option("--query.max-samples", flags.query_samples_max,
                 "Most samples that one query may hold in memory.")
      ->capture_default_str();
  cli.add_flag("--query.strict", flags.query_strict,
               "Prometheus's PromQL only: no dotted metric names, no bare {{ label }}.");
  cli.add_option("--enable-feature", flags.features,
                 "Comma-separated features of Prometheus: promql-delayed-name-removal,\n"
                 "auto-reload-config; with --query.strict also\n"
                 "promql-experimental-functions, promql-duration-expr.")
      ->delimiter(',');
  cli.add_option("--alertmanager.config.file", flags.alertmanager_config_file,
                 "Alertmanager configuration file: where alerts go (docs/alertmanager.md).")
      ->type_name("FILE");
  cli.add_option("--alerting.webhook-url", flags.webhook_url,
                 "Send every alert to this webhook (Alertmanager's JSON).")
      ->type_name("URL");
  cli.add_option("--roles", flags.roles,
                 "Comma-separated: all, or some of collector, storage, querier, ruler,\nnotifier.")
      ->capture_default_str();
  cli.add_flag("--scrape.honor-scrape-time", flags.honor_scrape_time,
               "Samples get the time at which their scrape began, instead of that of\nits slot.");
  add_duration(all, "scrape.discovery-reload-interval", flags.discovery_reload_interval_ms,
               "How often changes of service discovery are taken over at most.");
  add_choice(cli, "collector.host", flags.collector_host,
             "Collect this host's metrics (default: on without --config.file).");
  cli.add_option("--collector.host.instance", flags.host_instance,
                 "Label `instance` of this host's metrics (default: host name and port).");
  add_choice(cli, "rules.default", flags.rules_default,
             "Load the default rules for this host (default: as --collector.host).");
  cli.add_option("--log.level", all.log_level, "One of debug, info, warn, error.")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  cli.add_option("--log.format", all.log_format, "One of logfmt, json.")
      ->capture_default_str()
      ->check(CLI::IsMember({"logfmt", "json"}));
  cli.add_flag("--version", all.version, "Print the version and exit.");
}

std::vector<std::string> defined_names(const CLI::App& cli) {
  std::vector<std::string> names;
  for (const CLI::Option* option : cli.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

// Flags that CLI11 does not know: Prometheus's own are accepted with a warning.
core::Result<void> judge_unknown(const std::vector<std::string>& extras, const CLI::App& cli,
                                 Flags& flags) {
  for (size_t i = 0; i < extras.size(); ++i) {
    const std::string& text = extras[i];
    if (!text.starts_with("--")) {
      return core::fail(ErrorCode::InvalidArgument, "unexpected argument \"{}\"; see petrel --help",
                        text);
    }
    const size_t equals = text.find('=');
    std::string name = text.substr(2, equals == std::string::npos ? equals : equals - 2);
    const IgnoredFlag* known = find_ignored_flag(name);
    if (known == nullptr && is_ignored_collector_setting(name)) {
      flags.warnings.push_back("--" + name + ": not built, it has no effect");
      const bool has_value =
          equals == std::string::npos && i + 1 < extras.size() && !extras[i + 1].starts_with("--");
      if (has_value) ++i;
      continue;
    }
    if (known == nullptr && name.starts_with("no-")) known = find_ignored_flag(name.substr(3));
    if (known == nullptr) {
      std::vector<std::string> all_names = defined_names(cli);
      append_ignored_flag_names(all_names);
      const std::string nearest = nearest_flag(name, all_names);
      return core::fail(
          ErrorCode::InvalidArgument, "unknown flag --{}{}", name,
          nearest.empty() ? "; see petrel --help" : "; did you mean --" + nearest + "?");
    }
    if (name == "web.config.file") {
      // Going on would serve openly what the file was to protect.
      return core::fail(ErrorCode::InvalidArgument,
                        "--web.config.file: TLS and authentication are not built; put a proxy in "
                        "front of a loopback address");
    }
    if (name == "agent") {
      return core::fail(ErrorCode::InvalidArgument,
                        "--agent: forwarding scraped samples is not built; petrel agent --push.url "
                        "sends this host's metrics");
    }
    if (known->kind == FlagKind::Value && equals == std::string::npos && i + 1 < extras.size()) ++i;
    const std::string nearest = nearest_flag(name, defined_names(cli));
    flags.warnings.push_back(fmt::format("--{}: {}{}", name, known->why,
                                         nearest.empty() ? "" : "; nearest: --" + nearest));
  }
  return {};
}

constexpr std::string_view kAutoReload = "auto-reload-config";
constexpr int64_t kAutoReloadIntervalMs = 30'000;  // Prometheus's default

constexpr std::array<std::string_view, 4> kFeatures = {"promql-delayed-name-removal",
                                                       "promql-experimental-functions",
                                                       "promql-duration-expr", kAutoReload};

// Features that need no flag here.
constexpr std::array<std::string_view, 6> kAlwaysOn = {
    "exemplar-storage",       "expand-external-labels", "new-service-discovery-manager",
    "no-default-scrape-port", "promql-at-modifier",     "promql-negative-offset"};

void judge_features(Flags& flags) {
  for (const std::string& feature : flags.features) {
    if (std::find(kFeatures.begin(), kFeatures.end(), feature) != kFeatures.end()) continue;
    std::string_view why = "not built yet, it has no effect";
    if (std::find(kAlwaysOn.begin(), kAlwaysOn.end(), feature) != kAlwaysOn.end()) {
      why = "not needed, it is always on";
    } else if (feature == kCreatedZeroSamples) {
      why = "acts on remote write 2.0; of scrapes, created timestamps are not stored yet";
    } else if (feature == "native-histograms") {
      why = "not needed; scrape_native_histograms: true in the configuration scrapes them";
    }
    flags.warnings.push_back(fmt::format("--enable-feature={}: {}", feature, why));
  }
}

core::Result<void> read_durations(const Definition& all) {
  for (const auto& [name, flag] : all.durations) {
    *flag.target = TRY(core::parse_duration_ms(flag.text).context(
        "--{}: expected a duration such as 30s, 5m or 7d", name));
    if (*flag.target == 0 && !flag.may_be_zero) {
      return core::fail(ErrorCode::InvalidArgument, "--{}: expected a duration above 0", name);
    }
  }
  return {};
}

constexpr uint64_t kLogSegmentMin = 10ULL << 20U;  // Prometheus's limits
constexpr uint64_t kLogSegmentMax = 256ULL << 20U;
constexpr int64_t kBlockRangeMinMs = 60'000;

core::Result<void> read_sizes(const Definition& all) {
  for (const auto& [name, flag] : all.sizes) {
    *flag.target = TRY(parse_base2_size(flag.text).context("--{}", name));
  }
  return {};
}

core::Result<void> judge_storage(const CLI::App& cli, Flags& flags) {
  // As in Prometheus: the default by time stands only where nothing was asked for.
  if (flags.retention_bytes != 0 && cli.get_option("--storage.tsdb.retention.time")->empty()) {
    flags.retention_ms = 0;
  }
  if (flags.log_segment_bytes < kLogSegmentMin || flags.log_segment_bytes > kLogSegmentMax) {
    return core::fail(ErrorCode::InvalidArgument,
                      "--storage.tsdb.wal-segment-size: {}: expected 10MB to 256MB",
                      format_size(flags.log_segment_bytes));
  }
  if (flags.block_range_ms < kBlockRangeMinMs) {
    return core::fail(
        ErrorCode::InvalidArgument, "--storage.tsdb.min-block-duration: {}: expected at least {}",
        core::format_duration(flags.block_range_ms), core::format_duration(kBlockRangeMinMs));
  }
  if (cli.get_option("--storage.tsdb.max-block-duration")->empty()) {
    // Whole multiples: the default where it is one, else the next larger one.
    const int64_t range_ms = flags.block_range_ms;
    flags.block_range_max_ms = (flags.block_range_max_ms + range_ms - 1) / range_ms * range_ms;
  }
  if (flags.block_range_max_ms % flags.block_range_ms != 0) {
    return core::fail(ErrorCode::InvalidArgument,
                      "--storage.tsdb.max-block-duration: {}: expected a multiple of "
                      "--storage.tsdb.min-block-duration, which is {}",
                      core::format_duration(flags.block_range_max_ms),
                      core::format_duration(flags.block_range_ms));
  }
  return {};
}

core::LogLevel level_of(const std::string& name) {
  if (name == "debug") return core::LogLevel::Debug;
  if (name == "warn") return core::LogLevel::Warn;
  return name == "error" ? core::LogLevel::Error : core::LogLevel::Info;
}

// A secret does not appear: a webhook's URL often carries a token.
std::string shown_value(const CLI::Option& option, const std::string& name) {
  if (name == "alerting.webhook-url") return option.count() > 0 ? "<secret>" : "";
  if (option.count() == 0) return option.get_default_str();
  std::string text;
  for (const std::string& part : option.results()) text += (text.empty() ? "" : ",") + part;
  return text;
}

void list_flags(const CLI::App& cli, Flags& flags) {
  for (const CLI::Option* option : cli.get_options()) {
    const std::string& name = option->get_lnames().front();
    if (name == "help" || name == "version") continue;
    flags.listing.emplace_back(name, shown_value(*option, name));
  }
  std::sort(flags.listing.begin(), flags.listing.end());
}

}  // namespace

core::Result<FlagsOutcome> parse_flags(const std::vector<std::string>& arguments) {
  FlagsOutcome outcome;
  Flags& flags = outcome.flags;
  Definition all;
  all.cli.set_help_flag("-h,--help", "Print this help and exit.");
  all.cli.allow_extras();
  all.cli.formatter(help_format());
  all.cli.footer(kCollectorFlagsNote);
  define_rest(all, flags);
  define_web(all, flags);
  group_flags(all.cli);
  add_collector_flags(all.cli, all.collectors, HelpOfCollectors::Hidden);

  // CLI11 takes the arguments from the back.
  std::vector<std::string> reversed = split_empty_values(arguments);
  std::reverse(reversed.begin(), reversed.end());
  try {
    all.cli.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    outcome.print_and_exit = all.cli.help();
    return outcome;
  } catch (const CLI::ParseError& error) {
    return core::fail(ErrorCode::InvalidArgument, "{}; see petrel --help", error.what());
  }
  if (all.version) {
    outcome.print_and_exit =
        fmt::format("petrel, version {} (Prometheus API 3.5.0)\n", petrel_version());
    return outcome;
  }
  TRY(judge_unknown(all.cli.remaining(), all.cli, flags));
  TRY(read_durations(all));
  if (!all.min_free_disk.empty()) {
    flags.min_free_disk =
        TRY(parse_size(all.min_free_disk).context("--storage.tsdb.min-free-disk"));
  }
  TRY(read_sizes(all));
  TRY(judge_storage(all.cli, flags));
  judge_features(flags);
  apply(all.collectors, flags.collectors);
  for (const std::string& name : all.collectors.unbuilt) {
    flags.warnings.push_back("--collector." + name + ": not built, it has no effect");
  }
  if (flags.has_feature(kAutoReload) && flags.auto_reload_interval_ms == 0) {
    flags.auto_reload_interval_ms = kAutoReloadIntervalMs;
  }
  flags.log_level = level_of(all.log_level);
  flags.log_format = all.log_format == "json" ? core::LogFormat::Json : core::LogFormat::Logfmt;
  list_flags(all.cli, flags);
  return outcome;
}

std::string_view petrel_version() {
  return PETREL_VERSION;
}

}  // namespace app
