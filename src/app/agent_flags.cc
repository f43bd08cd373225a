#include "app/agent_flags.h"

#include "app/collector_flags.h"
#include "app/flags.h"
#include "app/help_format.h"
#include "app/prometheus_flags.h"
#include "core/time.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>

namespace app {
namespace {

using core::ErrorCode;
using core::fail;
using core::Result;

constexpr std::string_view kUnit[] = {"KB", "MB", "GB", "TB"};
constexpr std::string_view kBinaryUnit[] = {"KiB", "MiB", "GiB", "TiB"};

struct Texts {
  std::string interval = "5s";
  std::string timeout = "30s";
  std::string counter_interval = "0s";
  std::string buffer_size = "1GiB";
  std::string buffer_age = "1d";
  std::string rootfs = "/";
  std::string bearer_token_file;
  std::string basic_username;
  std::string basic_password_file;
  std::string log_level = "info";
  std::string log_format = "logfmt";
  std::string web_config;
  bool systemd_socket = false;
  bool version = false;
};

void define_web(CLI::App& cli, AgentFlags& flags, Texts& texts) {
  cli.add_option("--web.listen-address", flags.listen_addresses,
                 "Address to serve metrics on; may be repeated (default: 127.0.0.1:9100, with\n"
                 "--web.allow-anonymous :9100).")
      ->allow_extra_args(false)
      ->take_all();
  cli.add_flag("--web.allow-anonymous", flags.allow_anonymous,
               "Serve on every address. Anyone who reaches the port can read the metrics.");
  cli.add_option("--web.telemetry-path", flags.telemetry_path, "Path of the metrics.")
      ->capture_default_str();
  cli.add_flag("--web.disable-exporter-metrics", flags.disable_exporter_metrics,
               "Leave petrel_* and process_* out.");
  cli.add_option("--web.max-requests", flags.requests_max, "Most scrapes at a time; 0: no limit.")
      ->capture_default_str();
  cli.add_option("--web.config.file", texts.web_config, "Not built: TLS and authentication.");
  cli.add_flag("--web.systemd-socket", texts.systemd_socket, "Not built.");
  cli.add_option("--path.procfs", flags.collectors.roots.proc, "Where proc is mounted.")
      ->capture_default_str();
  cli.add_option("--path.sysfs", flags.collectors.roots.sys, "Where sysfs is mounted.")
      ->capture_default_str();
  cli.add_option("--path.rootfs", texts.rootfs, "Where the root file system is mounted.")
      ->capture_default_str();
  cli.add_option("--path.udev.data", flags.collectors.roots.udev_data, "udev's data.")
      ->capture_default_str();
  cli.add_option("--log.level", texts.log_level, "One of debug, info, warn, error.")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  cli.add_option("--log.format", texts.log_format, "One of logfmt, json.")
      ->capture_default_str()
      ->check(CLI::IsMember({"logfmt", "json"}));
  cli.add_flag("--version", texts.version, "Print the version and exit.");
}

void define_push(CLI::App& cli, AgentFlags& flags, Texts& texts) {
  constexpr auto kGroup = "Push";
  const auto add = [&cli, kGroup](const char* name, auto& target, const char* help) {
    const std::string_view flag = name;
    const char* const type = flag.ends_with("-file") ? "FILE"
                             : flag.ends_with("url") ? "URL"
                                                     : "TEXT";
    cli.add_option(name, target, help)->type_name(type)->capture_default_str()->group(kGroup);
  };
  add("--push.url", flags.push_url,
      "Send what is collected there by remote write; nothing is sent without it.");
  add("--push.interval", texts.interval, "Time between two rounds that are sent.");
  add("--push.timeout", texts.timeout, "Longest time that a request may take.");
  add("--push.counter-interval", texts.counter_interval,
      "Of counters send the newest value of each such interval; 0s: every one.");
  add("--push.job", flags.job, "Label `job` of what is sent.");
  add("--push.instance", flags.instance, "Label `instance` (default: host name and port).");
  add("--push.buffer-path", flags.buffer_path, "Folder of what is not sent yet.");
  add("--push.buffer-size", texts.buffer_size, "Most bytes there; the oldest go first.");
  add("--push.buffer-age", texts.buffer_age, "What is older is dropped; 0s: nothing.");
  add("--push.bearer-token-file", texts.bearer_token_file, "File with a bearer token.");
  add("--push.basic-username", texts.basic_username, "User name of basic authentication.");
  add("--push.basic-password-file", texts.basic_password_file, "File with its password.");
  add("--push.tls-ca-file", flags.client.tls.ca_file, "Certificates to trust (PEM).");
  add("--push.tls-cert-file", flags.client.tls.cert_file, "Certificate of this client (PEM).");
  add("--push.tls-key-file", flags.client.tls.key.file, "Its key (PEM).");
  add("--push.tls-server-name", flags.client.tls.server_name, "Name that the receiver proves.");
  cli.add_flag("--push.tls-insecure-skip-verify", flags.client.tls.insecure_skip_verify,
               "Take any certificate.")
      ->group(kGroup);
}

constexpr const char* kCollectorsNote =
    "Commands: petrel agent register --help.\n"
    "docs/agent.md has what each flag means beside node_exporter.";

Result<void> judge_unknown(const CLI::App& cli, AgentFlags& flags) {
  const std::vector<std::string> extras = cli.remaining();
  for (size_t i = 0; i < extras.size(); ++i) {
    const std::string& text = extras[i];
    if (!text.starts_with("--")) {
      return fail(ErrorCode::InvalidArgument, "unexpected argument \"{}\"; see petrel agent --help",
                  text);
    }
    const size_t equals = text.find('=');
    const std::string name = text.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (is_ignored_collector_setting(name)) {
      flags.warnings.push_back("--" + name + ": not built, it has no effect");
      const bool has_value =
          equals == std::string::npos && i + 1 < extras.size() && !extras[i + 1].starts_with("--");
      if (has_value) ++i;
      continue;
    }
    std::vector<std::string> names;
    for (const CLI::Option* option : cli.get_options()) {
      for (const std::string& one : option->get_lnames()) names.push_back(one);
    }
    const std::string nearest = nearest_flag(name, names);
    return fail(
        ErrorCode::InvalidArgument, "unknown flag --{}{}", name,
        nearest.empty() ? "; see petrel agent --help" : "; did you mean --" + nearest + "?");
  }
  return {};
}

Result<void> read_duration(std::string_view name, const std::string& text, bool may_be_zero,
                           int64_t& target) {
  target =
      TRY(core::parse_duration_ms(text).context("{}: expected a duration such as 5s or 1m", name));
  if (target == 0 && !may_be_zero) {
    return fail(ErrorCode::InvalidArgument, "{}: expected a duration above 0", name);
  }
  return {};
}

Result<void> read_push(AgentFlags& flags, const Texts& texts) {
  TRY(read_duration("--push.interval", texts.interval, false, flags.push_interval_ms));
  TRY(read_duration("--push.timeout", texts.timeout, false, flags.push_timeout_ms));
  TRY(read_duration("--push.counter-interval", texts.counter_interval, true,
                    flags.counter_interval_ms));
  TRY(read_duration("--push.buffer-age", texts.buffer_age, true, flags.buffer_age_max_ms));
  flags.buffer_size_max = TRY(parse_size(texts.buffer_size).context("--push.buffer-size"));
  constexpr uint64_t kBufferSizeMin = 64 << 10;
  if (flags.buffer_size_max < kBufferSizeMin) {
    return fail(ErrorCode::InvalidArgument, "--push.buffer-size={}: expected at least 64KiB",
                texts.buffer_size);
  }
  if (!flags.push_url.empty() && !flags.push_url.starts_with("http://") &&
      !flags.push_url.starts_with("https://")) {
    return fail(ErrorCode::InvalidArgument, "--push.url={}: expected http:// or https://",
                flags.push_url);
  }
  if (!texts.bearer_token_file.empty() && !texts.basic_username.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "--push.bearer-token-file and --push.basic-username exclude each other");
  }
  if (texts.basic_username.empty() != texts.basic_password_file.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "--push.basic-username and --push.basic-password-file need each other");
  }
  if (!texts.bearer_token_file.empty()) {
    flags.client.authorization.emplace().credentials.file = texts.bearer_token_file;
  }
  if (!texts.basic_username.empty()) {
    net::BasicAuth& basic = flags.client.basic_auth.emplace();
    basic.username = texts.basic_username;
    basic.password.file = texts.basic_password_file;
  }
  return {};
}

Result<void> finish(AgentFlags& flags, const Texts& texts) {
  if (!texts.web_config.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "--web.config.file={}: TLS and authentication of the agent are not built; put a "
                "proxy in front of a loopback address",
                texts.web_config);
  }
  if (texts.systemd_socket) {
    return fail(ErrorCode::InvalidArgument, "--web.systemd-socket: not built");
  }
  if (!flags.telemetry_path.starts_with('/')) {
    return fail(ErrorCode::InvalidArgument, "--web.telemetry-path={}: expected a leading slash",
                flags.telemetry_path);
  }
  if (texts.rootfs != "/") {
    agent::Roots& roots = flags.collectors.roots;
    roots.mounts_prefix = texts.rootfs;
    for (std::string* path : {&roots.etc, &roots.usr_lib, &roots.run}) *path = texts.rootfs + *path;
  }
  TRY(read_push(flags, texts));
  flags.log_format = texts.log_format == "json" ? core::LogFormat::Json : core::LogFormat::Logfmt;
  static const std::map<std::string_view, core::LogLevel> kLevels = {
      {"debug", core::LogLevel::Debug},
      {"info", core::LogLevel::Info},
      {"warn", core::LogLevel::Warn},
      {"error", core::LogLevel::Error}};
  flags.log_level = kLevels.at(texts.log_level);
  if (flags.listen_addresses.empty()) {
    flags.listen_addresses.emplace_back(flags.allow_anonymous ? ":9100" : "127.0.0.1:9100");
  }
  return {};
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  uint64_t factor = unit.empty() || unit == "B" ? 1 : 0;
  uint64_t decimal = 1;
  uint64_t binary = 1;
  for (size_t i = 0; i < std::size(kUnit); ++i) {
    decimal *= 1000;
    binary *= 1024;
    if (unit == kUnit[i]) factor = decimal;
    if (unit == kBinaryUnit[i]) factor = binary;
  }
  if (error != std::errc() || factor == 0 || number > UINT64_MAX / factor) {
    return fail(ErrorCode::InvalidArgument, "\"{}\": expected a size such as 512MiB or 1GiB", text);
  }
  return number * factor;
}

Result<AgentFlagsOutcome> parse_agent_flags(const std::vector<std::string>& arguments) {
  AgentFlagsOutcome outcome;
  AgentFlags& flags = outcome.flags;
  Texts texts;
  CollectorFlags collectors;
  CLI::App cli("Collects this host's metrics: serves them, and pushes them with --push.url.",
               "petrel agent");
  cli.set_help_flag("-h,--help", "Print this help and exit.");
  cli.allow_extras();
  cli.formatter(help_format());
  cli.footer(kCollectorsNote);
  define_web(cli, flags, texts);
  define_push(cli, flags, texts);
  add_collector_flags(cli, collectors, HelpOfCollectors::Shown);
  std::vector<std::string> reversed = split_empty_values(arguments);
  std::reverse(reversed.begin(), reversed.end());
  try {
    cli.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    outcome.print_and_exit = cli.help();
    return outcome;
  } catch (const CLI::ParseError& error) {
    return fail(ErrorCode::InvalidArgument, "{}; see petrel agent --help", error.what());
  }
  if (texts.version) {
    outcome.print_and_exit = fmt::format("petrel agent, version {}\n", petrel_version());
    return outcome;
  }
  TRY(judge_unknown(cli, flags));
  for (const std::string& name : collectors.unbuilt) {
    flags.warnings.push_back("--collector." + name + ": not built, it has no effect");
  }
  apply(collectors, flags.collectors);
  TRY(finish(flags, texts));
  return outcome;
}

}  // namespace app
